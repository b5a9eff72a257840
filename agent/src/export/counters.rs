//! What became of every span: each one given to the exporter ends in exactly one of these counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::Reading;

/// Why spans were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Too many were waiting: the oldest went.
    QueueFull,
    /// The collector said that it will never take them.
    Refused,
    /// The collector could not take them for too long.
    GaveUp,
    /// The agent stopped before they could be delivered.
    Shutdown,
    /// The file or the terminal could not be written.
    Io,
    /// The exporter is switched off.
    NoExporter,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::QueueFull, Self::Refused, Self::GaveUp, Self::Shutdown, Self::Io, Self::NoExporter];

    /// The value of the metric label `reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::GaveUp => "gave_up",
            Self::Shutdown => "shutdown",
            Self::Io => "io",
            Self::NoExporter => "no_exporter",
        }
    }
}

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Spans delivered.
    pub exported: u64,
    /// Spans a collector took but then rejected (partial success).
    pub rejected: u64,
    /// Spans of traces the sampler left out.
    pub sampled_out: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Spans dropped, by reason.
    pub dropped: Dropped,
}

/// Spans dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// Those dropped for one reason.
    #[must_use]
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The live counters: cheap to clone, read from any thread.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    exported: AtomicU64,
    rejected: AtomicU64,
    sampled_out: AtomicU64,
    retries: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
}

impl Counts {
    /// Reads them.
    #[must_use]
    pub fn read(&self) -> Counters {
        let cells = &self.0;
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counters {
            exported: load(&cells.exported),
            rejected: load(&cells.rejected),
            sampled_out: load(&cells.sampled_out),
            retries: load(&cells.retries),
            dropped: Dropped(DropReason::ALL.map(|reason| load(&cells.dropped[reason as usize]))),
        }
    }

    /// The same as readings for the agent's own metrics.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let now = self.read();
        let mut readings = vec![
            Reading::new("agent_export_exported_spans_total", now.exported),
            Reading::new("agent_export_rejected_spans_total", now.rejected),
            Reading::new("agent_export_sampled_out_spans_total", now.sampled_out),
            Reading::new("agent_export_retried_requests_total", now.retries),
        ];
        readings.extend(DropReason::ALL.map(|reason| {
            Reading::new("agent_export_dropped_spans_total", now.dropped.of(reason)).label("reason", reason.name())
        }));
        readings
    }

    pub(crate) fn exported(&self, spans: u64) {
        self.0.exported.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, spans: u64) {
        self.0.rejected.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn sampled_out(&self, spans: u64) {
        self.0.sampled_out.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason, spans: u64) {
        self.0.dropped[reason as usize].fetch_add(spans, Ordering::Relaxed);
    }
}
