//! The manifests in deploy/ are what the Kubernetes API takes, and the check notices when they are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn check(file: Option<&Path>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("manifests").args(file).output().expect("xtask starts")
}

/// A copy of the DaemonSet with `from` replaced.
fn damaged(name: &str, from: &str, to: &str) -> PathBuf {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tracemend.yaml");
    let text = fs::read_to_string(original).expect("readable");
    assert!(text.contains(from), "the manifest has no {from:?} to damage");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&copy, text.replacen(from, to, 1)).expect("writable");
    copy
}

#[test]
fn the_manifests_are_valid() {
    let output = check(None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("in 2 files: ok"), "{output:?}");
}

#[test]
fn each_damage_is_noticed_and_named() {
    let damages = [
        ("field.yaml", "hostPID: true", "hostPid: true", "hostPid"),
        ("type.yaml", "hostPID: true", "hostPID: \"yes\"", "hostPID"),
        ("twice.yaml", "hostPID: true", "hostPID: true\n      hostPID: true", "already set"),
        ("kind.yaml", "kind: DaemonSet", "kind: DaemonSets", "DaemonSets"),
        ("mount.yaml", "- name: config\n              mountPath", "- name: confg\n              mountPath", "confg"),
        ("label.yaml", "matchLabels:\n      app.kubernetes.io/name: tracemend", "matchLabels:\n      app: x", "app=x"),
    ];
    for (name, from, to, named) in damages {
        let output = check(Some(&damaged(name, from, to)));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} passed");
        assert!(errors.contains(named), "{name}: {errors}");
    }
}
