//! When requests are due.

use std::time::{Duration, Instant};

use fastrand::Rng;

/// The schedule of a load.
pub(crate) struct Pace {
    start: Instant,
    length: Duration,
    /// Requests a second; none if one is due whenever a connection is idle.
    rate: Option<f64>,
    /// What the time of each in its interval is picked by; at its beginning if there is none.
    random: Option<Rng>,
    sent: u64,
    /// When the next one is due, in intervals since the start.
    next: f64,
}

impl Pace {
    pub(crate) fn new(start: Instant, length: Duration, rate: Option<f64>, seed: Option<u64>) -> Self {
        let mut pace = Self { start, length, rate, random: seed.map(Rng::with_seed), sent: 0, next: 0.0 };
        pace.plan();
        pace
    }

    pub(crate) fn sent(&mut self) {
        self.sent += 1;
        self.plan();
    }

    fn plan(&mut self) {
        self.next = self.sent as f64 + self.random.as_mut().map_or(0.0, Rng::f64);
    }

    /// Whether no more requests are to be sent.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now - self.start >= self.length
    }

    /// Whether a request is to be sent now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        !self.is_over(now) && self.rate.is_none_or(|rate| self.next < (now - self.start).as_secs_f64() * rate)
    }

    /// How long to wait for answers: until the next request is due, if there is a connection for it. None if answers are
    /// not waited for any more.
    pub(crate) fn pause(&self, now: Instant, idle: bool, drain: Duration) -> Option<Duration> {
        let elapsed = now - self.start;
        if elapsed >= self.length + drain {
            return None;
        }
        let end = if elapsed < self.length { self.length } else { self.length + drain };
        let next = match self.rate {
            Some(rate) if idle && elapsed < self.length => Duration::from_secs_f64(self.next / rate).min(end),
            _ => end,
        };
        Some(next.saturating_sub(elapsed))
    }

    /// Requests that were due in all, and not sent.
    pub(crate) fn late(&self) -> u64 {
        self.rate.map_or(0, |rate| ((self.length.as_secs_f64() * rate) as u64).saturating_sub(self.sent))
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
