//! Which exchange caused which, and how that is known.
//!
//! - `half`, `halves`: halves of exchanges, how they are found, and what tags name
//! - `identity`: what both ends call an exchange, and the ids hashed from it
//! - `lineage`: who was created by whom, and which threads prove anything
//! - `units`: what runtimes run on threads, as far as an adapter tells
//! - `tasks`: who put what under a name of its own
//! - `judge`: the opinions of every kind of evidence; `runtime/`: the programs with rules of their own
//! - `decide`: from judgements to trace and parent; a decision never changes
//! - `explain`: why a span has the parent it has, on request
//! - `settle`, `waiting`: when halves are decided, told and forgotten
//!
//! Judgement comes with hindsight: a half settles a moment after its exchange ended, when threads may have ended and
//! interleaving been seen. A wrong parent is worse than an orphan.

mod decide;
pub mod explain;
pub mod half;
mod halves;
pub mod identity;
mod judge;
mod lineage;
pub mod runtime;
mod settle;
mod tasks;
mod units;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use decide::On;
use explain::Explanation;
use half::{Answer, Half};
use halves::Halves;
use identity::{ExchangeId, Minter};
use lineage::{Acted, Lineage};
use tasks::{Put, Tasks};
use units::Units;
use waiting::Waiting;

use crate::decode::{
    Actor, Answered, Direction, Exit, Fork, Gathered, Link, Opened, Passed, Process, Running, Takes, UnitBorn, Writer,
};
use crate::ids::{BootNanos, ProcessId, SockCookie, TaskId, ThreadId, UnitId};
use crate::limits::{PROCESSES_MAX, SETTLE_NS};
use crate::proto::exchange::{End, HalfKey, Outcome, Response, Role};
use crate::stats::Stats;

/// Says which request targets are left out, with what they caused.
pub type Excluded = Box<dyn Fn(&str) -> bool + Send>;

/// The causal stage.
pub struct Causes {
    halves: Halves,
    waiting: Waiting,
    lineage: Lineage,
    units: Units,
    tasks: Tasks,
    facts: BTreeMap<ProcessId, Arc<Process>>,
    /// Processes that ended, in the order they did.
    ended: VecDeque<(BootNanos, ProcessId)>,
    /// Halves whose decision is being made.
    path: Vec<HalfKey>,
    minter: Minter,
    excluded: Excluded,
    explaining: bool,
    explanations: Vec<Explanation>,
    stats: Stats,
}

