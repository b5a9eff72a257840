//! Whether this process may load BPF programs at all, told before anything is built. What the running kernel then
//! offers is `tracemend doctor`'s business, which decides by trying.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Bits of `/proc/self/status`'s `CapEff` (`include/uapi/linux/capability.h`).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// What is missing, as a sentence; none if BPF is permitted.
pub(crate) fn missing() -> Result<Option<String>> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let capabilities = effective(&status).context("no CapEff line in /proc/self/status")?;
    Ok(judge(capabilities, Path::new(BTF).exists()))
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn judge(capabilities: u64, btf: bool) -> Option<String> {
    let has = |bit: u32| capabilities & (1 << bit) != 0;
    let lacking: Vec<_> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(bit, _)| !has(*bit) && !has(CAP_SYS_ADMIN))
        .map(|(_, name)| name)
        .collect();
    if !lacking.is_empty() {
        return Some(format!(
            "this process lacks {}: run it as root, or in a privileged container",
            lacking.join(" and ")
        ));
    }
    (!btf).then(|| format!("{BTF} is absent: the kernel is built without BTF, or /sys is hidden in this container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_capability_is_named() {
        let bpf_only = judge(1 << CAP_BPF, true).expect("PERFMON is missing");
        assert!(bpf_only.contains("lacks CAP_PERFMON:"), "{bpf_only}");
        let none = judge(0, true).expect("both are missing");
        assert!(none.contains("CAP_BPF and CAP_PERFMON"), "{none}");
    }

    #[test]
    fn either_way_to_permission_is_enough() {
        assert_eq!(judge(1 << CAP_SYS_ADMIN, true), None);
        assert_eq!(judge(1 << CAP_BPF | 1 << CAP_PERFMON, true), None);
        assert!(judge(u64::MAX, false).is_some_and(|text| text.contains("BTF")));
    }

    #[test]
    fn the_kernels_line_is_read() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
        missing().expect("this process has a status");
    }
}
