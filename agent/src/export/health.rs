//! Says once that something fails, and once that it works again.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whether deliveries work at the moment.
#[derive(Debug)]
pub(crate) struct Health {
    what: String,
    failing_since: Mutex<Option<Instant>>,
}

impl Health {
    /// Of a destination; `what` names it in the log.
    pub(crate) fn new(what: String) -> Self {
        Self { what, failing_since: Mutex::default() }
    }

    /// A delivery failed. Logs and returns true if the one before did not.
    pub(crate) fn failed(&self, reason: &dyn Display) -> bool {
        let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        let first = since.is_none();
        since.get_or_insert_with(Instant::now);
        if first {
            tracing::warn!(destination = %self.what, %reason, "spans cannot be delivered; said once until they can");
        }
        first
    }

    /// A delivery worked. Logs and returns for how long they had failed, if they had.
    pub(crate) fn worked(&self) -> Option<Duration> {
        let since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let outage = since.elapsed();
        tracing::info!(destination = %self.what, seconds = outage.as_secs(), "spans are delivered again");
        Some(outage)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Health;

    #[tokio::test(start_paused = true)]
    async fn each_change_is_said_once() {
        let health = Health::new("a collector".into());
        assert_eq!(health.worked(), None);
        assert!(health.failed(&"refused"));
        assert!(!health.failed(&"refused"));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(health.worked(), Some(Duration::from_secs(9)));
        assert_eq!(health.worked(), None);
        assert!(health.failed(&"refused"));
    }
}
