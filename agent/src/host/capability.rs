//! Linux capabilities of the agent (capabilities(7)).

use std::fmt;

/// Names by number, as in `linux/capability.h`.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

impl Capability {
    /// Reads files that permissions deny.
    pub const DAC_READ_SEARCH: Self = Self(2);
    /// Looks into other users' processes.
    pub const SYS_PTRACE: Self = Self(19);
    /// The old one for everything.
    pub const SYS_ADMIN: Self = Self(21);
    /// Tracing programs.
    pub const PERFMON: Self = Self(38);
    /// Programs and maps.
    pub const BPF: Self = Self(39);

    /// `CAP_BPF`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("CAP_?")
    }
}

/// The effective set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Every capability there is.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the set holds it. `CAP_SYS_ADMIN` includes `CAP_BPF` and `CAP_PERFMON`, as in the kernel.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        let holds = |one: Capability| self.0 & (1 << one.0) != 0;
        holds(capability)
            || ([Capability::BPF, Capability::PERFMON].contains(&capability) && holds(Capability::SYS_ADMIN))
    }

    /// Those of `needed` that are missing.
    #[must_use]
    pub fn missing(self, needed: &[Capability]) -> Vec<Capability> {
        let lacking = needed.iter().filter(|capability| !self.has(**capability));
        lacking.copied().collect()
    }

    /// The `CapEff` line of `/proc/PID/status`; none if there is no such line.
    pub(super) fn parse(status: &str) -> Option<Self> {
        let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(digits.trim(), 16).ok().map(Self)
    }
}

impl fmt::Display for Capabilities {
    /// `all`, `none`, or the names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = (1_u64 << NAMES.len()) - 1;
        if self.0 & every == every {
            return f.write_str("all");
        }
        if self.0 == 0 {
            return f.write_str("none");
        }
        let lacking = every & !self.0;
        let (lead, shown) = if lacking.count_ones() < 8 { ("all but ", lacking) } else { ("", self.0) };
        f.write_str(lead)?;
        let names: Vec<&str> =
            NAMES.iter().enumerate().filter(|(number, _)| shown & (1 << number) != 0).map(|(_, name)| *name).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(digits: &str) -> Capabilities {
        Capabilities::parse(&format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{digits}\n")).expect("a set")
    }

    #[test]
    fn names_stand_at_their_numbers() {
        assert_eq!(Capability::DAC_READ_SEARCH.name(), "CAP_DAC_READ_SEARCH");
        assert_eq!(Capability::SYS_PTRACE.name(), "CAP_SYS_PTRACE");
        assert_eq!(Capability::SYS_ADMIN.name(), "CAP_SYS_ADMIN");
        assert_eq!(Capability::PERFMON.name(), "CAP_PERFMON");
        assert_eq!(Capability::BPF.name(), "CAP_BPF");
    }

    #[test]
    fn missing_ones_are_named_and_sys_admin_includes_the_newer_two() {
        let needed = [Capability::BPF, Capability::PERFMON, Capability::SYS_PTRACE];
        assert_eq!(parsed("0000000000000000").missing(&needed), needed);
        assert_eq!(parsed("0000000000200000").missing(&needed), [Capability::SYS_PTRACE]);
        assert_eq!(parsed("000000c000080000").missing(&needed), []);
    }

    #[test]
    fn sets_read_well() {
        assert_eq!(parsed("000001ffffffffff").to_string(), "all");
        assert_eq!(parsed("000001fffeffffff").to_string(), "all but CAP_SYS_RESOURCE");
        assert_eq!(parsed("000000c000000000").to_string(), "CAP_PERFMON, CAP_BPF");
        assert_eq!(parsed("0").to_string(), "none");
        assert_eq!(Capabilities::parse("CapEff:\tzz"), None);
        assert_eq!(Capabilities::parse(""), None);
    }
}
