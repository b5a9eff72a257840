//! What was decided about an exchange before it becomes a span: its ids, its cause, and how that is known.

use smol_str::SmolStr;

use crate::ids::{BootNanos, SpanId, TraceId};
use crate::span::{Confidence, SpanLink};

/// How a link is known: the closed list of `tracemend.link.evidence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// A server half met its client half by identity.
    Peer,
    /// The ids on the wire name the cause.
    Wire,
    /// The thread that made the call read the request.
    Thread,
    /// The thread or process that made the call was created while serving the request.
    Birth,
    /// The unit of a runtime that made the call works for the request, or was created while serving it.
    Unit,
    /// The unit of a runtime that made the call took something from a queue that was put there for the request.
    Item,
    /// The call was given a context that stems from the request's.
    Context,
    /// The unit of a runtime that made the call answered the request next, and calls for one request at a time.
    Answer,
    /// A known discipline of nginx.
    Nginx,
    /// Nothing caused it: the first span of its trace.
    Root,
    /// Nothing is known of the cause.
    None,
}

impl Evidence {
    /// All of them, in the order docs list them.
    pub const ALL: [Self; 11] = [
        Self::Peer,
        Self::Wire,
        Self::Thread,
        Self::Birth,
        Self::Unit,
        Self::Item,
        Self::Context,
        Self::Answer,
        Self::Nginx,
        Self::Root,
        Self::None,
    ];

    /// The value of `tracemend.link.evidence`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Wire => "wire",
            Self::Thread => "thread",
            Self::Birth => "birth",
            Self::Unit => "unit",
            Self::Item => "item",
            Self::Context => "context",
            Self::Answer => "answer",
            Self::Nginx => "nginx",
            Self::Root => "root",
            Self::None => "none",
        }
    }

    /// One sentence for the docs.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Peer => "the two ends of one exchange were matched by the identity of its bytes",
            Self::Wire => {
                "the ids on the request equal those of exactly one open incoming request, or name the parent span"
            }
            Self::Thread => "the thread that made the call read the request and never interleaves requests",
            Self::Birth => "the thread or process that made the call was created while serving the request",
            Self::Unit => {
                "the runtime's own unit that made the call read the request, answers on its connection, or was created \
                 while serving it"
            }
            Self::Item => {
                "the runtime's own unit that made the call took something from a queue, or from a pipe between processes, that was \
                 put there for the request"
            }
            Self::Context => "the call was given a context (Go's context.Context) that stems from the request's own",
            Self::Answer => {
                "the runtime's own unit that made the call woke the request's own next, which had waited for it, and takes turns \
                 between calls and answers"
            }
            Self::Nginx => "nginx made the call in the turn of the request, or over the connection it opened for it",
            Self::Root => "the first span of its trace: nothing observed caused it",
            Self::None => "no cause could be proved: see the orphan reason",
        }
    }
}

/// Why a call has no parent although its process was serving: the closed list of `tracemend.link.orphan_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrphanReason {
    /// No tag and no id leads to a request.
    NoLineage,
    /// A long-lived worker acted, and what it was handed was not seen.
    WorkerWithoutItem,
    /// Several requests were taken together.
    AmbiguousBatch,
    /// The runtime hides its units, and no adapter reads them.
    AdapterMissing,
    /// The thread interleaves requests.
    EventLoop,
    /// The cause passed through something that cannot be read.
    OpaqueHop,
    /// Records were lost.
    Lossy,
    /// Two kinds of evidence disagreed.
    Conflict,
    /// Evidence came after the link had to be settled.
    Late,
}

impl OrphanReason {
    /// All of them, in the order docs list them.
    pub const ALL: [Self; 9] = [
        Self::NoLineage,
        Self::WorkerWithoutItem,
        Self::AmbiguousBatch,
        Self::AdapterMissing,
        Self::EventLoop,
        Self::OpaqueHop,
        Self::Lossy,
        Self::Conflict,
        Self::Late,
    ];

    /// The value of `tracemend.link.orphan_reason`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoLineage => "no lineage",
            Self::WorkerWithoutItem => "worker without item",
            Self::AmbiguousBatch => "ambiguous batch",
            Self::AdapterMissing => "adapter missing",
            Self::EventLoop => "event loop",
            Self::OpaqueHop => "opaque hop",
            Self::Lossy => "lossy",
            Self::Conflict => "conflict",
            Self::Late => "late",
        }
    }

    /// One sentence for the docs.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoLineage => "the calling thread carries no tag and the call no id that lead to a request",
            Self::WorkerWithoutItem => "a long-lived worker made the call, and what it was handed was not seen",
            Self::AmbiguousBatch => "several requests were taken together, and nothing says which one caused it",
            Self::AdapterMissing => "the runtime runs its own units on threads, and no adapter reads them yet",
            Self::EventLoop => "the process interleaves requests on one thread, so the thread proves nothing",
            Self::OpaqueHop => "the cause passed through something whose content cannot be read",
            Self::Lossy => "records of the process were lost, so nothing stamped meanwhile is proof",
            Self::Conflict => "two kinds of evidence named different causes",
            Self::Late => "the evidence came after the link had to be settled",
        }
    }
}

/// What was decided about one half.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own span.
    pub span_id: SpanId,
    /// Its cause; none at a root or an orphan.
    pub parent: Option<SpanId>,
    /// How the cause is known.
    pub evidence: Evidence,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why there is no cause, at an orphan.
    pub orphan_reason: Option<OrphanReason>,
    /// Two kinds of evidence disagreed.
    pub conflict: bool,
    /// Causes that are not the parent.
    pub links: Vec<SpanLink>,
    /// When it started; at a client the earlier of its own send and the peer's read.
    pub start: BootNanos,
    /// `tracestate` of the trace.
    pub tracestate: Option<SmolStr>,
    /// The sampled flag of the context the **trace** came with, the same for all its spans; none if it came with none.
    pub sampled: Option<bool>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Evidence, OrphanReason};

    #[test]
    fn every_name_of_a_closed_list_is_its_own() {
        let evidence: HashSet<_> = Evidence::ALL.map(Evidence::name).into();
        assert_eq!(evidence.len(), Evidence::ALL.len());
        let reasons: HashSet<_> = OrphanReason::ALL.map(OrphanReason::name).into();
        assert_eq!(reasons.len(), OrphanReason::ALL.len());
    }
}
