//! What keeps this machine from tracing.

use std::path::Path;
use std::{env, fs};

use aya::maps::MapType;
use aya::sys::is_map_supported;

/// Names the agent's binary; `cargo xtask test` sets it.
pub const AGENT_VARIABLE: &str = "TRACEMEND_BIN";

/// The inode of the initial pid namespace (`PROC_PID_INIT_INO`).
pub(crate) const INITIAL_PID_NAMESPACE_INODE: u32 = 4_026_531_836;

/// Why the agent cannot be run here. None if it can.
#[must_use]
pub fn missing() -> Option<String> {
    if env::var_os(AGENT_VARIABLE).is_none() {
        return Some(format!("{AGENT_VARIABLE} does not name the agent (`cargo xtask test` sets it)"));
    }
    missing_for_bpf()
}

/// Why BPF cannot be used here, asked of the machine and not of the agent: an agent that wrongly refuses must fail its
/// tests, not skip them. None if it can.
#[must_use]
pub fn missing_for_bpf() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("the kernel has no BTF".to_owned());
    }
    let initial = format!("pid:[{INITIAL_PID_NAMESPACE_INODE}]");
    if !fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == initial.as_str()) {
        return Some("not in the host's pid namespace".to_owned());
    }
    match is_map_supported(MapType::Array) {
        Ok(true) => None,
        Ok(false) => Some("the kernel makes no BPF map".to_owned()),
        Err(error) => Some(format!("BPF is not permitted (CAP_BPF, CAP_SYS_ADMIN): {error}")),
    }
}

/// Where a program of this name is, searched in PATH and the system's directories.
#[must_use]
pub fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Into::into))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}
