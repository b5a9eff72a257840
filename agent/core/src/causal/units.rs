//! Units of runtimes: who was created by whom, what each answers, and which of them prove anything.
//!
//! Only units that were told of are known: those that call, that answer, or that were created by one without a tag.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use agent_ebpf::wire::record::GATHERED_MAX;

use crate::causal::half::{Batch, Half};
use crate::decode::{Gathered, Passed, Running, Tag, Takes, UnitBorn, Writer};
use crate::ids::{BootNanos, ProcessId, SockCookie, TaskId, ThreadId, UnitId};
use crate::limits::{ANSWERING_MIN, ANSWERING_NS, EXITED_THREAD_NS, LENDING_NS, LENDING_QUEUES_MAX, UNITS_MAX};

type Key = (ProcessId, UnitId);
/// Units that stem from one that another one created then.
type Family = (ProcessId, UnitId, BootNanos);

/// Of a unit's calls that were answered, the share that may go unanswered: a client that leaves is answered by nobody.
const ANSWERED_SHARE: u32 = 8;

/// What is known of a unit.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The unit that created it and when, if it carried no tag then.
    pub born: Option<(UnitId, BootNanos)>,
    /// When it acted last.
    pub acted: BootNanos,
    /// When it ended.
    pub ended: Option<BootNanos>,
    /// When it began to answer for the first time, and for the last.
    pub answered: Option<(BootNanos, BootNanos)>,
    reads: Sockets,
    answers: Sockets,
    /// What units answered that it created, which carried nothing then.
    below: Option<Answers>,
    takes: Option<Told>,
    /// What the one works for whose job it was last told to have taken.
    pub job_of: Option<Tag>,
    /// What it had read from a pipe when it acted last, and the number of that act.
    message: Option<(u32, Message)>,
    /// The task that it is told next to have read of, and the number of that act.
    job: Option<(u32, TaskId)>,
    calls: Calls,
    /// The context that it called with last, until that call is seen.
    passed: Option<Box<Passed>>,
    /// What it took for several last.
    gathers: Option<Arc<Batch>>,
    /// What it works for that the one took which created it.
    handed: Option<Arc<Batch>>,
}

/// What some units answered.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    sockets: Sockets,
    /// When they began to for the first time, and for the last.
    pub between: (BootNanos, BootNanos),
}

impl Answers {
    /// Over which connection, if it is a single one.
    #[must_use]
    pub const fn over(&self) -> Option<SockCookie> {
        match self.sockets {
            Sockets::One(cookie) => Some(cookie),
            Sockets::None | Sockets::Several => None,
        }
    }

    fn add(known: &mut Option<Self>, cookie: SockCookie, time: BootNanos) {
        let known = known.get_or_insert(Self { sockets: Sockets::None, between: (time, time) });
        known.sockets.add(cookie);
        let (first, last) = known.between;
        known.between = (first.min(time), last.max(time));
    }
}

/// Calls of a unit that works for nobody known.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    /// After which it answered a request.
    answered: u32,
    /// After which it called again.
    unanswered: u32,
    /// The last one is neither yet.
    open: bool,
}

/// How the units of a process answer that work for nobody known.
#[derive(Clone, Copy, Debug, Default)]
struct Answering {
    /// Calls after which one request was answered, since it was seen otherwise.
    answered: u32,
    /// When several were last.
    several: Option<BootNanos>,
}

/// What a unit read from a pipe last.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Who wrote it.
    pub writer: Writer,
    /// The task that it names.
    pub task: Option<TaskId>,
}

/// What a unit had taken from queues when it acted last.
#[derive(Clone, Debug)]
struct Told {
    /// Number of that act, among those of its thread.
    seq: u32,
    /// The thread, once that is told: units move among them.
    thread: Option<ThreadId>,
    takes: Box<Takes>,
}

/// The connections that something was seen on: more than one are as good as any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sockets {
    #[default]
    None,
    One(SockCookie),
    Several,
}

