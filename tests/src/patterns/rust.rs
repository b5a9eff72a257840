//! Rust: axum and reqwest on tokio, and threads with ureq; one program with a mode for each pattern, as cargo builds a
//! release, and stripped.

use std::process::Command;

use anyhow::Result;

use super::build::{answer, built, directory, step};
use super::{Pattern, Start, Variant};
use crate::process::Process;
use crate::workload;

/// A pattern whose mode is the end of its id.
macro_rules! pattern {
    ($name:literal) => {
        pattern!($name, calls: 1)
    };
    ($name:literal, calls: $calls:literal) => {
        Pattern {
            id: concat!("rust/", $name),
            calls: $calls,
            shared: 1,
            leaves: false,
            pipelined: 1,
            path: "/",
            variants,
            start: |with| start(with, $name),
        }
    };
}

pub(super) const PATTERNS: &[Pattern] = &[
    pattern!("tokio-direct"),
    pattern!("tokio-spawn"),
    pattern!("spawn-blocking"),
    pattern!("tokio-mpsc"),
    pattern!("join-all", calls: 3),
    pattern!("thread-per-request"),
    pattern!("rayon"),
];

/// Where cargo leaves it, and how that differs.
const BUILDS: &[(&str, &str, &str)] = &[("symbols", "false", ""), ("stripped", "true", ", stripped")];

pub(super) fn prepare() -> Result<()> {
    for (folder, strip, _) in BUILDS {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--config",
            &format!("profile.release.strip={strip}"),
        ]);
        cargo.arg("--target-dir").arg(directory().join("rust").join(folder));
        step(cargo.current_dir(workload::directory("rust").join("patterns")))?;
    }
    Ok(())
}

fn variants() -> Vec<Variant> {
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let told = answer("rustc", &["--version"]).unwrap_or_default();
    let version: Vec<_> = told.split(' ').take(2).collect();
    let file = |folder: &str| format!("rust/{folder}/release/tracemend-patterns");
    BUILDS.iter().map(|(folder, _, how)| built(format!("{}{how}", version.join(" ")), &file(folder))).collect()
}

fn start(start: &Start<'_>, mode: &str) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg(mode).arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
