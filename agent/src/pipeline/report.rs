//! What the agent says of itself: counters for its own metrics, and the last line of its log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tracemend_core::engine::Engine;

use super::facts::Facts;
use super::runtimes::Runtimes;
use crate::attach::Session;
use crate::attach::runtime::Kind;
use crate::export::Counts;
use crate::telemetry::{Reading, Registry, Telemetry};

/// Counters as they were last published.
#[derive(Clone, Debug, Default)]
struct Published {
    losses: BTreeMap<&'static str, u64>,
    links: [u64; 4],
    orphans: u64,
    conflicts: u64,
    excluded: u64,
    runtimes: super::runtimes::Counts,
}

/// Counters of all stages.
pub(super) struct Report {
    published: Arc<Mutex<Published>>,
    exported: Counts,
}

impl Report {
    pub(super) fn new(exported: Counts) -> Self {
        Self { published: Arc::default(), exported }
    }

    /// Sends the counters as metrics, if the environment asks for it.
    pub(super) fn publish(&self, runtime: &Handle) -> anyhow::Result<Option<Telemetry>> {
        let (published, exported) = (Arc::clone(&self.published), self.exported.clone());
        let registry: Registry = Arc::new(move || {
            let mut readings = published.lock().unwrap_or_else(PoisonError::into_inner).readings();
            readings.extend(exported.readings());
            readings
        });
        let lookup = |name: &str| std::env::var(name).ok();
        Ok(Telemetry::start(&lookup, runtime, &registry)?)
    }

    /// Takes the counters of all stages.
    pub(super) fn update(&self, session: &Session, engine: &mut Engine, facts: &Facts, runtimes: &Runtimes) {
        let stats = engine.stats();
        let host = facts.counters();
        let mut losses: BTreeMap<_, _> = session.losses().into_iter().collect();
        losses.extend(engine.losses());
        losses.insert("processes_evicted", host.processes_evicted);
        losses.insert("memory_reads_stalled", host.memory_reads_stalled);
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Published {
            losses,
            links: stats.links,
            orphans: stats.orphans,
            conflicts: stats.conflicts,
            excluded: stats.excluded_spans,
            runtimes: runtimes.counts().clone(),
        };
    }

    /// Logs everything once more: what was traced, and what was lost.
    pub(super) fn last_words(&self) {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let exported = self.exported.read();
        let mut losses = published.losses;
        losses.insert("spans_dropped", exported.dropped.total());
        losses.insert("spans_rejected", exported.rejected);
        losses.retain(|_, count| *count > 0);
        let losses = serde_json::to_string(&losses).unwrap_or_default();
        let [none, weak, strong, exact] = published.links;
        tracing::info!(
            spans = exported.exported,
            sampled_out = exported.sampled_out,
            excluded = published.excluded,
            links_exact = exact,
            links_strong = strong,
            links_weak = weak,
            links_none = none,
            orphans = published.orphans,
            conflicts = published.conflicts,
            losses,
            "stats"
        );
    }
}

impl Published {
    fn readings(&self) -> Vec<Reading> {
        const CONFIDENCE: [&str; 4] = ["none", "weak", "strong", "exact"];
        let loss = |(reason, count): (&&'static str, &u64)| {
            Reading::new("agent_loss_events_total", *count).label("reason", *reason)
        };
        let links = CONFIDENCE.iter().zip(self.links).map(|(confidence, count)| {
            Reading::new("agent_causal_links_total", count).label("confidence", *confidence)
        });
        let mut readings: Vec<_> = self.losses.iter().map(loss).collect();
        readings.extend(links);
        let runtime = |kind: Kind, state: &'static str, count| {
            Reading::new("agent_runtime_processes_total", count).label("runtime", kind.name()).label("state", state)
        };
        readings.extend(self.runtimes.active.iter().map(|(kind, count)| runtime(*kind, "active", *count)));
        readings.extend(self.runtimes.refused.iter().map(|((kind, state), count)| runtime(*kind, state, *count)));
        readings.push(Reading::new("agent_causal_orphans_total", self.orphans));
        readings.push(Reading::new("agent_causal_conflicts_total", self.conflicts));
        readings.push(Reading::new("agent_span_excluded_total", self.excluded));
        readings
    }
}
