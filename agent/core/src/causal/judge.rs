//! Which request caused a call: every kind of evidence is asked, and none hides another.

use crate::causal::Causes;
use crate::causal::decide::{On, Pending};
use crate::causal::half::Half;
use crate::causal::halves::Named;
use crate::causal::lineage::{Birth, Process};
use crate::causal::runtime::nginx;
use crate::causal::settle::Moment;
use crate::decode::Tag;
use crate::ids::{BootNanos, ProcessId, ThreadId, TraceId};
use crate::limits::{CARRIERS_MAX, CAUSE_DEPTH_MAX, LINGER_NS, WITNESSES_MIN};
use crate::proto::exchange::{HalfKey, Role};
use crate::proto::trace_context::WireParent;
use crate::span::{Confidence, Evidence, OrphanReason};

/// What one kind of evidence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    /// This request is the cause.
    Cause(HalfKey, Evidence, Confidence),
    /// It cannot say, for this reason.
    Silent(OrphanReason),
    /// It will be able to say when a thread or a unit has ended, or never.
    Pending(Pending),
}

/// What all evidence together says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This request is the cause.
    Caused(HalfKey, Evidence, Confidence),
    /// The ids on the wire were made in the process: it exports a span of its own that is the parent.
    Continued(WireParent, Option<HalfKey>),
    /// Evidence disagrees: the wire's trace is kept, and the kernel's cause is linked.
    Conflict(HalfKey),
    /// Nothing is known, for this reason.
    Orphan(OrphanReason),
    /// The process was serving nothing: a trace begins here.
    Root,
    /// A thread or a unit must end first.
    Pending(Pending),
}

/// What the ids on the wire say.
pub(super) enum Wire {
    Silent,
    /// They equal those of exactly one incoming request that was open.
    Forwarded(HalfKey),
    /// They equal those of one incoming request alone, which was over.
    Kept(WireParent, HalfKey),
    /// Incoming requests carry them, but which one passed them on cannot be told.
    Shared(WireParent),
    /// No incoming request carries them.
    Made(WireParent),
}

/// An act whose cause is asked for.
#[derive(Clone, Copy)]
struct Act {
    /// Who acted.
    thread: ThreadId,
    /// The birth that the records of that thread carry.
    birth: Option<Tag>,
    /// When.
    time: BootNanos,
    /// The thread was busy with it until then.
    busy: BootNanos,
}

impl Causes {
    /// Judges a client half. At the last moment nothing is pending any more.
    pub(super) fn judge(&self, half: &Half, moment: Moment) -> Judgement {
        let asked = self.asked(half);
        let kernel = self.kernel(half, asked, moment);
        let missed = |named: HalfKey| self.missed_since_start(half.process, named);
        let wire = match (self.wire(half, asked), kernel) {
            // The thread last read a request that was lost: that one may carry it too.
            (Wire::Forwarded(named), Opinion::Silent(OrphanReason::OpaqueHop)) if missed(named) => {
                return Judgement::Orphan(OrphanReason::Lossy);
            }
            (wire, _) => wire,
        };
        match (wire, kernel) {
            (Wire::Forwarded(named), Opinion::Cause(cause, _, _)) if named != cause => {
                match half.request.context.parent {
                    Some(_) => Judgement::Conflict(cause),
                    // Only a correlation id disagrees: it is no trace context, and the kernel saw what happened.
                    None => Judgement::Orphan(OrphanReason::Conflict),
                }
            }
            (Wire::Forwarded(named), Opinion::Cause(_, evidence, _)) => {
                Judgement::Caused(named, evidence, Confidence::Exact)
            }
            (Wire::Forwarded(named), _) if missed(named) => {
                Judgement::Caused(named, Evidence::Wire, Confidence::Strong)
            }
            (Wire::Forwarded(named), _) => Judgement::Caused(named, Evidence::Wire, Confidence::Exact),
            (_, Opinion::Pending(pending)) if !moment.last => Judgement::Pending(pending),
            (Wire::Made(parent) | Wire::Shared(parent) | Wire::Kept(parent, _), Opinion::Cause(cause, _, _))
                if !self.is_in_trace(cause, parent.trace_id) =>
            {
                Judgement::Conflict(cause)
            }
            (Wire::Made(parent), Opinion::Cause(cause, _, _)) => Judgement::Continued(parent, Some(cause)),
            (Wire::Made(parent), _) => Judgement::Continued(parent, None),
            (_, Opinion::Cause(cause, evidence, confidence)) => Judgement::Caused(cause, evidence, confidence),
            // Nothing else could have been the cause.
            (Wire::Kept(_, kept), _) if !half.serving => Judgement::Caused(kept, Evidence::Wire, Confidence::Strong),
            _ if !half.serving => Judgement::Root,
            (_, Opinion::Pending(_)) => Judgement::Orphan(OrphanReason::WorkerWithoutItem),
            (_, Opinion::Silent(reason)) => Judgement::Orphan(reason),
        }
    }

