//! Where nothing can be traced: what is said instead.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use tracemend_tests::permission::AGENT_VARIABLE;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::free_port;

/// Runs a program that runs the agent; its exit code and everything it said.
fn outcome(command: &mut Command) -> Result<(Option<i32>, String)> {
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").env_remove("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let Output { status, stdout, stderr } = command.output()?;
    Ok((status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))))
}

/// In these surroundings `run` says these words and what helps, and ends with 3; `doctor` says them too, and ends with 2.
fn is_refused(test: &str, surroundings: &[&str], words: &[&str]) -> Result<()> {
    let Some(scene) = Scene::open(test, &surroundings[..1])? else {
        return Ok(());
    };
    // Wherever it was built, it can be run by others here.
    let agent = scene.path("tracemend");
    fs::copy(std::env::var_os(AGENT_VARIABLE).context(AGENT_VARIABLE)?, &agent)?;
    fs::set_permissions(scene.directory(), fs::Permissions::from_mode(0o755))?;
    for (command, code) in [("run", 3), ("doctor", 2)] {
        let arguments = surroundings[1..].iter().map(OsStr::new).chain([agent.as_os_str(), OsStr::new(command)]);
        let (status, said) = outcome(Command::new(surroundings[0]).args(arguments))?;
        assert_eq!(status, Some(code), "{command}: {said}");
        for word in words {
            assert!(said.contains(word), "{command} does not say {word:?}: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}

#[test]
fn without_root_it_says_so() -> Result<()> {
    let surroundings = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    is_refused("without_root_it_says_so", &surroundings, &["CAP_BPF", "run as root"])
}

#[test]
fn root_without_capabilities_is_told_which_are_missing() -> Result<()> {
    let surroundings = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    is_refused("root_without_capabilities_is_told_which_are_missing", &surroundings, &["CAP_BPF", "CAP_PERFMON"])
}

#[test]
fn in_a_pid_namespace_of_its_own_it_says_so() -> Result<()> {
    let surroundings = ["unshare", "--fork", "--pid", "--mount-proc"];
    is_refused("in_a_pid_namespace_of_its_own_it_says_so", &surroundings, &["pid namespace", "--pid=host", "hostPID"])
}

#[test]
fn in_a_user_namespace_of_its_own_it_says_so() -> Result<()> {
    let surroundings = ["unshare", "--user", "--map-root-user"];
    is_refused("in_a_user_namespace_of_its_own_it_says_so", &surroundings, &["user namespace", "host's root"])
}

#[test]
fn without_type_information_of_the_kernel_it_says_so() -> Result<()> {
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let surroundings = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    is_refused("without_type_information_of_the_kernel_it_says_so", &surroundings, &["CONFIG_DEBUG_INFO_BTF"])
}

#[test]
fn the_doctors_status_is_its_verdict() -> Result<()> {
    let Some(_scene) = Scene::open("the_doctors_status_is_its_verdict", &[])? else {
        return Ok(());
    };
    let doctor = || {
        let program = std::env::var_os(AGENT_VARIABLE).context(AGENT_VARIABLE)?;
        let mut command = Command::new(program);
        command.arg("doctor");
        anyhow::Ok(command)
    };
    let (status, said) = outcome(&mut doctor()?)?;
    let is_off = |said: &str| said.lines().any(|line| line.trim_start().starts_with("off "));
    // What works may differ from kernel to kernel, but where BPF is permitted something does.
    match status {
        Some(0) => assert!(!is_off(&said) && said.contains("full: "), "{said}"),
        Some(1) => assert!(is_off(&said) && said.contains("reduced: "), "{said}"),
        other => panic!("{other:?}: {said}"),
    }
    for hook in ["sock_send_length", "sock_recv_length", "inet_sock_set_state", "sched_process_fork"] {
        assert!(said.contains(hook), "{said}");
    }

    // A collector that is not there reduces.
    let endpoint = format!("http://127.0.0.1:{}", free_port()?);
    let mut command = doctor()?;
    let Output { status, stdout, .. } = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).output()?;
    let said = String::from_utf8(stdout)?;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(is_off(&said) && said.contains(&endpoint) && said.contains("reduced: "), "{said}");
    Ok(())
}
