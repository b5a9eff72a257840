//! Runtimes whose units are told: a unit works for the request it read, answers, or was created while serving.
//!
//! - What a unit reads it works for, unless it reads several connections: such a unit runs the callbacks of a loop.
//! - A unit that answers on one connection works for whatever request is open there; a unit that it creates, for the one
//!   that was open then. Answering may show only after the call it explains, since judgement comes with hindsight.
//! - A unit that was created once a request had been read works for it if what it creates answers that, and nothing else: of a
//!   stream, another task answers than the one that calls. So do all that stem from the same creation by a unit that answered before.
//! - Where the other end left before the answer was whole, nothing more is asked on the connection: a unit that goes on
//!   answering there still works for that request.
//! - What a unit was created in is proof only once it has ended, as of threads: while it lives it may be a worker, whose next
//!   job is another's.

use crate::causal::Causes;
use crate::causal::decide::{On, Pending};
use crate::causal::half::Half;
use crate::causal::halves::Named;
use crate::causal::judge::Opinion;
use crate::causal::settle::Moment;
use crate::causal::units::Answers;
use crate::decode::{Tag, Unit};
use crate::ids::{BootNanos, ProcessId, SockCookie, UnitId};
use crate::limits::{CAUSE_DEPTH_MAX, LINGER_NS};
use crate::proto::exchange::{HalfKey, Outcome, Role};
use crate::span::{Confidence, Evidence, OrphanReason};

/// How a unit is tied to a request.
pub(super) enum Tie {
    /// It works for it itself.
    Its(HalfKey),
    /// It stems from a unit that did.
    Born(HalfKey),
}

impl Tie {
    /// The request.
    pub(super) const fn key(&self) -> HalfKey {
        match self {
            Self::Its(key) | Self::Born(key) => *key,
        }
    }
}

impl Causes {
    /// The opinion of the unit that made a call; none if no unit was told.
    pub(in crate::causal) fn unit(&self, half: &Half, asked: BootNanos, moment: Moment) -> Option<Opinion> {
        Some(self.with_context(half, asked, self.by_unit(half, asked, moment)?))
    }

    /// The same, whatever context the call was given.
    fn by_unit(&self, half: &Half, asked: BootNanos, moment: Moment) -> Option<Opinion> {
        let unit = half.unit?;
        let born = match self.tie(half, unit, asked) {
            Err(reason) => Opinion::Silent(reason),
            Ok(Tie::Its(key)) => {
                return Some(match self.proven(half, key, asked) {
                    Err(reason) => Opinion::Silent(reason),
                    Ok(true) => Opinion::Cause(key, Evidence::Unit, Confidence::Exact),
                    Ok(false) if self.was_left(key) => Opinion::Cause(key, Evidence::Unit, Confidence::Strong),
                    Ok(false) => Opinion::Silent(OrphanReason::NoLineage),
                });
            }
            Ok(Tie::Born(key)) => match self.proven(half, key, asked) {
                Err(reason) => Opinion::Silent(reason),
                Ok(within) => {
                    let kept = self.kept(half, key, asked, within);
                    kept.unwrap_or_else(|| self.inherited(half, key, within, moment))
                }
            },
        };
        if let Some(task) = self.task(half, asked, moment) {
            return Some(match (born, task) {
                (Opinion::Cause(born, ..), Opinion::Cause(task, ..)) if born != task => {
                    Opinion::Silent(OrphanReason::Conflict)
                }
                (Opinion::Silent(_), task) => task,
                (born, _) => born,
            });
        }
        Some(match (born, self.adopted(half)) {
            // What it took, and whose context its call was given, are one request: what it was created for was another job.
            (_, Some(Ok(taken))) if self.is_given(half, taken, asked) => self.taken(half, taken, asked),
            // What it was created for, and what it took since, are two requests: either may be the cause.
            (Opinion::Cause(born, ..), Some(Ok(taken))) if born != taken => Opinion::Silent(OrphanReason::Conflict),
            (Opinion::Silent(_), Some(Ok(taken))) => self.taken(half, taken, asked),
            (Opinion::Silent(_), Some(Err(reason))) => Opinion::Silent(reason),
            (Opinion::Silent(OrphanReason::NoLineage), None) => self.by_answer(half, asked, moment),
            (born, _) => born,
        })
    }

