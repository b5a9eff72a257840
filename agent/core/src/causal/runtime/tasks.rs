//! Tasks that are known by their names: what works at one works for whoever put it.
//!
//! - Whoever puts a task makes up its name, and nobody else has it. What put it is asked for as for a call made at that moment, by
//!   all evidence there is of the process that put it; so a task that another one puts (a chain) is for that one's request.
//! - A process of a pool works at the task that the last message of the pipe names at which it waits.
//! - A name that was put several times, for one and the same, is that one's; else nobody's. A task that is put by what works for it
//!   (a retry) is not put for anybody else.

use smallvec::SmallVec;

use crate::causal::Causes;
use crate::causal::half::Half;
use crate::causal::judge::Opinion;
use crate::causal::settle::Moment;
use crate::causal::tasks::Put;
use crate::ids::{BootNanos, TaskId};
use crate::limits::TASK_NS;
use crate::proto::exchange::HalfKey;
use crate::span::{Confidence, Evidence, OrphanReason};

impl Causes {
    /// The opinion of the task that the unit which made a call works at; none if it is not known to work at one.
    pub(super) fn task(&self, half: &Half, asked: BootNanos, moment: Moment) -> Option<Opinion> {
        let message = half.message.as_deref()?;
        let task = message.task?;
        let [head, other] = half.takes.as_deref()?;
        let head = head.as_ref().filter(|head| head.queue == message.writer.pipe)?;
        self.tasks.puts(task)?;
        let elsewhere = other.as_ref().filter(|other| !self.units.lends(half.process, other.queue));
        Some(if message.writer.read != half.request.actor.lossy {
            Opinion::Silent(OrphanReason::Lossy)
        } else if head.others > 0 || (head.takes < 2 && elsewhere.is_some()) {
            Opinion::Silent(OrphanReason::AmbiguousBatch)
        } else {
            self.put_for_one(task, asked, moment)
        })
    }

    /// Remembers the request that a task may turn out to have been put for: it may be answered long before somebody works at it.
    pub(in crate::causal) fn keep_cause_of(&mut self, put: &Put) {
        let Put { time, actor, unit, takes, message } = put;
        let claims = takes.iter().flat_map(|both| both.iter().flatten()).map(|taken| taken.claim.inherited);
        let tags = [actor.own, unit.and_then(|unit| unit.own), unit.and_then(|unit| unit.inherited)];
        let named = tags.into_iter().chain(claims).flatten().filter_map(|tag| self.read(tag, *time).ok());
        let answers = unit.and_then(|unit| unit.answers).and_then(|cookie| self.serving(cookie, *time).ok());
        let mut causes: SmallVec<[HalfKey; 4]> = named.chain(answers).collect();
        if message.as_ref().is_some_and(|message| message.task.is_some()) {
            let call = put.as_call(&self.tasks.nowhere);
            match self.kernel(&call, *time, Moment { now: *time, last: true }) {
                Opinion::Cause(key, ..) => causes.push(key),
                Opinion::Silent(_) | Opinion::Pending(_) => {}
            }
        }
        let until = BootNanos(time.0.saturating_add(TASK_NS));
        for key in causes {
            if let Some(half) = self.halves.get_mut(key) {
                half.kept = half.kept.max(until);
            }
        }
    }

    /// The request that a task was put for, each time it was.
    fn put_for_one(&self, task: TaskId, asked: BootNanos, moment: Moment) -> Opinion {
        let ambiguous = Opinion::Silent(OrphanReason::AmbiguousBatch);
        let mut found: Option<(HalfKey, Confidence)> = None;
        for put in self.tasks.puts(task).unwrap_or_default() {
            let call = put.as_call(&self.tasks.nowhere);
            let opinion = self.tasks.ask(|| self.kernel(&call, put.time, moment));
            match opinion.unwrap_or(ambiguous) {
                Opinion::Cause(key, _, confidence) => match found {
                    Some((known, _)) if known != key => return Opinion::Silent(OrphanReason::Conflict),
                    Some((_, least)) => found = Some((key, least.min(confidence))),
                    None => found = Some((key, confidence)),
                },
                other => return other,
            }
        }
        let Some((key, confidence)) = found else { return ambiguous };
        let Some(served) = self.halves.get(key) else { return Opinion::Silent(OrphanReason::NoLineage) };
        let within = if served.open_at(asked) { confidence } else { Confidence::Strong.min(confidence) };
        Opinion::Cause(key, Evidence::Item, within)
    }
}
