//! Answers: where nothing tells whom a call was made for (a job in a list behind a lock), whom its unit answers next may.
//!
//! - The request's own unit waits to be told, and the one that called tells it: by closing a channel, which lends nothing.
//! - It answers that one alone before it calls again. Which of several it called for, or whether for all, is not known.
//! - The request was read before the call, and was open then and at the answer.
//! - Calls and answers take turns: a unit that also calls for nobody may answer somebody else next, whom it did not call for. A
//!   process in which more than one request was answered after a call is not believed for a while, nor is a unit whose calls
//!   go unanswered.
//!
//! All that is a custom and no identity: strong at most.

use crate::causal::Causes;
use crate::causal::half::Half;
use crate::causal::judge::Opinion;
use crate::causal::settle::Moment;
use crate::ids::BootNanos;
use crate::proto::exchange::HalfKey;
use crate::span::{Confidence, Evidence, OrphanReason};

/// True of a call by a unit that carries nothing and took nothing.
pub(in crate::causal) fn is_nobodys(half: &Half) -> bool {
    let bare = |unit: crate::decode::Unit| unit.own.is_none() && unit.inherited.is_none() && unit.answers.is_none();
    half.unit.is_some_and(bare) && half.takes.is_none()
}

impl Causes {
    /// The opinion of whom a call's unit answered next.
    pub(super) fn by_answer(&self, half: &Half, asked: BootNanos, moment: Moment) -> Opinion {
        match self.answers_for(half, asked, moment) {
            Ok(key) => Opinion::Cause(key, Evidence::Answer, Confidence::Strong),
            Err(reason) => Opinion::Silent(reason),
        }
    }

    fn answers_for(&self, half: &Half, asked: BootNanos, moment: Moment) -> Result<HalfKey, OrphanReason> {
        let silent = OrphanReason::NoLineage;
        let (Some(unit), Some(answer)) = (half.unit, half.answer.as_deref()) else { return Err(silent) };
        if !is_nobodys(half) {
            return Err(silent);
        }
        if answer.several {
            return Err(OrphanReason::AmbiguousBatch);
        }
        // What was lost may have been another answer, or another call.
        if answer.lossy != half.request.actor.lossy || self.missed_since(half.process, asked) {
            return Err(OrphanReason::Lossy);
        }
        if !self.units.takes_turns(half.process, unit.id, moment.now) {
            return Err(silent);
        }
        let key = self.read(answer.request, asked)?;
        let open = self.halves.get(key).is_some_and(|served| served.open_at(answer.time));
        if open && self.proven(half, key, asked)? { Ok(key) } else { Err(silent) }
    }
}
