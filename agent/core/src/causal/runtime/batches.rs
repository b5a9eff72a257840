//! Batches: what a unit took for several requests, and then called for all of them, or created a unit that did.
//!
//! - Each of the things says whom it was put there for, as one that is taken alone does; if one does not, nobody knows for whom
//!   else the call was made, and nothing is said.
//! - A call for several has no parent: it is linked to each of them.

use std::collections::BTreeSet;

use crate::causal::Causes;
use crate::causal::half::Half;
use crate::ids::BootNanos;
use crate::proto::exchange::HalfKey;
use crate::span::{Confidence, OrphanReason};

impl Causes {
    /// The requests that a call was made for, if there are several; and how sure that is.
    pub(in crate::causal) fn made_for_several(
        &self,
        half: &Half,
        asked: BootNanos,
    ) -> Option<(Vec<HalfKey>, Confidence)> {
        let batch = half.batch.as_deref().filter(|batch| !batch.partial)?;
        if batch.lossy != half.request.actor.lossy {
            return None;
        }
        let lends = batch.taken.iter().any(|taken| self.units.lends(half.process, taken.queue));
        let causes: Result<BTreeSet<_>, OrphanReason> =
            batch.taken.iter().map(|taken| self.put_for(half, taken)).collect();
        let causes = causes.ok().filter(|causes| !lends && causes.len() > 1)?;
        let open: Result<Vec<bool>, _> = causes.iter().map(|cause| self.proven(half, *cause, asked)).collect();
        let all = open.ok()?.into_iter().all(|open| open);
        let confidence = if all { Confidence::Exact } else { Confidence::Strong };
        Some((causes.into_iter().collect(), confidence))
    }
}
