//! What a try ended with, and how long to wait for the next.

use std::time::Duration;

use crate::export::limits::{RETRY_AFTER_MAX, RETRY_WAIT_MAX, RETRY_WAIT_MIN};

/// The collector took a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Spans it rejected all the same (partial success).
    pub(crate) rejected: u64,
    /// What it said about it.
    pub(crate) message: String,
}

/// The collector did not take a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may take it later.
    Transient {
        /// What happened.
        reason: String,
        /// Not before so long, by the collector's own word.
        after: Option<Duration>,
    },
    /// It never will.
    Permanent {
        /// What happened.
        reason: String,
    },
}

/// Exponential back-off with jitter.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(RETRY_WAIT_MIN)
    }

    /// How long to wait before the next try. `random` is in 0..1 and spreads the tries of many agents over half of the
    /// wait. The collector's word is a lower bound, itself bounded.
    pub(crate) fn next(&mut self, after: Option<Duration>, random: f64) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(RETRY_WAIT_MAX);
        match after {
            Some(after) => after.min(RETRY_AFTER_MAX) + RETRY_WAIT_MIN.mul_f64(random),
            None => wait.mul_f64(0.5 + random / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;
    use crate::export::limits::{RETRY_AFTER_MAX, RETRY_WAIT_MAX};

    #[test]
    fn waits_double_up_to_the_limit_and_spread_over_half() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..6).map(|_| backoff.next(None, 1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.next(None, 0.0), RETRY_WAIT_MAX / 2);
    }

    #[test]
    fn the_collectors_word_is_a_lower_bound() {
        let after = Duration::from_secs(30);
        assert_eq!(Backoff::new().next(Some(after), 0.0), after);
        assert!(Backoff::new().next(Some(after), 0.9) > after);
        assert_eq!(Backoff::new().next(Some(Duration::MAX), 0.0), RETRY_AFTER_MAX);
    }
}
