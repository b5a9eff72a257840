//! Waits between two looks at the rings.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// Tells when a ring's writer asks for its reader, as it does once the ring fills.
///
/// Edges are waited for: that there is something in a ring, which `poll(2)` answers to, is always so on a busy host.
#[derive(Debug)]
pub struct Wakes(OwnedFd);

impl Wakes {
    /// Of these rings.
    ///
    /// # Errors
    /// The kernel has no room for it.
    pub fn of<R: AsFd>(rings: &[R]) -> io::Result<Self> {
        let wakes = Self(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        rings.iter().try_for_each(|ring| wakes.add(ring))?;
        Ok(wakes)
    }

    /// And of something else that becomes readable.
    ///
    /// # Errors
    /// The kernel has no room for it.
    pub fn add(&self, other: impl AsFd) -> io::Result<()> {
        let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
        Ok(epoll::add(&self.0, other, epoll::EventData::new_u64(0), edges)?)
    }

    /// Waits for the next one, until `pause` is over, or for a signal. True if one came.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, pause: Duration) -> io::Result<bool> {
        let mut woken = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 4];
        let pause = Timespec::try_from(pause).map_err(io::Error::other)?;
        match epoll::wait(&self.0, &mut woken, Some(&pause)) {
            Ok(came) => Ok(came > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Instant;

    use super::*;

    /// Long enough to tell one wait from the other on a busy machine.
    const PAUSE: Duration = Duration::from_millis(200);

    #[test]
    fn what_is_there_ends_no_wait_and_what_comes_does() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let wakes = Wakes::of(&[&reader]).expect("epoll");
        let waited = || {
            let start = Instant::now();
            (wakes.wait(PAUSE).expect("a wait"), start.elapsed())
        };
        writer.write_all(b"1").expect("room");
        assert!(waited().0);
        let (came, elapsed) = waited();
        assert!(!came && elapsed >= PAUSE, "it was told of once");
        writer.write_all(b"2").expect("room");
        let (came, elapsed) = waited();
        assert!(came && elapsed < PAUSE);
    }
}