    /// The opinion of the kernel's tags.
    pub(super) fn kernel(&self, half: &Half, asked: BootNanos, moment: Moment) -> Opinion {
        if self.executable(half.process) == nginx::EXECUTABLE {
            return self.nginx(half, 0);
        }
        match (self.unit(half, asked, moment), self.thread(half, asked, moment)) {
            (Some(Opinion::Cause(one, ..)), Opinion::Cause(other, ..)) if one != other => {
                Opinion::Silent(OrphanReason::Conflict)
            }
            // Both agree: what the kernel alone shows is said.
            (Some(Opinion::Cause(..)), thread @ Opinion::Cause(_, _, Confidence::Exact)) => thread,
            (Some(unit @ Opinion::Cause(..)), _) => unit,
            (_, thread @ Opinion::Cause(..)) => thread,
            (Some(unit), _) => unit,
            (None, thread) => thread,
        }
    }

    /// The opinion of the tags that the calling thread carries.
    fn thread(&self, half: &Half, asked: BootNanos, moment: Moment) -> Opinion {
        match (self.same_thread(half, asked), half.request.actor.own) {
            // A thread that reads requests is a server: what it was born in says nothing any more.
            (Opinion::Silent(OrphanReason::NoLineage), None) => {
                let actor = half.request.actor;
                let busy = half.end.map_or(moment.now, |end| end.time);
                self.birth(Act { thread: actor.thread, birth: actor.birth, time: asked, busy }, moment, 0)
            }
            (opinion, _) => opinion,
        }
    }

    /// The thread that calls read the request, under blocking discipline.
    fn same_thread(&self, half: &Half, asked: BootNanos) -> Opinion {
        let Some(own) = half.request.actor.own else { return Opinion::Silent(OrphanReason::NoLineage) };
        let key = match self.halves.named(own, asked) {
            Named::Nothing => return Opinion::Silent(OrphanReason::OpaqueHop),
            Named::Several => return Opinion::Silent(OrphanReason::AmbiguousBatch),
            Named::One(key) => key,
        };
        let Some(served) = self.halves.get(key) else { return Opinion::Silent(OrphanReason::NoLineage) };
        let process = self.lineage.process(half.process);
        if process.is_some_and(Process::interleaves) || served.interleaved {
            return Opinion::Silent(OrphanReason::EventLoop);
        }
        if served.gap || served.request.actor.lossy != half.request.actor.lossy {
            return Opinion::Silent(OrphanReason::Lossy);
        }
        if !served.open_at(asked) || served.process != half.process {
            return Opinion::Silent(OrphanReason::NoLineage);
        }
        if served.request.blocking {
            return Opinion::Cause(key, Evidence::Thread, Confidence::Exact);
        }
        if process.map_or(0, |process| process.witnesses) >= WITNESSES_MIN {
            return Opinion::Cause(key, Evidence::Thread, Confidence::Strong);
        }
        Opinion::Silent(OrphanReason::EventLoop)
    }

    /// The thread, or its process, was created while serving, and ended when what it did was done. While it lives, or
    /// if it stayed idle for a while before it ended, it may be a worker of a pool that grew in a request, whose next
    /// job is another's.
    fn birth(&self, act: Act, moment: Moment, depth: usize) -> Opinion {
        let silent = Opinion::Silent(OrphanReason::NoLineage);
        let worker = Opinion::Silent(OrphanReason::WorkerWithoutItem);
        let Some(known) = self.lineage.thread(act.thread).filter(|_| depth < CAUSE_DEPTH_MAX) else { return silent };
        // Thread ids are reused: the birth must be that of the thread which acted.
        let Some(born) = known.born.filter(|born| born.own == act.birth && born.time <= act.time) else {
            return silent;
        };
        if known.exited.is_some_and(|exited| exited.time < act.time) {
            return silent;
        }
        let busy = act.busy.max(known.acted);
        let ended = known.exited.map_or(moment.now, |exited| exited.time);
        let cause = match self.birth_request(born, ended, moment, depth) {
            Some(Opinion::Cause(key, ..)) => key,
            Some(other) => return other,
            None => return silent,
        };
        match known.exited {
            _ if ended.since(busy) > LINGER_NS => worker,
            None => {
                let until = BootNanos(busy.0.saturating_add(LINGER_NS + 1));
                Opinion::Pending(Pending { on: On::Thread(act.thread), until })
            }
            Some(exited) if exited.done => {
                let within = self.halves.get(cause).is_some_and(|half| half.open_at(act.time));
                let confidence = if within { Confidence::Exact } else { Confidence::Strong };
                Opinion::Cause(cause, Evidence::Birth, confidence)
            }
            Some(_) => worker,
        }
    }