impl Sockets {
    fn add(&mut self, cookie: SockCookie) {
        *self = match *self {
            Self::None => Self::One(cookie),
            Self::One(known) if known == cookie => *self,
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

/// All units that may still matter.
#[derive(Debug, Default)]
pub struct Units {
    known: BTreeMap<Key, Known>,
    /// In the order they became known; those that are gone among them.
    order: VecDeque<Key>,
    /// In the order they ended.
    ended: VecDeque<(BootNanos, Key)>,
    /// Queues that lend what is in them, and when that was seen last. Their addresses are used again.
    lending: BTreeMap<(ProcessId, u64), BootNanos>,
    answering: BTreeMap<ProcessId, Answering>,
    /// What they answered that stem from a unit which was created by one that answers.
    families: BTreeMap<Family, Option<Answers>>,
    /// In the order they became known.
    families_order: VecDeque<Family>,
}

impl Units {
    /// What is known of a unit.
    #[must_use]
    pub fn get(&self, process: ProcessId, unit: UnitId) -> Option<&Known> {
        self.known.get(&(process, unit))
    }

    /// The connection that a unit answers on, if it is a single one.
    #[must_use]
    pub fn answers(&self, process: ProcessId, unit: UnitId) -> Option<SockCookie> {
        match self.get(process, unit)?.answers {
            Sockets::One(cookie) => Some(cookie),
            Sockets::None | Sockets::Several => None,
        }
    }

    /// What those answered that a unit created.
    #[must_use]
    pub fn answered_below(&self, process: ProcessId, unit: UnitId) -> Option<Answers> {
        self.get(process, unit)?.below
    }

    /// What those answered that stem from what a unit created then.
    #[must_use]
    pub fn answered_by_family(&self, process: ProcessId, via: UnitId, since: BootNanos) -> Option<Answers> {
        *self.families.get(&(process, via, since))?
    }

    /// True if a unit reads the requests of several connections, as a loop does that runs its callbacks in one unit: what it
    /// read last is not what it works for.
    #[must_use]
    pub fn is_shared(&self, process: ProcessId, unit: UnitId) -> bool {
        self.get(process, unit).is_some_and(|known| known.reads == Sockets::Several)
    }

    /// A unit acted on a connection. `answers`: it sent on one over which its process serves.
    pub fn acted(&mut self, running: &Running, cookie: SockCookie, answers: bool) {
        let (process, unit) = (running.thread.process, running.unit);
        let known = self.entry((process, unit.id));
        known.acted = known.acted.max(running.time);
        if let Some(own) = unit.own {
            known.reads.add(own.cookie);
        }
        if answers {
            known.answers.add(cookie);
            let (first, last) = known.answered.unwrap_or((running.time, running.time));
            known.answered = Some((first.min(running.time), last.max(running.time)));
            if let Some((creator, _)) = known.born {
                Answers::add(&mut self.entry((process, creator)).below, cookie, running.time);
            }
            if let (Some(via), Some(since)) = (unit.via, unit.since) {
                Answers::add(self.family((process, via, since)), cookie, running.time);
            }
        }
        if let (Some(via), Some(inherited)) = (unit.via, unit.inherited) {
            self.entry((process, via)).reads.add(inherited.cookie);
        }
        if let (Some(via), Some(answered)) = (unit.via, unit.answers) {
            self.entry((process, via)).answers.add(answered);
        }
    }

    /// What a unit had taken from queues when a thread of its process ran it to act, if that was told.
    #[must_use]
    pub fn takes(&self, unit: UnitId, thread: ThreadId, seq: u32) -> Option<Box<Takes>> {
        let told = self.get(thread.process, unit)?.takes.as_ref()?;
        (told.seq == seq && told.thread == Some(thread)).then(|| told.takes.clone())
    }

    /// What a unit had read from a pipe when it acted, if that was told.
    #[must_use]
    pub fn message(&self, process: ProcessId, unit: UnitId, seq: u32) -> Option<Message> {
        let (told, message) = self.get(process, unit)?.message?;
        (told == seq).then_some(message)
    }

    /// A unit acts that read from a pipe.
    pub fn piped(&mut self, process: ProcessId, unit: UnitId, seq: u32, writer: Writer) {
        let known = self.entry((process, unit));
        let task = known.job.take().and_then(|(told, task)| (told == seq).then_some(task));
        known.message = Some((seq, Message { writer, task }));
    }

    /// What a unit read, which is told to act next, names a task.
    pub fn job(&mut self, process: ProcessId, unit: UnitId, seq: u32, task: TaskId) {
        self.entry((process, unit)).job = Some((seq, task));
    }

    /// A unit acts that took something from queues.
    pub fn took(&mut self, process: ProcessId, unit: UnitId, seq: u32, takes: Box<Takes>) {
        let known = self.entry((process, unit));
        known.job_of = takes[0].filter(|head| head.others == 0).and_then(|head| head.claim.inherited).or(known.job_of);
        known.takes = Some(Told { seq, thread: None, takes });
    }

    /// A thread runs a unit to act: what was told of another act, which may have had its number, is not of this one.
    pub fn runs(&mut self, running: &Running) {
        let Some(known) = self.known.get_mut(&(running.thread.process, running.unit.id)) else { return };
        let is_of_this =
            |told: &Told| told.seq == running.seq && told.thread.is_none_or(|other| other == running.thread);
        known.takes = known.takes.take().filter(is_of_this).map(|told| Told { thread: Some(running.thread), ..told });
    }

    /// True if a queue lends what is in it.
    #[must_use]
    pub fn lends(&self, process: ProcessId, queue: u64) -> bool {
        self.lending.contains_key(&(process, queue))
    }

    /// What was taken from a queue was put back.
    pub fn returned(&mut self, process: ProcessId, queue: u64, time: BootNanos) {
        self.lending.insert((process, queue), time);
    }

    /// A unit took one of the things that it takes for several.
    pub fn gathered(&mut self, gathered: &Gathered) {
        let known = self.entry((gathered.process, gathered.unit));
        let number = gathered.taken.takes;
        // The first one's record may have been lost.
        if gathered.nth == 0 || known.gathers.as_ref().is_none_or(|before| before.number != number) {
            known.gathers = Some(Arc::new(Batch { number, lossy: gathered.lossy, ..Batch::default() }));
        }
        let batch = Arc::make_mut(known.gathers.get_or_insert_default());
        if gathered.nth == batch.taken.len() as u64 && gathered.nth < GATHERED_MAX {
            batch.taken.push(gathered.taken);
        } else {
            batch.partial = true;
        }
    }

    /// It created a unit that works for all of them.
    pub fn handed(&mut self, process: ProcessId, unit: UnitId, child: UnitId) {
        let gathers = self.get(process, unit).and_then(|known| known.gathers.clone());
        self.entry((process, child)).handed = gathers;
    }

    /// What a call was made for, if that is several things: what its unit took without having acted in between, or what the one
    /// that created it had taken, if it took nothing itself.
    #[must_use]
    pub fn batch(&self, half: &Half) -> Option<Arc<Batch>> {
        let known = self.get(half.process, half.unit?.id)?;
        match half.takes.as_deref() {
            Some(takes) if takes.iter().flatten().all(|taken| taken.others == 0) => None,
            // If what it took last is none of them, they are another batch's, and the records of this one were lost.
            Some(takes) => known.gathers.clone().filter(|batch| {
                let claims = || takes.iter().flatten().map(|taken| taken.claim);
                claims().any(|claim| batch.taken.iter().any(|taken| taken.claim == claim))
            }),
            None => known.handed.clone(),
        }
    }

    /// A unit calls with a context.
    pub fn passes(&mut self, passed: &Passed) {
        self.entry((passed.process, passed.unit)).passed = Some(Box::new(*passed));
    }

    /// The context that a unit's call over a socket was given, which is that call's alone.
    pub fn passed(&mut self, process: ProcessId, unit: UnitId, socket: SockCookie) -> Option<Box<Passed>> {
        self.known.get_mut(&(process, unit))?.passed.take().filter(|passed| passed.called == socket)
    }

    /// A unit calls that works for nobody known.
    pub fn calls(&mut self, process: ProcessId, unit: UnitId) {
        let calls = &mut self.entry((process, unit)).calls;
        calls.unanswered = calls.unanswered.saturating_add(u32::from(calls.open));
        calls.open = true;
    }

    /// It answered a request, the first one since it called.
    pub fn answered(&mut self, process: ProcessId, unit: UnitId) {
        let calls = &mut self.entry((process, unit)).calls;
        calls.answered = calls.answered.saturating_add(1);
        calls.open = false;
        let answering = self.answering.entry(process).or_default();
        answering.answered = answering.answered.saturating_add(1);
    }

    /// It answered more than one, so either it called for several or not for each.
    pub fn answers_several(&mut self, process: ProcessId, time: BootNanos) {
        self.answering.insert(process, Answering { answered: 0, several: Some(time) });
    }

    /// True if a unit's calls and answers take turns, and those of others in its process that work for nobody known.
    #[must_use]
    pub fn takes_turns(&self, process: ProcessId, unit: UnitId, now: BootNanos) -> bool {
        let all = self.answering.get(&process).is_some_and(|all| {
            all.answered >= ANSWERING_MIN && all.several.is_none_or(|seen| now.since(seen) >= ANSWERING_NS)
        });
        let calls = self.get(process, unit).map(|known| known.calls).unwrap_or_default();
        all && calls.unanswered <= calls.answered / ANSWERED_SHARE
    }

    /// A unit was created by one that carried no tag.
    pub fn born(&mut self, born: &UnitBorn) {
        self.entry((born.process, born.unit)).born = Some((born.creator, born.time));
    }

    /// A unit is no more.
    pub fn ended(&mut self, process: ProcessId, unit: UnitId, time: BootNanos) {
        let key = (process, unit);
        self.entry(key).ended = Some(time);
        self.ended.push_back((time, key));
    }

    /// Forgets the units of a process that is no more.
    pub fn process_ended(&mut self, process: ProcessId) {
        let ended: Vec<Key> =
            self.known.range((process, UnitId(0))..=(process, UnitId(u64::MAX))).map(|(key, _)| *key).collect();
        for key in ended {
            self.known.remove(&key);
        }
        self.lending.retain(|(of, _), _| *of != process);
        self.answering.remove(&process);
        self.families.retain(|(of, ..), _| *of != process);
    }

    /// Forgets what ended long ago. Returns how many had to be forgotten without an end.
    pub fn sweep(&mut self, now: BootNanos) -> u64 {
        while let Some((_, key)) = self.ended.pop_front_if(|(time, _)| now.since(*time) >= EXITED_THREAD_NS) {
            self.known.remove(&key);
        }
        let mut evicted = 0;
        while self.known.len() > UNITS_MAX
            && let Some(key) = self.order.pop_front()
        {
            evicted += u64::from(self.known.remove(&key).is_some());
        }
        while self.families_order.len() > UNITS_MAX
            && let Some(family) = self.families_order.pop_front()
        {
            // What its units answered was settled long ago, as a rule: it is no loss.
            self.families.remove(&family);
        }
        if self.order.len() > 2 * UNITS_MAX {
            self.order.retain(|key| self.known.contains_key(key));
        }
        if self.lending.len() > LENDING_QUEUES_MAX {
            evicted += self.lending.len() as u64;
            self.lending.clear();
        }
        self.lending.retain(|_, seen| now.since(*seen) < LENDING_NS);
        evicted
    }

    fn family(&mut self, family: Family) -> &mut Option<Answers> {
        self.families.entry(family).or_insert_with(|| {
            self.families_order.push_back(family);
            None
        })
    }

    fn entry(&mut self, key: Key) -> &mut Known {
        self.known.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Known::default()
        })
    }
}
