//! `/proc/PID/maps` (proc_pid_maps(5)): which files a process has mapped.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::OFlags;

/// Bytes of the list that are read: the files of a runtime are among the first.
const MAPS_BYTES_MAX: u64 = 4 << 20;

/// The first mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Where it begins.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
    /// The part of the file it begins with.
    pub(super) offset: u64,
    /// The file's path, as the process sees it.
    pub(super) path: String,
}

impl Mapping {
    /// Every mapping of a file of a process.
    pub(super) fn all(pid: u32) -> std::io::Result<Vec<Self>> {
        let mut text = Vec::new();
        File::open(format!("/proc/{pid}/maps"))?.take(MAPS_BYTES_MAX).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).lines().filter_map(Self::parse).collect())
    }

    /// The first of these mappings of each file whose base name `wanted` accepts.
    pub(super) fn first(all: &[Self], wanted: impl Fn(&str) -> bool) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for mapping in all {
            if wanted(mapping.name()) && found.iter().all(|known| known.path != mapping.path) {
                found.push(mapping.clone());
            }
        }
        found
    }

    /// The file's base name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A path that leads to the mapped file itself, whatever has its name now.
    pub(super) fn file_of(&self, pid: u32) -> PathBuf {
        format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end).into()
    }
}

/// Opens a file that may be anything.
pub(super) fn open(path: &std::path::Path) -> std::io::Result<File> {
    // Not blocking: it could be a pipe.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let mut next = || fields.next();
        let (range, _, offset, _, _) = (next()?, next()?, next()?, next()?, next()?);
        let path = next()?.trim_start();
        let (start, end) = range.split_once('-')?;
        path.starts_with('/').then_some(())?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = (number(start)?, number(end)?);
        Some(Self { start, end, offset: number(offset)?, path: path.to_owned() })
    }
}

/// False if a process is no more, or only its status is (proc_pid_stat(5)).
pub(super) fn is_alive(tgid: u32) -> bool {
    let Ok(stat) = std::fs::read(format!("/proc/{tgid}/stat")) else { return false };
    // The name before it may hold anything.
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    !matches!(state, Some(b'Z' | b'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
00400000-00401000 r--p 00000000 fe:00 131 /usr/bin/python3.11
00401000-00500000 r-xp 00001000 fe:00 131 /usr/bin/python3.11
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 r--p 00002000 fe:00 7                          /opt/a b/libpython3.12.so.1.0 (deleted)
7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0                          [stack]
";

    #[test]
    fn the_first_mapping_of_each_wanted_file() {
        let all: Vec<_> = MAPS.lines().filter_map(Mapping::parse).collect();
        let found = Mapping::first(&all, |name| name.contains("python"));
        let told: Vec<_> = found.iter().map(|one| (one.start, one.offset, one.path.as_str())).collect();
        let library = "/opt/a b/libpython3.12.so.1.0 (deleted)";
        assert_eq!(told, [(0x40_0000, 0, "/usr/bin/python3.11"), (0x7f00_0000_2000, 0x2000, library)]);
        assert_eq!(found[0].file_of(7), PathBuf::from("/proc/7/map_files/400000-401000"));
    }

    #[test]
    fn nothing_else_is_a_file() {
        assert!("x\n-\n1-2 r 0 0 0 [heap]\n1-2 r z 0 0 /a\n".lines().all(|line| Mapping::parse(line).is_none()));
    }

    #[test]
    fn who_has_ended_is_not_alive() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let id = child.id();
        while is_alive(id) {
            std::thread::yield_now();
        }
        child.wait().expect("an end");
        assert!(!is_alive(id));
    }
}
