//! Capped reads below `/proc`, pinned to one process.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags};

use super::limits::{LINE_BYTES_MAX, LINK_BYTES_MAX, SCANNED_PROCESSES_MAX};

/// A mounted proc file system (`/proc`, or a folder of fixtures).
#[derive(Debug)]
pub(super) struct Proc {
    root: OwnedFd,
}

/// One process's folder. Held open it names that process for good: when the process is gone reads fail, they never
/// show the next one with its number.
#[derive(Debug)]
pub(super) struct ProcessDir {
    fd: OwnedFd,
    pid: u32,
}

/// What `/proc/PID/stat` tells (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Parent process id.
    pub(super) parent: u32,
    /// Start, in clock ticks after boot.
    pub(super) start_ticks: u64,
    /// It is a thread of the kernel.
    pub(super) kernel: bool,
    /// It has ended, and waits for its parent to notice: its command and executable are gone.
    pub(super) over: bool,
    /// Where the stack began at exec; none if not shown to the agent. Random at every exec and kept by forks, so equal
    /// ones of parent and child say that the child still runs the parent's program as the parent started it.
    pub(super) stack: Option<u64>,
}

impl Proc {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(root, flags, Mode::empty())? })
    }

    /// Pins a process.
    pub(super) fn process(&self, pid: u32) -> io::Result<ProcessDir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.root, pid.to_string(), flags, Mode::empty())?;
        Ok(ProcessDir { fd, pid })
    }

    /// The processes that are there now, in order of their ids.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids: Vec<u32> = names(&self.root, ".", usize::MAX)?
            .iter()
            .filter_map(|name| name.parse().ok())
            .take(SCANNED_PROCESSES_MAX)
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// At most `cap` bytes of a file, by its path below the root.
    pub(super) fn read(&self, path: &str, cap: usize) -> io::Result<Vec<u8>> {
        read_at(&self.root, path, cap)
    }

    /// The text of a link, by its path below the root.
    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        link_at(&self.root, path)
    }
}

impl ProcessDir {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// At most `cap` bytes of a file.
    pub(super) fn read(&self, path: &str, cap: usize) -> io::Result<Vec<u8>> {
        read_at(&self.fd, path, cap)
    }

    /// As [`read`](Self::read), but ends early once `done` says so of what was read.
    pub(super) fn read_until(&self, path: &str, cap: usize, done: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        read_until_at(&self.fd, path, cap, done)
    }

    /// The text of a link; what is not UTF-8 in it is replaced.
    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        link_at(&self.fd, path)
    }

    /// Names in a folder, at most `cap`.
    pub(super) fn names(&self, path: &str, cap: usize) -> io::Result<Vec<String>> {
        names(&self.fd, path, cap)
    }

    pub(super) fn stat(&self) -> Option<Stat> {
        Stat::parse(&self.read("stat", LINE_BYTES_MAX).ok()?)
    }

    /// The inode of one of its namespaces (`net`, `pid`).
    pub(super) fn namespace(&self, kind: &str) -> Option<u32> {
        namespace_inode(&self.link(&format!("ns/{kind}")).ok()?)
    }
}

impl Stat {
    /// The command in parentheses is the process's own choice and may hold parentheses, blanks and line ends: fields
    /// are counted from the last `)`.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        /// `PF_KTHREAD` of `task_struct.flags`.
        const KERNEL_THREAD: u64 = 0x0020_0000;
        let end = line.iter().rposition(|&byte| byte == b')')?;
        let fields: Vec<&str> = std::str::from_utf8(&line[end + 1..]).ok()?.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            start_ticks: number(19)?,
            kernel: number(6)? & KERNEL_THREAD != 0,
            over: matches!(fields.first(), Some(&("Z" | "X"))),
            stack: number(25).filter(|&address| address > 1),
        })
    }
}

/// The number in `net:[4026531840]`.
pub(super) fn namespace_inode(link: &str) -> Option<u32> {
    let (_, rest) = link.split_once(":[")?;
    rest.strip_suffix(']')?.parse().ok()
}

fn read_at(dir: &OwnedFd, path: &str, cap: usize) -> io::Result<Vec<u8>> {
    read_until_at(dir, path, cap, |_| false)
}

fn read_until_at(dir: &OwnedFd, path: &str, cap: usize, done: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    // Not blocking: a folder that is no proc file system could hold a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, path, flags, Mode::empty())?;
    let mut bytes = Vec::with_capacity(cap.min(LINE_BYTES_MAX));
    let mut block = vec![0; cap.min(16 << 10)];
    while bytes.len() < cap && !done(&bytes) {
        let room = block.len().min(cap - bytes.len());
        let offset = bytes.len() as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut block[..room], offset))? {
            0 => break,
            read => bytes.extend_from_slice(&block[..read]),
        }
    }
    Ok(bytes)
}

fn link_at(dir: &OwnedFd, path: &str) -> io::Result<String> {
    let text = rustix::fs::readlinkat(dir, path, Vec::with_capacity(256))?;
    if text.as_bytes().len() > LINK_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(text.to_string_lossy().into_owned())
}

fn names(dir: &OwnedFd, path: &str, cap: usize) -> io::Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(dir, path, flags, Mode::empty())?;
    let names = Dir::read_from(&folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "." && name != "..")
        .take(cap)
        .collect();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4711 (nginx) S 1 4711 4711 0 -1 4194624 1063 0 0 0 12 7 0 0 20 0 1 0 887766 11567104 1234 \
        18446744073709551615 1 1 1073745920 0 0 0 0 1073745920 402745863 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn stat_of_a_server() {
        let expected = Stat { parent: 1, start_ticks: 887_766, kernel: false, over: false, stack: Some(1_073_745_920) };
        assert_eq!(Stat::parse(STAT.as_bytes()), Some(expected));
    }

    #[test]
    fn a_command_cannot_forge_fields() {
        let hostile = STAT.replace("(nginx)", "(x) R 7 7 7 0 -1 0\n (y)");
        let stat = Stat::parse(hostile.as_bytes()).expect("well-formed after the last parenthesis");
        assert_eq!((stat.parent, stat.start_ticks), (1, 887_766));
    }

    #[test]
    fn kernel_threads_are_told_apart() {
        let kthreadd = STAT.replace("4194624", "2129984");
        assert!(Stat::parse(kthreadd.as_bytes()).expect("parses").kernel);
    }

    #[test]
    fn cut_or_empty_lines_are_refused() {
        for line in [&b""[..], b")", b"1 (a) S 1 2", b"1 (a S 1", &[0xff; 64]] {
            assert_eq!(Stat::parse(line), None);
        }
    }

    #[test]
    fn reads_stop_at_the_cap() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("big"), vec![b'x'; 100_000]).expect("file");
        let proc = Proc::open(folder.path()).expect("opens");
        assert_eq!(proc.read("big", 70_000).expect("reads").len(), 70_000);
        assert_eq!(proc.read("big", 200_000).expect("reads").len(), 100_000);
    }

    #[test]
    fn this_process_is_in_the_list_with_its_namespaces() {
        let proc = Proc::open(Path::new("/proc")).expect("opens");
        let own = std::process::id();
        assert!(proc.pids().expect("lists").contains(&own));
        let dir = proc.process(own).expect("pinned");
        assert!(dir.namespace("net").is_some());
        assert!(!dir.stat().expect("stat").kernel);
    }

    #[test]
    fn namespace_links() {
        assert_eq!(namespace_inode("net:[4026531840]"), Some(4_026_531_840));
        assert_eq!(namespace_inode("net:[]"), None);
        assert_eq!(namespace_inode("/somewhere"), None);
    }
}
