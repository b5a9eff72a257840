//! Why a span has the parent it has: every candidate, and why it was taken or refused.
//!
//! Made at the moment of the decision and from the same judgements, on request alone: it looks at every half there is.

mod client;
mod server;

use std::fmt;

use crate::causal::Causes;
use crate::causal::half::{Decided, Half};
use crate::causal::settle::Moment;
use crate::ids::{BootNanos, SpanId, TraceId};
use crate::proto::exchange::Role;

/// Candidates that are listed; of further ones only the number is told.
const CANDIDATES_MAX: usize = 64;

/// Why a span has the parent it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// What it is.
    pub subject: String,
    /// What was decided.
    pub verdict: String,
    /// What each kind of evidence said, whether it was heard or not.
    pub evidence: Vec<(&'static str, String)>,
    /// What could have been the cause.
    pub candidates: Vec<Candidate>,
    /// Candidates that are not listed.
    pub more: usize,
}

/// A half that could have been the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its span.
    pub span_id: SpanId,
    /// What it is.
    pub subject: String,
    /// Why it was taken or refused.
    pub verdict: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "span {} of trace {}: {}", self.span_id, self.trace_id, self.subject)?;
        writeln!(f, "  {}", self.verdict)?;
        for (kind, said) in &self.evidence {
            writeln!(f, "  {kind:<8}{said}")?;
        }
        for Candidate { span_id, subject, verdict } in &self.candidates {
            writeln!(f, "  candidate {span_id}: {subject}")?;
            writeln!(f, "    {verdict}")?;
        }
        match (self.candidates.len(), self.more) {
            (0, _) => writeln!(f, "  no candidates"),
            (_, 0) => Ok(()),
            (_, more) => writeln!(f, "  {more} more candidates"),
        }
    }
}

impl Causes {
    /// Explains a decision.
    pub(super) fn explain(&self, half: &Half, decided: &Decided, moment: Moment) -> Explanation {
        let (evidence, candidates) = match half.request.role {
            Role::Client => self.client_reasons(half, decided, moment),
            Role::Server => self.server_reasons(half),
        };
        let more = candidates.len().saturating_sub(CANDIDATES_MAX);
        Explanation {
            trace_id: decided.decision.trace_id,
            span_id: decided.decision.span_id,
            subject: subject(half),
            verdict: verdict(decided),
            evidence,
            candidates: candidates.into_iter().take(CANDIDATES_MAX).collect(),
            more,
        }
    }
}

fn verdict(decided: &Decided) -> String {
    let decision = &decided.decision;
    let mut text = match (decision.parent, decision.orphan_reason) {
        (Some(parent), _) => {
            format!("parent {parent}, by {}, {}", decision.evidence.name(), decision.confidence.name())
        }
        (None, Some(reason)) => format!("an orphan ({}): {}", reason.name(), reason.meaning()),
        (None, None) if !decision.links.is_empty() => {
            let (evidence, confidence) = (decision.evidence.name(), decision.confidence.name());
            format!("made for several, so without a parent, by {evidence}, {confidence}")
        }
        (None, None) => "the root of its trace: its process was serving nothing that is known".into(),
    };
    for link in &decision.links {
        text.push_str(&format!("; linked to {}", link.span_id));
    }
    if decided.excluded {
        text.push_str("; excluded by its path or its cause's");
    }
    text
}

/// A half in words. The query of a target may hold secrets.
fn subject(half: &Half) -> String {
    let request = &half.request;
    let target = request.target.split(['?', '#']).next().unwrap_or_default();
    let (role, did) = match request.role {
        Role::Client => ("client", "sent"),
        Role::Server => ("server", "read"),
    };
    let thread = request.actor.thread;
    let until = half.end.map_or_else(|| "open".to_owned(), |end| format!("over at {}", seconds(end.time)));
    format!(
        "{role} {} {target}, {did} by thread {} of process {} at {}, {until}",
        request.method,
        thread.tid.0,
        thread.process.tgid.0,
        seconds(request.start)
    )
}

/// Seconds since boot.
fn seconds(time: BootNanos) -> String {
    format!("{}.{:06} s", time.0 / 1_000_000_000, time.0 % 1_000_000_000 / 1000)
}
