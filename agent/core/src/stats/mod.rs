//! Counters of the core: every loss has a name.

use crate::span::{Confidence, Decision};

/// What the core counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Spans by the confidence of their link: none, weak, strong, exact.
    pub links: [u64; 4],
    /// Calls without a cause in a process that was serving.
    pub orphans: u64,
    /// Calls on which kinds of evidence disagreed.
    pub conflicts: u64,
    /// Exchanges whose identity more than one socket claimed, or whose two halves carry different requests.
    pub disputed_identities: u64,
    /// Jumps in a thread's record numbers: records of it were lost.
    pub thread_gaps: u64,
    /// Spans of excluded paths and of what they caused.
    pub excluded_spans: u64,
    /// Halves forgotten early to make room.
    pub evicted_halves: u64,
    /// Settled halves forgotten before their time to make room: calls that they may have caused later are orphans.
    pub forgotten_causes: u64,
    /// Halves settled early to make room: evidence that came later does not count.
    pub settled_early: u64,
    /// Threads forgotten to make room.
    pub evicted_threads: u64,
    /// Units of runtimes forgotten to make room.
    pub evicted_units: u64,
    /// Tasks forgotten to make room: calls that are made for them are orphans.
    pub evicted_tasks: u64,
    /// Turns of connections to brokers that were not read to their end: tasks put in the rest of them are not known.
    pub cut_broker_turns: u64,
    /// Processes whose facts were forgotten to make room.
    pub evicted_processes: u64,
    /// Connections forgotten to make room.
    pub evicted_connections: u64,
    /// Connections given up because unfinished heads and open exchanges had no room.
    pub given_up_connections: u64,
    /// Records that are no events.
    pub bad_records: u64,
    /// Bytes of a connection that was never announced, or was forgotten.
    pub unknown_connections: u64,
    /// Bytes of exchanges that were counted but not seen, as far as heads may have been in them.
    pub unseen_bytes: u64,
}

impl Stats {
    /// Counts a span's link.
    pub(crate) fn count_link(&mut self, decision: &Decision) {
        self.links[match decision.confidence {
            Confidence::None => 0,
            Confidence::Weak => 1,
            Confidence::Strong => 2,
            Confidence::Exact => 3,
        }] += 1;
        self.orphans += u64::from(decision.orphan_reason.is_some());
    }

    /// Names and values of everything that was lost.
    #[must_use]
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("disputed_identities", self.disputed_identities),
            ("thread_gaps", self.thread_gaps),
            ("evicted_halves", self.evicted_halves),
            ("forgotten_causes", self.forgotten_causes),
            ("settled_early", self.settled_early),
            ("evicted_threads", self.evicted_threads),
            ("evicted_units", self.evicted_units),
            ("evicted_tasks", self.evicted_tasks),
            ("cut_broker_turns", self.cut_broker_turns),
            ("evicted_processes", self.evicted_processes),
            ("evicted_connections", self.evicted_connections),
            ("given_up_connections", self.given_up_connections),
            ("bad_records", self.bad_records),
            ("unknown_connections", self.unknown_connections),
            ("unseen_bytes", self.unseen_bytes),
        ]
    }
}