    /// The request a creation happened in: the creator's own, else the one its own creation happened in. `ended`: when
    /// the created thread did.
    fn birth_request(&self, born: Birth, ended: BootNanos, moment: Moment, depth: usize) -> Option<Opinion> {
        let Some(own) = born.own else {
            let act = Act { thread: born.creator, birth: born.creators, time: born.time, busy: ended };
            return match self.birth(act, moment, depth + 1) {
                Opinion::Silent(_) => None,
                opinion => Some(opinion),
            };
        };
        let Named::One(key) = self.halves.named(own, born.time) else { return None };
        let served = self.halves.get(key)?;
        // An event loop creates threads for whatever it does just then.
        let loops = self.lineage.process(served.process).is_some_and(Process::interleaves);
        let proven =
            served.request.blocking && !served.interleaved && !loops && !served.gap && served.open_at(born.time);
        proven.then_some(Opinion::Cause(key, Evidence::Birth, Confidence::Exact))
    }

    /// A call passes on what exactly one request carried that was open then. A correlation id counts only where there
    /// is no context.
    pub(super) fn wire(&self, half: &Half, asked: BootNanos) -> Wire {
        let parent = half.request.context.parent;
        let Some(carried) = half.carried().next() else { return Wire::Silent };
        let ambiguous = parent.map_or(Wire::Silent, Wire::Shared);
        // The other end of a call to its own process carries it too.
        let others = self.halves.carrying(half.process, carried, asked).filter(|other| !half.is_same_exchange(other));
        let carrying: Vec<&Half> = others.take(CARRIERS_MAX).collect();
        let mut open = carrying.iter().filter(|other| other.open_at(asked));
        match (open.next(), open.next(), carrying.as_slice(), parent) {
            _ if carrying.len() == CARRIERS_MAX => ambiguous,
            // Others carry it too, and one that is open may have been lost.
            (Some(one), None, [_, _, ..], _) if self.missed_since(half.process, one.start()) => ambiguous,
            (Some(one), None, ..) => Wire::Forwarded(one.request.key),
            // One that is open and carries it too may have been lost.
            (None, _, [one], Some(_)) if self.missed_since(half.process, one.start()) => ambiguous,
            (None, _, [one], Some(parent)) => Wire::Kept(parent, one.request.key),
            (None, _, [], Some(parent)) => Wire::Made(parent),
            _ => ambiguous,
        }
    }

    /// True if a request belongs to a trace.
    fn is_in_trace(&self, request: HalfKey, trace: TraceId) -> bool {
        self.halves.get(request).is_some_and(|request| match (&request.decided, request.request.context.parent) {
            (Some(decided), _) => decided.decision.trace_id == trace,
            (None, Some(known)) => known.trace_id == trace,
            (None, None) => false,
        })
    }

    /// nginx made the call in the turn of the request.
    fn nginx(&self, half: &Half, depth: usize) -> Opinion {
        let tag = match nginx::turn(half) {
            Ok(tag) => tag,
            Err(reason) => return Opinion::Silent(reason),
        };
        let asked = self.asked(half);
        match self.halves.named(tag, asked) {
            Named::One(key) => match self.halves.get(key) {
                Some(served) if served.gap => Opinion::Silent(OrphanReason::Lossy),
                Some(served) if served.open_at(asked) => Opinion::Cause(key, Evidence::Nginx, Confidence::Strong),
                // A timer's call: the turn it came in is long over.
                Some(_) | None => Opinion::Silent(OrphanReason::NoLineage),
            },
            Named::Several => Opinion::Silent(OrphanReason::AmbiguousBatch),
            Named::Nothing => self.nginx_upstream(tag, half, depth),
        }
    }

    /// The turn was the answer of another call of nginx (a subrequest, a second try): both have one cause.
    fn nginx_upstream(&self, tag: Tag, half: &Half, depth: usize) -> Opinion {
        let before = |call: &&Half| {
            call.request.role == Role::Client && call.start() < half.start() && call.process == half.process
        };
        let Some(call) = self.halves.of_socket(tag.cookie).rev().find(before) else {
            return Opinion::Silent(OrphanReason::OpaqueHop);
        };
        if depth >= CAUSE_DEPTH_MAX {
            return Opinion::Silent(OrphanReason::AmbiguousBatch);
        }
        match self.nginx(call, depth + 1) {
            Opinion::Cause(key, ..) if !self.halves.get(key).is_some_and(|served| served.open_at(self.asked(half))) => {
                Opinion::Silent(OrphanReason::NoLineage)
            }
            opinion => opinion,
        }
    }

    pub(super) fn missed_since(&self, process: ProcessId, time: BootNanos) -> bool {
        self.lineage.process(process).and_then(|process| process.missed).is_some_and(|missed| missed >= time)
    }

    /// Records of a process were lost since a request of it began: another one may carry the same, unseen.
    fn missed_since_start(&self, process: ProcessId, request: HalfKey) -> bool {
        self.halves.get(request).is_none_or(|request| self.missed_since(process, request.start()))
    }

    fn executable(&self, process: ProcessId) -> &str {
        self.facts.get(&process).map_or("", |facts| facts.executable.as_str())
    }
}