impl Causes {
    /// A stage that has seen nothing. `nonce` keeps ids apart that are hashed from numbers of this host.
    #[must_use]
    pub fn new(nonce: [u8; 16], excluded: Excluded) -> Self {
        Self {
            halves: Halves::default(),
            waiting: Waiting::default(),
            lineage: Lineage::default(),
            units: Units::default(),
            tasks: Tasks::default(),
            facts: BTreeMap::new(),
            ended: VecDeque::new(),
            path: Vec::new(),
            minter: Minter::new(nonce),
            excluded,
            explaining: false,
            explanations: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Explains every decision from here on.
    pub const fn explain_all(&mut self) {
        self.explaining = true;
    }

    /// Takes the explanations of what was decided since the last time.
    pub fn explanations(&mut self) -> Vec<Explanation> {
        std::mem::take(&mut self.explanations)
    }

    /// What the host knows of a process.
    pub fn process(&mut self, process: Arc<Process>) {
        self.facts.insert(process.id, process);
        if self.facts.len() > PROCESSES_MAX {
            self.facts.pop_first();
            self.stats.evicted_processes += 1;
        }
    }

    /// A thread acted on a connection; `serves` says that its process answers requests there.
    pub fn acted(&mut self, actor: &Actor, time: BootNanos, cookie: SockCookie, serves: bool) -> Acted {
        let acted = self.lineage.acted(actor, time);
        if acted.gap {
            self.missed(actor.thread, time);
        }
        if serves && acted.reads {
            self.turned(actor.thread, time, cookie);
        }
        acted
    }

    /// The unit that a thread's next record is of.
    pub fn running(&mut self, running: Running) {
        self.units.runs(&running);
        self.lineage.running(running);
    }

    /// Bytes moved on a connection, after [`Self::acted`] said that units are known of their thread: which moved them?
    pub fn moved(&mut self, actor: &Actor, cookie: SockCookie, direction: Direction, serves: bool) {
        if let Some(running) = self.lineage.ran(actor) {
            self.units.acted(&running, cookie, serves && direction == Direction::Send);
        }
    }

    /// A unit was created by one that carried no tag.
    pub fn unit_born(&mut self, born: &UnitBorn) {
        self.units.born(born);
    }

    /// What a unit had taken from queues when it acted.
    pub fn took(&mut self, process: ProcessId, unit: UnitId, seq: u32, takes: Box<Takes>) {
        self.units.took(process, unit, seq, takes);
    }

    /// Who wrote what a unit had read from a pipe when it acted.
    pub fn piped(&mut self, process: ProcessId, unit: UnitId, seq: u32, writer: Writer) {
        self.units.piped(process, unit, seq, writer);
    }

    /// What a unit had read from a pipe when it acted names a task.
    pub fn job(&mut self, process: ProcessId, unit: UnitId, seq: u32, task: TaskId) {
        self.units.job(process, unit, seq, task);
    }

    /// A thread put a task somewhere, for whatever it was at work for then.
    pub fn put(&mut self, task: TaskId, actor: Actor, time: BootNanos) {
        let (unit, thread) = (self.lineage.ran(&actor).map(|running| running.unit), actor.thread);
        let takes = unit.and_then(|unit| self.units.takes(unit.id, thread, actor.seq));
        let message = unit.and_then(|unit| self.units.message(thread.process, unit.id, actor.seq)).map(Box::new);
        let put = Put { time, actor, unit, takes, message };
        self.keep_cause_of(&put);
        self.stats.evicted_tasks += self.tasks.put(task, put);
    }

    /// A queue lends what is in it.
    pub fn returned(&mut self, process: ProcessId, queue: u64, time: BootNanos) {
        self.units.returned(process, queue, time);
    }

    /// A unit took one of the things that it takes for several.
    pub fn gathered(&mut self, gathered: &Gathered) {
        self.units.gathered(gathered);
    }

    /// A unit that took things for several created one that works for all of them.
    pub fn handed(&mut self, process: ProcessId, unit: UnitId, child: UnitId) {
        self.units.handed(process, unit, child);
    }

    /// A unit calls with a request's context.
    pub fn passes(&mut self, passed: &Passed) {
        self.units.passes(passed);
    }

    /// A unit that works for nobody known answered a request.
    pub fn answers(&mut self, answered: &Answered) {
        let Answered { process, unit, request, time, lossy, called, nth } = *answered;
        // The records of a call may have been lost: then it is not taken for the one before.
        let call =
            self.halves.of_socket(called).rfind(|half| half.request.role == Role::Client && half.start() <= time);
        let by_it = |half: &&Half| half.process == process && half.unit.is_some_and(|known| known.id == unit);
        let Some(call) = call.filter(by_it).map(|half| half.request.key) else { return };
        let Some(half) = self.halves.get_mut(call).filter(|half| half.batch.is_none()) else { return };
        match &mut half.answer {
            Some(known) if known.request == request => {}
            None if nth == 1 => {
                half.answer = Some(Box::new(Answer { request, time, lossy, several: false }));
                self.units.answered(process, unit);
            }
            answer => {
                *answer = Some(Box::new(Answer { request, time, lossy, several: true }));
                self.units.answers_several(process, time);
            }
        }
    }

    /// A unit is no more.
    pub fn unit_ended(&mut self, process: ProcessId, unit: UnitId, time: BootNanos) {
        self.units.ended(process, unit, time);
        self.waiting.has_ended(On::Unit(process, unit), time);
    }

    /// Records of a thread were lost. What it read may have been answered in them, so it proves nothing any more: not
    /// whose the thread's calls are, nor that it interleaves.
    fn missed(&mut self, thread: ThreadId, time: BootNanos) {
        self.stats.thread_gaps += 1;
        self.lineage.process_mut(thread.process).missed = Some(time);
        for key in std::mem::take(&mut self.lineage.thread_mut(thread).reading) {
            if let Some(half) = self.halves.get_mut(key) {
                half.gap = true;
            }
        }
    }

    /// A thread turned to a connection over which it serves. Requests of others that it read and that are not over as
    /// far as is known now may turn out to have been over: their later bytes decide.
    fn turned(&mut self, thread: ThreadId, time: BootNanos, cookie: SockCookie) {
        let Some(known) = self.lineage.thread(thread) else { return };
        let others: Vec<HalfKey> = known.reading.iter().copied().filter(|key| key.cookie != cookie).collect();
        for key in others {
            let Some(half) = self.halves.get_mut(key).filter(|half| half.elsewhere.is_none()) else { continue };
            half.elsewhere = Some(time);
            if half.response.is_none() {
                self.lineage.process_mut(half.process).suspects.insert(key);
            }
        }
    }

    /// A request's bytes moved at `time`, after all that is known of it.
    fn went_on(lineage: &mut Lineage, half: &mut Half, time: BootNanos) {
        let Some(elsewhere) = half.elsewhere else { return };
        let process = lineage.process_mut(half.process);
        process.suspects.remove(&half.request.key);
        if elsewhere <= time {
            half.interleaved = true;
            process.event_loop = true;
        }
    }

    /// A half began. Its `serving` and `concurrent` are set here.
    pub fn began(&mut self, mut half: Half) {
        let (key, role, thread) = (half.request.key, half.request.role, half.request.actor.thread);
        self.forget(key);
        if role == Role::Server {
            // Who serves on a connection may only show with its first request.
            self.turned(thread, half.start(), key.cookie);
        }
        let process = self.lineage.process_mut(half.process);
        half.serving = !process.open.is_empty();
        if role == Role::Server {
            half.concurrent = half.serving;
            // With more than one open, each is known to be beside another.
            let alone = process.open.first().copied().filter(|_| process.open.len() == 1);
            process.open.insert(key);
            self.lineage.thread_mut(thread).reading.insert(key);
            if let Some(alone) = alone.and_then(|alone| self.halves.get_mut(alone)) {
                alone.concurrent = true;
            }
        } else {
            process.calls.insert(key);
            half.unit = self.lineage.ran(&half.request.actor).map(|running| running.unit);
            if let Some(unit) = half.unit {
                half.takes = self.units.takes(unit.id, thread, half.request.actor.seq);
                half.message = self.units.message(half.process, unit.id, half.request.actor.seq).map(Box::new);
                half.batch = self.units.batch(&half);
                half.passed = self.units.passed(half.process, unit.id, key.cookie);
                if runtime::answers::is_nobodys(&half) {
                    self.units.calls(half.process, unit.id);
                }
            }
        }
        self.waiting.begin(half.start(), key);
        self.halves.insert(half);
    }

    /// What ties a socket to its other end became known: so did the identities of its exchanges.
    pub fn linked(&mut self, cookie: SockCookie, link: Link, opened: Opened) {
        let undecided = |half: &&Half| half.decided.is_none();
        let halves: Vec<(HalfKey, Role)> =
            self.halves.of_socket(cookie).filter(undecided).map(|half| (half.request.key, half.request.role)).collect();
        for (key, role) in halves {
            let Some(identity) = ExchangeId::new(key, role, link, opened) else { continue };
            if let (Link::Unix(peer), Some(half)) = (link, self.halves.get_mut(key)) {
                half.unix_peer = Some(peer);
            }
            self.halves.identify(key, identity);
        }
    }

    /// The final answer of a half began.
    pub fn answered(&mut self, key: HalfKey, response: Response) {
        let start = response.start;
        if let Some(half) = self.halves.answer(key, response) {
            Self::went_on(&mut self.lineage, half, start);
        }
    }

    /// A half is over: it settles a moment later.
    pub fn ended(&mut self, end: End) {
        let Some(half) = self.halves.get_mut(end.key).filter(|half| half.end.is_none()) else { return };
        if end.outcome == Outcome::Void {
            self.forget(end.key);
            return;
        }
        half.end = Some(end);
        Self::went_on(&mut self.lineage, half, end.time);
        Self::close(&mut self.lineage, half);
        let due = BootNanos(end.time.0.saturating_add(SETTLE_NS));
        self.waiting.end(half.start(), end.key, due, half.bytes);
    }

    /// A half is open no more.
    fn close(lineage: &mut Lineage, half: &Half) {
        let key = half.request.key;
        let process = lineage.process_mut(half.process);
        process.suspects.remove(&key);
        process.calls.remove(&key);
        if process.open.remove(&key) {
            process.witnesses =
                process.witnesses.saturating_add(u32::from(half.concurrent && half.elsewhere.is_none()));
            lineage.thread_mut(half.request.actor.thread).reading.remove(&key);
        }
        lineage.tidy(half.process);
    }

    /// Forgets a half, whatever its state.
    fn forget(&mut self, key: HalfKey) {
        if let Some(half) = self.halves.remove(key) {
            Self::close(&mut self.lineage, &half);
            self.waiting.drop(half.start(), key);
            self.halves.reuse(half);
        }
    }

    /// A thread or process was created.
    pub fn forked(&mut self, fork: &Fork) {
        if self.lineage.acted(&fork.actor, fork.time).gap {
            self.missed(fork.actor.thread, fork.time);
        }
        self.lineage.forked(fork);
    }

    /// A process replaced its program.
    pub fn executed(&mut self, process: ProcessId) {
        self.lineage.executed(process);
    }

    /// A thread ended.
    pub fn exited(&mut self, exit: &Exit) {
        self.lineage.exited(exit);
        self.waiting.has_ended(On::Thread(exit.thread), exit.time);
        if exit.last {
            self.ended.push_back((exit.time, exit.thread.process));
        }
    }
}
