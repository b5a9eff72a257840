//! Which host this is.
//!
//! The agent often runs in a container of its own, but what it reports belongs to the host: every fact is taken from
//! the host's namespaces where they can be reached.

use std::net::{IpAddr, Ipv4Addr};

use super::address;
use super::declared::Declared;
use super::limits::{LINE_BYTES_MAX, NAME_CHARS_MAX, SOCKET_TABLE_BYTES_MAX};
use super::proc::Proc;
use super::text::clean;

/// Which host this is: the same for every process on it and for as long as the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `host.id`: the machine id; where there is none the hardware's, else that of this boot.
    pub id: String,
    /// `host.name`.
    pub name: String,
    /// `ip`: the address on the network of the default route, else the first that is no loopback, else 127.0.0.1.
    pub ip: IpAddr,
    /// What the operator says of the host, in the agent's own `OTEL_RESOURCE_ATTRIBUTES`: its node, cluster, environment.
    pub declared: Vec<(String, String)>,
}

/// Processes that are in the host's namespaces: init, and the kernel's thread daemon, which no security policy hides.
const HOST_PROCESSES: [u32; 2] = [1, 2];

impl Identity {
    pub(super) fn read(proc: &Proc) -> Self {
        Self { id: id(proc), name: name(proc), ip: ip(proc), declared: Declared::of_agent().attributes }
    }
}

fn id(proc: &Proc) -> String {
    // machine-id(5); the second is where it stood before systemd.
    let of_system = ["etc/machine-id", "var/lib/dbus/machine-id"];
    let of_host = HOST_PROCESSES.iter().flat_map(|pid| of_system.iter().map(move |path| format!("{pid}/root/{path}")));
    let own = of_system.iter().map(|path| format!("self/root/{path}"));
    let below_proc = of_host.chain(own).find_map(|path| machine_id(&proc.read(&path, LINE_BYTES_MAX).ok()?));
    below_proc
        .or_else(|| machine_id(&std::fs::read("/sys/class/dmi/id/product_uuid").ok()?))
        .or_else(|| machine_id(&proc.read("sys/kernel/random/boot_id", LINE_BYTES_MAX).ok()?))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// 32 hexadecimal digits, with or without hyphens, as they stand; not what images carry before their first boot
/// (`uninitialized`, nothing), nor the zeros of unset firmware.
pub(super) fn machine_id(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?.trim();
    let digits: String = text.chars().filter(|&character| character != '-').collect();
    let is_id = digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte != b'0');
    is_id.then(|| text.to_ascii_lowercase())
}

fn name(proc: &Proc) -> String {
    let own = rustix::system::uname();
    let own = clean(own.nodename().to_bytes(), NAME_CHARS_MAX);
    let host = || {
        HOST_PROCESSES.iter().find_map(|pid| {
            let content = proc.read(&format!("{pid}/root/etc/hostname"), LINE_BYTES_MAX).ok()?;
            clean(content.split(|&byte| byte == b'\n').next()?, NAME_CHARS_MAX)
        })
    };
    let name = if in_host_namespace(proc, "uts") { own.or_else(host) } else { host().or(own) };
    name.unwrap_or_else(|| "unknown".to_owned())
}

/// Whether the agent shares the host's namespace of this kind; yes where it cannot be told.
fn in_host_namespace(proc: &Proc, kind: &str) -> bool {
    let of_host = HOST_PROCESSES.iter().find_map(|pid| proc.link(&format!("{pid}/ns/{kind}")).ok());
    of_host.is_none_or(|host| proc.link(&format!("self/ns/{kind}")).ok() == Some(host))
}

fn ip(proc: &Proc) -> IpAddr {
    let text = |file: &str| {
        ["2", "1", "self"]
            .iter()
            .find_map(|process| proc.read(&format!("{process}/net/{file}"), SOCKET_TABLE_BYTES_MAX).ok())
            .unwrap_or_default()
    };
    address::first(&text("fib_trie"), &text("route"), &text("if_inet6")).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixture(files: &[(&str, &str)]) -> (tempfile::TempDir, Proc) {
        let folder = tempfile::tempdir().expect("folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("folders");
            std::fs::write(path, content).expect("file");
        }
        let proc = Proc::open(folder.path()).expect("opens");
        (folder, proc)
    }

    #[test]
    fn the_hosts_machine_id_goes_before_the_containers() {
        let host = "3d1219c7c4c5404aaa1f6d2a48adfda4";
        let own = "11111111111111111111111111111111";
        let (_folder, proc) = fixture(&[
            ("1/root/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n"),
            ("self/root/etc/machine-id", own),
        ]);
        assert_eq!(id(&proc), host);
        let (_folder, proc) =
            fixture(&[("1/root/etc/machine-id", "uninitialized\n"), ("self/root/etc/machine-id", own)]);
        assert_eq!(id(&proc), own);
    }

    #[test]
    fn ids_that_are_none_are_refused() {
        for content in ["", "uninitialized", "00000000-0000-0000-0000-000000000000", "12", "../../etc/passwd"] {
            assert_eq!(machine_id(content.as_bytes()), None, "{content}");
        }
        assert_eq!(
            machine_id(b"4AF114AB-4E83-4DC1-9CB7-1A47DD0407ED\n").as_deref(),
            Some("4af114ab-4e83-4dc1-9cb7-1a47dd0407ed")
        );
    }

    #[test]
    fn without_any_table_the_address_is_loopback() {
        let (_folder, proc) = fixture(&[]);
        assert_eq!(ip(&proc), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn two_readings_of_this_host_agree() {
        let proc = Proc::open(Path::new("/proc")).expect("opens");
        let identity = Identity::read(&proc);
        assert_eq!(identity, Identity::read(&proc));
        assert!(!identity.name.is_empty());
    }
}