    fn tie(&self, half: &Half, unit: Unit, asked: BootNanos) -> Result<Tie, OrphanReason> {
        let process = half.process;
        if let (Some(cookie), Some(via)) = (unit.answers, unit.via) {
            if self.units.answers(process, via) != Some(cookie) {
                return Err(OrphanReason::EventLoop);
            }
            // What it answers itself says more than what the unit did that created it.
            return match unit.since.filter(|_| self.units.answers(process, unit.id) != Some(cookie)) {
                None => self.answered_by(process, unit.id, cookie, asked).map(Tie::Its),
                Some(since) => match self.units.answered_by_family(process, via, since) {
                    Some(answers) if let Some(key) = self.only_one(answers, since) => Ok(Tie::Born(key)),
                    _ => self.answered_by(process, via, cookie, since).map(Tie::Born),
                },
            };
        }
        if let Some(own) = unit.own.filter(|_| !self.units.is_shared(process, unit.id)) {
            return self.read(own, asked).map(Tie::Its);
        }
        if let (Some(inherited), Some(via)) = (unit.inherited, unit.via) {
            if self.units.is_shared(process, via) {
                return self.stems(process, unit, asked).map_err(|_| OrphanReason::EventLoop);
            }
            return self.read(inherited, asked).map(Tie::Born);
        }
        self.stems(process, unit, asked)
    }

    /// A unit without a tag that can be believed: it, or one that it stems from, may have turned out to answer on a connection.
    pub(super) fn stems(&self, process: ProcessId, unit: Unit, asked: BootNanos) -> Result<Tie, OrphanReason> {
        let (mut id, mut time) = (unit.id, asked);
        for depth in 0..CAUSE_DEPTH_MAX {
            if let Some(cookie) = self.units.answers(process, id) {
                let key = self.answered_by(process, id, cookie, time)?;
                return Ok(if depth == 0 { Tie::Its(key) } else { Tie::Born(key) });
            }
            let Some((creator, born)) = self.units.get(process, id).and_then(|known| known.born) else { break };
            if depth == 0
                && let Some(key) = self.units.answered_below(process, id).and_then(|below| self.only_one(below, born))
            {
                return Ok(Tie::Born(key));
            }
            (id, time) = (creator, born);
        }
        Err(OrphanReason::NoLineage)
    }

    /// The only request that was open on a connection; or the last one there, if the other end did not wait for its answer.
    pub(super) fn serving(&self, cookie: SockCookie, time: BootNanos) -> Result<HalfKey, OrphanReason> {
        let serves = |half: &&Half| half.request.role == Role::Server && half.start() <= time;
        let mut open = self.halves.of_socket(cookie).filter(serves).filter(|half| half.open_at(time));
        match (open.next(), open.next()) {
            // What was lost may have been its end, and the next one's beginning.
            (Some(one), None) if one.gap => Err(OrphanReason::Lossy),
            (Some(one), None) => Ok(one.request.key),
            (Some(_), Some(_)) => Err(OrphanReason::AmbiguousBatch),
            (None, _) => {
                let last = self.halves.of_socket(cookie).rfind(serves).map(|half| half.request.key);
                last.filter(|key| self.was_left(*key)).ok_or(OrphanReason::NoLineage)
            }
        }
    }

    /// The request that a unit serves on the connection on which it answers: the one that is open there, unless the unit answered
    /// an earlier one, and that one alone. Then it went on behind its answer (a background task), or created who serves
    /// next, as uvicorn does behind a streamed answer; which of the two nobody knows. Whether it answers may show only
    /// afterwards; of a request that is still open then, only of a unit that has answered several is it believed.
    fn answered_by(
        &self,
        process: ProcessId,
        unit: UnitId,
        cookie: SockCookie,
        time: BootNanos,
    ) -> Result<HalfKey, OrphanReason> {
        let key = self.serving(cookie, time)?;
        let half = self.halves.get(key).ok_or(OrphanReason::NoLineage)?;
        match self.units.get(process, unit).and_then(|known| known.answered) {
            Some((_, last)) if last >= half.start() => Ok(key),
            Some((first, last)) if half.end.is_some() || !self.are_two(cookie, first, last) => {
                Err(OrphanReason::AmbiguousBatch)
            }
            Some(_) | None => Ok(key),
        }
    }

    /// The only request that some units answered, if it was there before the first of them was: whoever created them works for it,
    /// since who creates what answers several, or what answers what came later, accepts connections or goes on behind an answer.
    fn only_one(&self, answers: Answers, since: BootNanos) -> Option<HalfKey> {
        let cookie = answers.over()?;
        let (first, last) = answers.between;
        let key = self.serving(cookie, first).ok()?;
        let was_there = self.halves.get(key).is_some_and(|half| half.start() <= since);
        (was_there && !self.are_two(cookie, first, last)).then_some(key)
    }

