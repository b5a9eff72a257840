//! Calls: every request that was open in the process is a candidate.

use super::{Candidate, subject};
use crate::causal::Causes;
use crate::causal::decide::{On, Pending};
use crate::causal::half::{Decided, Half};
use crate::causal::judge::{Opinion, Wire};
use crate::causal::lineage::Process;
use crate::causal::settle::Moment;
use crate::ids::BootNanos;
use crate::proto::exchange::{HalfKey, Role};
use crate::span::{Evidence, OrphanReason};

type Reasons = (Vec<(&'static str, String)>, Vec<Candidate>);

impl Causes {
    pub(super) fn client_reasons(&self, half: &Half, decided: &Decided, moment: Moment) -> Reasons {
        let asked = self.asked(half);
        let kernel = self.kernel(half, asked, moment);
        let wire = self.wire(half, asked);
        let evidence = vec![("wire", self.wire_says(&wire)), ("kernel", self.kernel_says(half, kernel))];
        let could = |other: &&Half| {
            let serves = other.request.role == Role::Server && other.process == half.process;
            serves && other.open_at(asked) && !half.is_same_exchange(other)
        };
        let named = [wire_names(&wire), kernel_names(kernel)];
        let candidates: Vec<&Half> =
            self.halves.all().filter(|other| could(other) || named.contains(&Some(other.request.key))).collect();
        let candidate = |other: &&Half| Candidate {
            span_id: self.span_id(other),
            subject: subject(other),
            verdict: self.candidate_verdict(half, other, decided, kernel, &wire, asked),
        };
        (evidence, candidates.iter().map(candidate).collect())
    }

    fn candidate_verdict(
        &self,
        half: &Half,
        other: &Half,
        decided: &Decided,
        kernel: Opinion,
        wire: &Wire,
        asked: BootNanos,
    ) -> String {
        let key = other.request.key;
        if decided.decision.parent == Some(self.span_id(other)) {
            return format!("taken: {}", decided.decision.evidence.meaning());
        }
        if kernel_names(kernel) == Some(key) {
            return "refused as the parent: the ids on the wire say otherwise".into();
        }
        if wire_names(wire) == Some(key) {
            return "refused: it carries the same ids, and the kernel's evidence says otherwise".into();
        }
        let mut why = Vec::new();
        if half.carried().next().is_some_and(|id| other.carried().any(|carried| carried == id)) {
            why.push("it carries the same ids, but does so not alone, or not as the first".to_owned());
        }
        if other.request.actor.thread == half.request.actor.thread {
            why.push(self.thread_refuses(half, other, kernel));
        } else if half.request.actor.own.is_none() && half.request.actor.birth.is_none() {
            why.push("another thread read it, and the one that calls was not created for any request".into());
        } else {
            why.push("another thread read it, and no tag of the one that calls names it".into());
        }
        if !other.open_at(asked) {
            why.push("it was over".into());
        }
        format!("refused: {}", why.join("; "))
    }

    /// The thread that calls read it, and yet that is no proof.
    fn thread_refuses(&self, half: &Half, other: &Half, kernel: Opinion) -> String {
        let interleaves = self.lineage.process(half.process).is_some_and(Process::interleaves);
        let latest = half
            .request
            .actor
            .own
            .is_some_and(|own| own.cookie == other.request.key.cookie && own.offset == other.turn);
        match kernel {
            _ if interleaves => {
                "the thread that calls read it, but its process interleaves requests on a thread".into()
            }
            _ if other.interleaved => "the thread that calls read it, but turned to others while it was open".into(),
            Opinion::Silent(reason) if latest => {
                format!("the thread that calls read it last, but: {}", reason.meaning())
            }
            _ => "the thread that calls read it, and another one since".into(),
        }
    }

    fn wire_says(&self, wire: &Wire) -> String {
        match wire {
            Wire::Silent => "silent: no ids on the request".into(),
            Wire::Forwarded(key) => format!("names {}: it alone carried the same ids and was open", self.name(*key)),
            Wire::Kept(_, key) => format!("{} alone carried the same ids, but was over", self.name(*key)),
            Wire::Shared(parent) => {
                format!("silent: several requests carried {}, or one may have that was not seen", parent.span_id)
            }
            Wire::Made(parent) => {
                format!("names {}, which no request carried: a span of the process itself", parent.span_id)
            }
        }
    }

    fn kernel_says(&self, half: &Half, opinion: Opinion) -> String {
        match opinion {
            Opinion::Cause(key, evidence, confidence) => {
                format!("names {} by {}, {}", self.name(key), evidence.name(), confidence.name())
            }
            Opinion::Silent(OrphanReason::NoLineage) if half.request.actor.own.is_none() => {
                "silent: the thread read no request, and was not created for one".into()
            }
            Opinion::Silent(reason) => format!("silent ({}): {}", reason.name(), reason.meaning()),
            Opinion::Pending(Pending { on: On::Thread(thread), .. }) => {
                format!("silent: thread {} has not ended, so it may be a worker", thread.tid.0)
            }
            Opinion::Pending(Pending { on: On::Unit(..), .. }) => {
                "silent: the unit that calls has not ended, so it may be a worker".into()
            }
        }
    }

    fn name(&self, key: HalfKey) -> String {
        self.halves.get(key).map_or_else(|| "a forgotten request".into(), |half| self.span_id(half).to_string())
    }
}

const fn wire_names(wire: &Wire) -> Option<HalfKey> {
    match wire {
        Wire::Forwarded(key) | Wire::Kept(_, key) => Some(*key),
        Wire::Silent | Wire::Shared(_) | Wire::Made(_) => None,
    }
}

const fn kernel_names(opinion: Opinion) -> Option<HalfKey> {
    match opinion {
        Opinion::Cause(
            key,
            Evidence::Thread
            | Evidence::Birth
            | Evidence::Unit
            | Evidence::Item
            | Evidence::Context
            | Evidence::Answer
            | Evidence::Nginx,
            _,
        ) => Some(key),
        Opinion::Cause(..) | Opinion::Silent(_) | Opinion::Pending(_) => None,
    }
}
