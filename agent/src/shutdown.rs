//! The one request every thread of the agent listens to: finish and leave.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time from the request to the end of flushing. With two seconds for a traced command to end, and one to spare, a
/// signal ends the agent within ten; what is not exported by then is dropped and counted.
pub const FLUSH_MAX: Duration = Duration::from_secs(7);

/// A request to finish, shared by all threads; clones are the same request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requested: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Shutdown {
    /// Nothing requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests it. Later requests change nothing: the time of the first counts.
    pub fn request(&self) {
        self.lock().get_or_insert_with(Instant::now);
        self.0.changed.notify_all();
    }

    /// Whether it was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.lock().is_some()
    }

    /// Waits for the request, at most `timeout`; returns whether it was made.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let (requested, _) = self
            .0
            .changed
            .wait_timeout_while(self.lock(), timeout, |requested| requested.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        requested.is_some()
    }

    /// Waits for the request.
    pub fn wait(&self) {
        let guard = self.0.changed.wait_while(self.lock(), |requested| requested.is_none());
        drop(guard);
    }

    /// When flushing must be over: [`FLUSH_MAX`] after the request, none before it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().map(|requested| requested + FLUSH_MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        // A poisoned lock holds a plain value: there is no state to distrust.
        self.0.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_wakes_waiters_and_keeps_its_first_time() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.wait_timeout(Duration::ZERO));
        assert_eq!(shutdown.deadline(), None);

        let waiter = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || shutdown.wait()
        });
        shutdown.request();
        waiter.join().expect("the waiter returns");

        let deadline = shutdown.deadline();
        shutdown.request();
        assert_eq!(shutdown.deadline(), deadline);
        assert!(shutdown.is_requested());
    }
}