    /// True if two answers on a connection were to two requests.
    fn are_two(&self, cookie: SockCookie, first: BootNanos, last: BootNanos) -> bool {
        let mut between = self.halves.of_socket(cookie).filter(|half| half.request.role == Role::Server);
        between.any(|half| first < half.start() && half.start() <= last)
    }

    /// True if a request's connection ended before its answer did.
    fn was_left(&self, key: HalfKey) -> bool {
        let outcome = self.halves.get(key).and_then(|half| half.end).map(|end| end.outcome);
        matches!(outcome, Some(Outcome::Closed | Outcome::Error(_)))
    }

    /// The request whose bytes a tag names.
    pub(super) fn read(&self, tag: Tag, asked: BootNanos) -> Result<HalfKey, OrphanReason> {
        match self.halves.named(tag, asked) {
            Named::One(key) => Ok(key),
            Named::Several => Err(OrphanReason::AmbiguousBatch),
            Named::Nothing => Err(OrphanReason::OpaqueHop),
        }
    }

    /// True if a request was open as the call was made; the reason why it proves nothing, if so.
    pub(super) fn proven(&self, half: &Half, key: HalfKey, asked: BootNanos) -> Result<bool, OrphanReason> {
        let served = self.halves.get(key).ok_or(OrphanReason::NoLineage)?;
        // The epochs of the process that serves as it read and as it handed on, and of the one that calls as it took and now.
        let (handed, took) = if served.process == half.process {
            (half.request.actor.lossy, half.request.actor.lossy)
        } else {
            let head = half.takes.iter().find_map(|takes| takes[0]).map(|head| head.queue);
            let writer = half.message.as_ref().map(|message| message.writer);
            let writer = writer.filter(|writer| writer.process == served.process);
            let writer = writer.filter(|writer| head == Some(writer.pipe)).ok_or(OrphanReason::NoLineage)?;
            (writer.written, writer.read)
        };
        if served.request.actor.lossy != handed || half.request.actor.lossy != took {
            return Err(OrphanReason::Lossy);
        }
        Ok(served.open_at(asked))
    }

    /// The request that what a unit took was put for.
    fn taken(&self, half: &Half, key: HalfKey, asked: BootNanos) -> Opinion {
        match self.proven(half, key, asked) {
            Err(reason) => Opinion::Silent(reason),
            Ok(true) => Opinion::Cause(key, Evidence::Item, Confidence::Exact),
            Ok(false) => Opinion::Cause(key, Evidence::Item, Confidence::Strong),
        }
    }

    /// What a unit was born in, once it has ended.
    fn inherited(&self, half: &Half, key: HalfKey, within: bool, moment: Moment) -> Opinion {
        let worker = Opinion::Silent(OrphanReason::WorkerWithoutItem);
        let Some(unit) = half.unit else { return worker };
        let known = self.units.get(half.process, unit.id);
        // It took another's job at some time: this may be one, and what was told of that is lost.
        let job = known.and_then(|known| known.job_of);
        if half.takes.is_none() && job.is_some_and(|job| unit.inherited.is_some_and(|inherited| job != inherited)) {
            return worker;
        }
        let ended = known.and_then(|known| known.ended);
        let acted = known.map_or(half.start(), |known| known.acted);
        let busy = match half.end {
            Some(end) if !self.calls(half, unit) => end.time.max(acted),
            _ => moment.now,
        };
        match ended {
            Some(ended) if ended.since(busy) <= LINGER_NS => {
                let confidence = if within { Confidence::Exact } else { Confidence::Strong };
                Opinion::Cause(key, Evidence::Unit, confidence)
            }
            None if !moment.last && moment.now.since(busy) <= LINGER_NS => {
                let until = BootNanos(busy.0.saturating_add(LINGER_NS + 1));
                Opinion::Pending(Pending { on: On::Unit(half.process, unit.id), until })
            }
            Some(_) | None => worker,
        }
    }

    /// True if a unit waits for the answer of another call.
    fn calls(&self, half: &Half, unit: Unit) -> bool {
        let open = self.lineage.process(half.process).map(|process| &process.calls);
        let mut calls = open.into_iter().flatten().filter_map(|key| self.halves.get(*key)?.unit);
        calls.any(|other| other.id == unit.id)
    }
}
