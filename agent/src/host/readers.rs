//! Every reader of a file that other processes can fill, by the file's name: where fuzzing comes in.

use super::capability::Capabilities;
use super::cgroup::Cgroups;
use super::declared::Declared;
use super::limits::{NAME_CHARS_MAX, VALUE_CHARS_MAX};
use super::proc::{Stat, namespace_inode};
use super::{address, identity, instance, listeners, service, unix_sockets};

/// Characters of a text that is shown.
pub const TEXT_CHARS_MAX: usize = if NAME_CHARS_MAX > VALUE_CHARS_MAX { NAME_CHARS_MAX } else { VALUE_CHARS_MAX };

/// A file below `/proc`, or of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `/proc/PID/stat`
    Stat,
    /// `/proc/PID/cgroup`
    Cgroup,
    /// `/proc/PID/environ`
    Environ,
    /// `/proc/PID/exe` and `cmdline`, a line end between them.
    Command,
    /// `/proc/PID/status`
    Status,
    /// `/proc/PID/ns/net`
    Namespace,
    /// `/proc/PID/net/tcp`
    Sockets,
    /// `/proc/PID/net/unix`
    UnixSockets,
    /// `/proc/PID/net/fib_trie`, `route` and `if_inet6`, zeros between them.
    Addresses,
    /// `/proc/locks`
    Locks,
    /// `/etc/machine-id`
    MachineId,
}

/// Every such file.
pub const FILES: &[File] = &[
    File::Stat,
    File::Cgroup,
    File::Environ,
    File::Command,
    File::Status,
    File::Namespace,
    File::Sockets,
    File::UnixSockets,
    File::Addresses,
    File::Locks,
    File::MachineId,
];

/// Reads any content as that of a file; gives the texts that would be shown.
#[must_use]
pub fn read(file: File, content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    match file {
        File::Stat => Stat::parse(content).map(|stat| format!("{stat:?}")).into_iter().collect(),
        File::Cgroup => {
            let groups = Cgroups::parse(content);
            let below = format!("{}", groups.is_below("/system.slice"));
            [groups.container().map(str::to_owned), groups.pod(), Some(below)].into_iter().flatten().collect()
        }
        File::Environ => {
            let declared = [false, true].map(|cut| Declared::parse(content, cut).attributes);
            declared.into_iter().flatten().flat_map(|(name, value)| [name, value]).collect()
        }
        File::Command => {
            let (executable, cmdline) = text.split_once('\n').unwrap_or_default();
            vec![service::name(executable, cmdline.as_bytes()).text]
        }
        File::Status => Capabilities::parse(&text).map(|_| String::new()).into_iter().collect(),
        File::Namespace => namespace_inode(&text).map(|inode| inode.to_string()).into_iter().collect(),
        File::Sockets => {
            let listening = listeners::listening(content).len();
            vec![format!("{} {listening}", listeners::past_listeners(content))]
        }
        File::UnixSockets => vec![unix_sockets::rows(content).len().to_string()],
        File::Addresses => {
            let mut parts = content.splitn(3, |byte| *byte == 0);
            let mut next = || parts.next().unwrap_or_default();
            address::first(next(), next(), next()).map(|address| address.to_string()).into_iter().collect()
        }
        File::Locks => instance::locker(&text, (0, 4), 4_026_531_836).map(|pid| pid.to_string()).into_iter().collect(),
        File::MachineId => identity::machine_id(content).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_may_hold_anything() {
        for file in FILES {
            for content in [&b""[..], &[0xff; 5000], &[0; 300], b"a: b\nc=d\n", b"4711 (nginx) S 1"] {
                assert!(read(*file, content).iter().all(|text| text.chars().count() <= TEXT_CHARS_MAX), "{file:?}");
            }
        }
    }
}
