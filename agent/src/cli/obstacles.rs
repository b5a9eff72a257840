//! What must hold before anything can be traced, and what to do where it does not.

use crate::host::{Capability, Kernel};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// What is wrong.
    pub(super) what: String,
    /// What helps.
    pub(super) remedy: &'static str,
}

/// What loading and attaching the hooks takes.
const NEEDED: [Capability; 2] = [Capability::BPF, Capability::PERFMON];

/// What reading other users' processes takes: without it they are traced, but not named.
const WANTED: [Capability; 2] = [Capability::SYS_PTRACE, Capability::DAC_READ_SEARCH];

/// What keeps the agent from running here, the cause of others first.
pub(super) fn obstacles(kernel: &Kernel) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut put = |what: String, remedy| found.push(Obstacle { what, remedy });
    if !kernel.initial_user_namespace {
        put(
            "in a user namespace of its own, where root is not the host's root".into(),
            "run as the host's root, not in a rootless container or under userns-remap",
        );
    }
    if !kernel.initial_pid_namespace {
        put(
            "in a pid namespace of its own, but the kernel reports the host's process ids".into(),
            "docker run --pid=host, or hostPID: true in the pod",
        );
    } else if !kernel.proc_matches {
        put("/proc does not show the agent's pid namespace".into(), "mount the host's proc file system on /proc");
    }
    let missing = kernel.capabilities.missing(&NEEDED);
    if !missing.is_empty() {
        put(
            format!("missing {}", names(&missing)),
            "run as root (sudo tracemend ...); in a container docker run --privileged, or privileged: true in the \
             pod's securityContext",
        );
    }
    if !kernel.btf {
        put(
            "no type information of the kernel (/sys/kernel/btf/vmlinux)".into(),
            "a kernel built with CONFIG_DEBUG_INFO_BTF=y, as distributions do since 2020; in a container mount /sys",
        );
    }
    if kernel.lockdown.as_deref() == Some("confidentiality") {
        put(
            "kernel lockdown is in mode confidentiality, which forbids reading kernel memory".into(),
            "boot with lockdown=integrity",
        );
    }
    found
}

/// What the agent can run without, and what is off then.
pub(super) fn shortcomings(kernel: &Kernel) -> Vec<Obstacle> {
    let missing = kernel.capabilities.missing(&WANTED);
    if missing.is_empty() {
        return Vec::new();
    }
    vec![Obstacle {
        what: format!(
            "missing {}: other users' processes are named by their number alone, and not found by their ports",
            names(&missing)
        ),
        remedy: "run as root, or add these capabilities",
    }]
}

fn names(capabilities: &[Capability]) -> String {
    let names: Vec<&str> = capabilities.iter().map(|capability| capability.name()).collect();
    names.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::{Capabilities, CgroupMode};

    /// A kernel on which everything is as it must be.
    pub(in crate::cli) fn good() -> Kernel {
        Kernel {
            release: "6.18.0".into(),
            btf: true,
            lockdown: None,
            capabilities: Capabilities::ALL,
            initial_pid_namespace: true,
            initial_user_namespace: true,
            proc_matches: true,
            cgroups: CgroupMode::V2,
            perf_event_paranoid: Some(2),
            tracefs: Some("/sys/kernel/tracing"),
        }
    }

    fn what(kernel: &Kernel) -> Vec<String> {
        let found = obstacles(kernel);
        found.into_iter().map(|obstacle| obstacle.what).collect()
    }

    #[test]
    fn nothing_stands_in_the_way_of_root_on_the_host() {
        assert_eq!(what(&good()), Vec::<String>::new());
        assert_eq!(shortcomings(&good()), []);
    }

    #[test]
    fn missing_capabilities_are_named() {
        let kernel = Kernel { capabilities: Capabilities::default(), ..good() };
        assert_eq!(what(&kernel), ["missing CAP_BPF, CAP_PERFMON"]);
        let short = &shortcomings(&kernel)[0].what;
        assert!(short.starts_with("missing CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH"), "{short}");
    }

    #[test]
    fn a_container_without_the_hosts_pids_is_told_so_once() {
        let kernel = Kernel { initial_pid_namespace: false, proc_matches: false, ..good() };
        let what = what(&kernel);
        assert_eq!(what.len(), 1);
        assert!(what[0].contains("pid namespace"), "{what:?}");
    }

    #[test]
    fn every_other_obstacle_is_found() {
        let kernel = Kernel {
            btf: false,
            lockdown: Some("confidentiality".into()),
            initial_user_namespace: false,
            proc_matches: false,
            ..good()
        };
        let what = what(&kernel).join("\n");
        for word in ["user namespace", "/proc", "btf", "lockdown"] {
            assert!(what.contains(word), "{word}: {what}");
        }
    }
}
