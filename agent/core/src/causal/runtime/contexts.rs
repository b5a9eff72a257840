//! Contexts (`context.Context` of Go): a call is given one that stems from a request's, which the program handed on itself.
//!
//! - What is given with a call says whom it is for. It is found by the identity of an object, which is another's once the request
//!   is over: only a request that is open counts.
//! - What a unit was created in is less: a worker that a request started may have done another's job before it ended. If that is
//!   over, and the call was given its context, cancelled as it is then, the two together are enough.
//! - What a unit took from a queue is as good: where the two disagree, neither is believed.

use crate::causal::Causes;
use crate::causal::half::Half;
use crate::causal::judge::Opinion;
use crate::decode::Passed;
use crate::ids::BootNanos;
use crate::proto::exchange::HalfKey;
use crate::span::{Confidence, Evidence, OrphanReason};

impl Causes {
    /// The opinion of a call's unit and of the context that the call was given.
    pub(super) fn with_context(&self, half: &Half, asked: BootNanos, unit: Opinion) -> Opinion {
        let Some(passed) = half.passed.as_deref() else { return unit };
        let given = |confidence| match self.given(half, passed, asked) {
            Ok(key) => Opinion::Cause(key, Evidence::Context, confidence),
            Err(_) => unit,
        };
        match unit {
            Opinion::Pending(_)
            | Opinion::Silent(OrphanReason::AmbiguousBatch | OrphanReason::Conflict | OrphanReason::Lossy) => unit,
            Opinion::Silent(_) | Opinion::Cause(_, Evidence::Answer, _) => given(Confidence::Exact),
            Opinion::Cause(born, Evidence::Unit, _) => match given(Confidence::Strong) {
                Opinion::Cause(key, ..) if key == born => unit,
                other => other,
            },
            Opinion::Cause(known, ..) => match given(Confidence::Exact) {
                Opinion::Cause(key, ..) if key != known => Opinion::Silent(OrphanReason::Conflict),
                _ => unit,
            },
        }
    }

    /// The request that a unit was created in, if its call was given that one's context: the end of the unit is not waited for.
    pub(super) fn kept(&self, half: &Half, key: HalfKey, asked: BootNanos, within: bool) -> Option<Opinion> {
        let passed = half.passed.as_deref().filter(|_| self.is_given(half, key, asked))?;
        match (within, passed.cancelled) {
            (true, _) => Some(Opinion::Cause(key, Evidence::Context, Confidence::Exact)),
            (false, true) => Some(Opinion::Cause(key, Evidence::Context, Confidence::Strong)),
            // It may be another's by now.
            (false, false) => None,
        }
    }

    /// True if a call was given this request's context.
    pub(super) fn is_given(&self, half: &Half, key: HalfKey, asked: BootNanos) -> bool {
        let passed = half.passed.as_deref().filter(|passed| passed.lossy == half.request.actor.lossy);
        passed.is_some_and(|passed| self.read(passed.request, asked) == Ok(key))
    }

    fn given(&self, half: &Half, passed: &Passed, asked: BootNanos) -> Result<HalfKey, OrphanReason> {
        if passed.lossy != half.request.actor.lossy {
            return Err(OrphanReason::Lossy);
        }
        let key = self.read(passed.request, asked)?;
        if self.proven(half, key, asked)? { Ok(key) } else { Err(OrphanReason::NoLineage) }
    }
}
