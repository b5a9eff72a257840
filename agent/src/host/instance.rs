//! One agent per host.
//!
//! The lock is an advisory lock (flock(2)) on the agent's **pid namespace** itself, `/proc/self/ns/pid`. Every agent is
//! in the initial pid namespace (it refuses to run elsewhere), and the kernel has one inode for it whatever mount or
//! network namespace it is opened from. So it holds across containers, where a file under `/run` would be one per mount
//! namespace and an abstract socket one per network namespace; it needs nothing writable; and it ends with the process,
//! however that ends, so that nothing can be stale.
//!
//! Anybody may lock that file. A holder that is not root's is therefore no agent, and is only reported.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::limits::{LOCKS_BYTES_MAX, STATUS_BYTES_MAX};
use super::proc::Proc;

const LOCKED: &str = "/proc/self/ns/pid";

/// Held for as long as the agent runs.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
}

/// Who holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id, where the kernel's list of locks told.
    pub pid: Option<u32>,
    /// It runs as root, as agents do; also assumed where it cannot be told.
    pub privileged: bool,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Another process has it.
    #[error("another agent is running{}", .0.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held(Holder),
    /// The lock cannot be used on this system.
    #[error("cannot lock {LOCKED}")]
    Unusable(#[from] io::Error),
}

impl Instance {
    /// Takes the lock.
    ///
    /// # Errors
    /// When it is held, or cannot be used.
    pub fn claim() -> Result<Self, Refused> {
        Self::claim_file(Path::new(LOCKED))
    }

    fn claim_file(path: &Path) -> Result<Self, Refused> {
        let file = File::open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _lock: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Refused::Held(holder_of(&file)?.unwrap_or(Holder { pid: None, privileged: true })))
            }
            Err(error) => Err(Refused::Unusable(error.into())),
        }
    }

    /// Who holds the lock, without trying to take it: a look must not make an agent that starts meanwhile give up.
    ///
    /// # Errors
    /// When the kernel's list of locks cannot be read.
    pub fn holder() -> io::Result<Option<Holder>> {
        holder_of(&File::open(LOCKED)?)
    }
}

fn holder_of(file: &impl AsFd) -> io::Result<Option<Holder>> {
    let stat = rustix::fs::fstat(file)?;
    let proc = Proc::open(Path::new("/proc"))?;
    let locks = proc.read("locks", LOCKS_BYTES_MAX)?;
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let pid = locker(&String::from_utf8_lossy(&locks), device, stat.st_ino);
    Ok(pid.map(|pid| Holder { pid: Some(pid), privileged: real_user(&proc, pid).is_none_or(|user| user == 0) }))
}

/// The process that holds an advisory whole-file lock on a file, by `/proc/locks` (proc_locks(5)):
/// `1: FLOCK  ADVISORY  WRITE 14097 00:04:4026531836 0 EOF`. Lines with `->` wait for one.
pub(super) fn locker(locks: &str, device: (u32, u32), inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else {
            return None;
        };
        let mut parts = file.split(':');
        let major = u32::from_str_radix(parts.next()?, 16).ok()?;
        let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
        let number: u64 = parts.next()?.parse().ok()?;
        let same = (major, minor) == device && number == inode;
        same.then(|| pid.parse().ok())?
    })
}

/// First of the `Uid` line of `/proc/PID/status`: the real user, as the agent's user namespace has it.
fn real_user(proc: &Proc, pid: u32) -> Option<u32> {
    let status = proc.read(&format!("{pid}/status"), STATUS_BYTES_MAX).ok()?;
    let status = String::from_utf8_lossy(&status).into_owned();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 11264 fe:00:5325241 0 EOF
2: POSIX  ADVISORY  WRITE 500 00:04:4026531836 0 EOF
3: FLOCK  ADVISORY  WRITE 14097 00:04:4026531836 0 EOF
3: -> FLOCK  ADVISORY  WRITE 14200 00:04:4026531836 0 EOF
";

    #[test]
    fn the_locks_holder_is_found_by_device_and_inode() {
        assert_eq!(locker(LOCKS, (0, 4), 4_026_531_836), Some(14097));
        assert_eq!(locker(LOCKS, (0xfe, 0), 5_325_241), Some(11264));
        assert_eq!(locker(LOCKS, (0, 5), 4_026_531_836), None);
    }

    #[test]
    fn damaged_lists_name_nobody() {
        for locks in ["", "1: FLOCK", "1: FLOCK ADVISORY WRITE x 00:04:1 0 EOF", "1: FLOCK A W 1 zz:04:1 0"] {
            assert_eq!(locker(locks, (0, 4), 1), None);
        }
    }

    #[test]
    fn a_second_claim_is_refused_with_the_first_ones_pid_until_it_ends() {
        // The uts namespace's file: same file system as the real one, and no agent locks it.
        let path = Path::new("/proc/self/ns/uts");
        let first = Instance::claim_file(path).expect("free");
        match Instance::claim_file(path) {
            Err(Refused::Held(holder)) => assert_eq!(holder.pid, Some(std::process::id())),
            other => panic!("not refused: {other:?}"),
        }
        drop(first);
        let file = File::open(path).expect("opens");
        assert_eq!(holder_of(&file).expect("readable"), None);
        Instance::claim_file(path).expect("free again");
    }
}
