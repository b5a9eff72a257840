//! Takes probes away on a thread of its own: each waits for the kernel for about a tenth of a second, and processes of a pool
//! come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Takes away what it is given, by dropping it.
#[derive(Debug)]
pub(super) struct Reaper<T> {
    given: Sender<T>,
    left: Arc<AtomicUsize>,
}

impl<T: Send + 'static> Reaper<T> {
    /// Starts its thread, which ends once this is dropped and all is gone.
    ///
    /// # Errors
    /// There is no room for one.
    pub(super) fn start() -> std::io::Result<Self> {
        let (given, taken) = channel();
        let left = Arc::<AtomicUsize>::default();
        let still = Arc::clone(&left);
        thread::Builder::new().name("detach".into()).spawn(move || work(&taken, &still))?;
        Ok(Self { given, left })
    }

    /// Has one taken away soon.
    pub(super) fn take(&self, one: T) {
        self.left.fetch_add(1, Ordering::Relaxed);
        // Its thread ends with it alone.
        let _ = self.given.send(one);
    }

    /// How many are not gone yet.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

fn work<T>(taken: &Receiver<T>, left: &AtomicUsize) {
    for one in taken {
        drop(one);
        left.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    use super::*;

    /// Waits when it is dropped.
    struct Slow(Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv_timeout(Duration::from_secs(10)).expect("let go");
        }
    }

    #[test]
    fn what_is_given_goes_elsewhere_and_is_counted_until_then() {
        let reaper = Reaper::start().expect("a thread");
        let (let_go, held) = sync_channel(0);
        reaper.take(Slow(held));
        assert_eq!(reaper.left(), 1);
        let_go.send(()).expect("it waits");
        let gone = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            reaper.left() == 0
        });
        assert!(gone);
    }
}
