//! Items of queues: what a worker took, it works for.
//!
//! - A unit waits for its work at the queue that it took from first: what it takes there again ends what it did before, also
//!   where that carries nothing. Until it came back there once, two queues must agree.
//! - What several took together is a batch: it belongs to none of them.
//! - A queue that one unit puts into and takes from lends what is in it (connections, permits), and says nothing.
//! - What the putter worked for must have been open when it put the item there.
//! - A pipe is a queue too, and its messages items: what one process wrote there, another one works for that read it.

use crate::causal::Causes;
use crate::causal::half::Half;
use crate::causal::halves::Named;
use crate::causal::lineage::Process;
use crate::decode::{Taken, Unit};
use crate::ids::BootNanos;
use crate::proto::exchange::HalfKey;
use crate::span::OrphanReason;

impl Causes {
    /// The request that what a unit took was put into its queue for; none if it took nothing.
    pub(super) fn adopted(&self, half: &Half) -> Option<Result<HalfKey, OrphanReason>> {
        let lends = |taken: &&Taken| self.units.lends(half.process, taken.queue);
        let mut taken = half.takes.iter().flat_map(|both| both.iter().flatten()).filter(|taken| !lends(taken));
        let first = taken.next()?;
        Some(match taken.next() {
            Some(other) if first.takes < 2 => match (self.put_for(half, first), self.put_for(half, other)) {
                (Ok(one), Ok(same)) if one == same => Ok(one),
                (Ok(_), Ok(_)) => Err(OrphanReason::AmbiguousBatch),
                (Err(reason), _) | (_, Err(reason)) => Err(reason),
            },
            _ => self.put_for(half, first),
        })
    }

    pub(super) fn put_for(&self, half: &Half, taken: &Taken) -> Result<HalfKey, OrphanReason> {
        let Some(put) = taken.put.filter(|_| taken.others == 0) else {
            let batch = taken.others > 0;
            return Err(if batch { OrphanReason::AmbiguousBatch } else { OrphanReason::WorkerWithoutItem });
        };
        let claim = taken.claim;
        // Units are those of the process that put it there.
        let writer = half.message.as_ref().map(|message| message.writer).filter(|writer| writer.pipe == taken.queue);
        let process = writer.map_or(half.process, |writer| writer.process);
        if let (Some(cookie), Some(via)) = (claim.answers, claim.via) {
            if self.units.answers(process, via) != Some(cookie) {
                return Err(OrphanReason::EventLoop);
            }
            return self.serving(cookie, claim.since.unwrap_or(put));
        }
        match (claim.inherited, claim.via) {
            (Some(tag), Some(via)) if via.is_thread() => self.put_by_thread(tag, put),
            (Some(tag), Some(via)) if !self.units.is_shared(process, via) => {
                let key = self.read(tag, put)?;
                let open = self.halves.get(key).is_some_and(|served| served.open_at(put));
                if open { Ok(key) } else { Err(OrphanReason::WorkerWithoutItem) }
            }
            _ => {
                let putter = taken.putter.ok_or(OrphanReason::AmbiguousBatch)?;
                let tie = self.stems(process, Unit { id: putter, ..Unit::default() }, put)?;
                Ok(tie.key())
            }
        }
    }

    /// A thread that reads a request and puts something into a queue does so for it, under blocking discipline.
    fn put_by_thread(&self, tag: crate::decode::Tag, put: BootNanos) -> Result<HalfKey, OrphanReason> {
        let key = match self.halves.named(tag, put) {
            Named::One(key) => key,
            Named::Several => return Err(OrphanReason::AmbiguousBatch),
            Named::Nothing => return Err(OrphanReason::OpaqueHop),
        };
        let served = self.halves.get(key).ok_or(OrphanReason::NoLineage)?;
        let process = self.lineage.process(served.process);
        if process.is_some_and(Process::interleaves) || served.interleaved {
            return Err(OrphanReason::EventLoop);
        }
        if served.gap {
            return Err(OrphanReason::Lossy);
        }
        let open = served.request.blocking && served.open_at(put);
        if open { Ok(key) } else { Err(OrphanReason::NoLineage) }
    }
}
