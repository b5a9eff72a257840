//! What the running kernel, and the place the agent was put in, offer.

use std::path::Path;

use rustix::fs::StatFs;

use super::capability::Capabilities;
use super::limits::STATUS_BYTES_MAX;
use super::proc::Proc;

/// What was found. Facts only: whether hooks load is decided by loading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Release (`uname -r`).
    pub release: String,
    /// Its type information is there (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// Lockdown mode (`none`, `integrity`, `confidentiality`); none where it cannot be read.
    pub lockdown: Option<String>,
    /// Effective capabilities of the agent.
    pub capabilities: Capabilities,
    /// The agent's process ids are the host's. The kernel half reports those.
    pub initial_pid_namespace: bool,
    /// The agent's capabilities count for the host: elsewhere they rule over its own namespace only.
    pub initial_user_namespace: bool,
    /// `/proc` shows the pid namespace the agent is in.
    pub proc_matches: bool,
    /// How control groups are mounted.
    pub cgroups: CgroupMode,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i32>,
    /// Where the trace file system is mounted.
    pub tracefs: Option<&'static str>,
}

/// How control groups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMode {
    /// Version 1 hierarchies.
    V1,
    /// Version 1 hierarchies with the version 2 tree beside them.
    Hybrid,
    /// Version 2 alone.
    V2,
    /// None at `/sys/fs/cgroup`.
    Unmounted,
}

impl CgroupMode {
    /// The word shown to people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::Hybrid => "v1 with v2 beside it",
            Self::V2 => "v2",
            Self::Unmounted => "not mounted",
        }
    }
}

/// Inodes of the initial namespaces (`include/linux/proc_ns.h`).
const INITIAL_USER_NAMESPACE: u32 = 0xEFFF_FFFD;
const INITIAL_PID_NAMESPACE: u32 = 0xEFFF_FFFC;

/// `statfs` types (`include/uapi/linux/magic.h`).
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const TMPFS_MAGIC: u64 = 0x0102_1994;
const TRACEFS_MAGIC: u64 = 0x7472_6163;

impl Kernel {
    /// Looks.
    #[must_use]
    pub fn read() -> Self {
        let proc = Proc::open(Path::new("/proc")).ok();
        let own = proc.as_ref().and_then(|proc| proc.process(std::process::id()).ok());
        let text = |path: &str| {
            let bytes = proc.as_ref()?.read(path, STATUS_BYTES_MAX).ok()?;
            String::from_utf8(bytes).ok()
        };
        let in_namespace = |kind: &str, initial: u32| {
            let link = proc.as_ref()?.link(&format!("self/ns/{kind}")).ok()?;
            Some(super::proc::namespace_inode(&link)? == initial)
        };
        let own_pid = std::process::id().to_string();
        Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            btf: Path::new("/sys/kernel/btf/vmlinux").is_file(),
            lockdown: std::fs::read_to_string("/sys/kernel/security/lockdown").ok().and_then(|modes| lockdown(&modes)),
            capabilities: text("self/status").and_then(|status| Capabilities::parse(&status)).unwrap_or_default(),
            initial_pid_namespace: in_namespace("pid", INITIAL_PID_NAMESPACE).unwrap_or(false),
            initial_user_namespace: in_namespace("user", INITIAL_USER_NAMESPACE).unwrap_or(false),
            proc_matches: own.is_some() && proc.as_ref().and_then(|proc| proc.link("self").ok()) == Some(own_pid),
            cgroups: cgroups(type_of("/sys/fs/cgroup"), type_of("/sys/fs/cgroup/unified")),
            perf_event_paranoid: text("sys/kernel/perf_event_paranoid").and_then(|text| text.trim().parse().ok()),
            tracefs: ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
                .into_iter()
                .find(|path| type_of(path) == Some(TRACEFS_MAGIC)),
        }
    }
}

fn type_of(path: &str) -> Option<u64> {
    let StatFs { f_type, .. } = rustix::fs::statfs(path).ok()?;
    u64::try_from(f_type).ok()
}

fn cgroups(root: Option<u64>, unified: Option<u64>) -> CgroupMode {
    match (root, unified) {
        (Some(CGROUP2_MAGIC), _) => CgroupMode::V2,
        (Some(TMPFS_MAGIC), Some(CGROUP2_MAGIC)) => CgroupMode::Hybrid,
        (Some(TMPFS_MAGIC), _) => CgroupMode::V1,
        _ => CgroupMode::Unmounted,
    }
}

/// The word in brackets: `none [integrity] confidentiality`.
fn lockdown(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_modes() {
        let mode = |text| lockdown(text);
        assert_eq!(mode("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(mode("[none] integrity confidentiality\n").as_deref(), Some("none"));
        assert_eq!(mode(""), None);
        assert_eq!(mode("[none"), None);
    }

    #[test]
    fn cgroup_modes() {
        assert_eq!(cgroups(Some(CGROUP2_MAGIC), None), CgroupMode::V2);
        assert_eq!(cgroups(Some(TMPFS_MAGIC), Some(CGROUP2_MAGIC)), CgroupMode::Hybrid);
        assert_eq!(cgroups(Some(TMPFS_MAGIC), Some(TMPFS_MAGIC)), CgroupMode::V1);
        assert_eq!(cgroups(None, None), CgroupMode::Unmounted);
    }

    #[test]
    fn this_kernel_has_a_release_and_a_matching_proc() {
        let kernel = Kernel::read();
        assert!(kernel.release.contains('.'));
        assert!(kernel.proc_matches);
    }
}
