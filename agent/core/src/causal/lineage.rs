//! Threads and processes: who was created by whom, who reads which requests, and whether that proves anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decode::{Actor, Exit, Fork, Running, Tag};
use crate::ids::{BootNanos, ProcessId, ThreadId, Tid};
use crate::limits::{EXITED_THREAD_NS, RUNNING_MAX, THREADS_MAX};
use crate::proto::exchange::HalfKey;

/// What is known of a thread.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    /// How it was created, if that was seen.
    pub born: Option<Birth>,
    /// When it acted last.
    pub acted: BootNanos,
    /// When and how it ended.
    pub exited: Option<Exited>,
    /// Requests it read that are not over.
    pub reading: BTreeSet<HalfKey>,
    last_seq: u32,
    /// The latest units it ran as it moved bytes.
    running: VecDeque<Running>,
}

/// What a record of a thread says of it.
#[derive(Clone, Copy, Debug)]
pub struct Acted {
    /// Records of it were lost just before.
    pub gap: bool,
    /// Units are known that it ran.
    pub runs: bool,
    /// It read requests that are not over.
    pub reads: bool,
}

/// The creation of a thread, or of a process by its first thread.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// When.
    pub time: BootNanos,
    /// The creating thread.
    pub creator: ThreadId,
    /// The turn the creating thread had last read, then: what the created one's records carry as their birth.
    pub own: Option<Tag>,
    /// What the creating thread's own records carried as their birth.
    pub creators: Option<Tag>,
}

/// The end of a thread.
#[derive(Clone, Copy, Debug)]
pub struct Exited {
    /// When.
    pub time: BootNanos,
    /// It ended by itself, or with a process of its own: its work was done.
    pub done: bool,
}

/// What is known of a process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// A thread interleaved requests: no thread proves anything here any more.
    pub event_loop: bool,
    /// Requests without any answer whose thread turned to another one: either they are open still, and it interleaves
    /// them, or their end was told late.
    pub suspects: BTreeSet<HalfKey>,
    /// Requests that were open beside another one, on threads that never interleaved.
    pub witnesses: u32,
    /// When it was last noticed that records of it were lost.
    pub missed: Option<BootNanos>,
    /// Requests that are open now.
    pub open: BTreeSet<HalfKey>,
    /// Calls that are open now.
    pub calls: BTreeSet<HalfKey>,
}

impl Process {
    /// True if its threads interleave requests, as far as is known now.
    #[must_use]
    pub fn interleaves(&self) -> bool {
        self.event_loop || !self.suspects.is_empty()
    }
}

/// All threads and processes that may still matter.
#[derive(Debug, Default)]
pub struct Lineage {
    threads: BTreeMap<ThreadId, Thread>,
    processes: BTreeMap<ProcessId, Process>,
    /// Threads that ended, in the order they did.
    exited: VecDeque<(BootNanos, ThreadId)>,
}

impl Lineage {
    /// A thread.
    #[must_use]
    pub fn thread(&self, id: ThreadId) -> Option<&Thread> {
        self.threads.get(&id)
    }

    /// A thread, made if it is new.
    pub fn thread_mut(&mut self, id: ThreadId) -> &mut Thread {
        self.threads.entry(id).or_default()
    }

    /// A process.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.processes.get(&id)
    }

    /// A process, made if it is new.
    pub fn process_mut(&mut self, id: ProcessId) -> &mut Process {
        self.processes.entry(id).or_default()
    }

    /// Notes a record of a thread.
    pub fn acted(&mut self, actor: &Actor, time: BootNanos) -> Acted {
        let thread = self.threads.entry(actor.thread).or_default();
        // Thread ids are reused: this is the first record of another thread.
        let another = actor.seq == 1;
        let gap = !another && thread.last_seq != 0 && actor.seq != thread.last_seq.wrapping_add(1);
        thread.last_seq = actor.seq;
        thread.acted = thread.acted.max(time);
        Acted { gap, runs: !thread.running.is_empty(), reads: !thread.reading.is_empty() }
    }

    /// Notes what a thread's next record is of.
    pub fn running(&mut self, running: Running) {
        let thread = self.threads.entry(running.thread).or_default();
        thread.running.push_back(running);
        if thread.running.len() > RUNNING_MAX {
            thread.running.pop_front();
        }
    }

    /// The unit that a thread ran in the act that a record tells of, if that was told.
    #[must_use]
    pub fn ran(&self, actor: &Actor) -> Option<Running> {
        let running = &self.threads.get(&actor.thread)?.running;
        running.iter().find(|running| running.seq == actor.seq).copied()
    }

    /// Notes a creation.
    pub fn forked(&mut self, fork: &Fork) {
        let parent = fork.actor.thread.process;
        let born =
            Birth { time: fork.time, creator: fork.actor.thread, own: fork.actor.own, creators: fork.actor.birth };
        // Thread ids are reused: whatever was known under this one is of another thread.
        self.threads.insert(fork.child, Thread { born: Some(born), acted: fork.time, ..Thread::default() });
        if fork.child.process != parent && self.process(parent).is_some_and(|process| process.event_loop) {
            self.process_mut(fork.child.process).event_loop = true;
        }
    }

    /// Notes a new program: how its predecessor worked says nothing about it.
    pub fn executed(&mut self, process: ProcessId) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.event_loop = false;
            process.witnesses = 0;
        }
    }

    /// Notes an end.
    pub fn exited(&mut self, exit: &Exit) {
        if let Some(thread) = self.threads.get_mut(&exit.thread) {
            // The end of a process of its own is its work done; a thread swept away by the end of its process never
            // said so.
            let own_process = thread.born.is_some_and(|born| born.creator.process != exit.thread.process);
            let done = !exit.group || (own_process && exit.last);
            thread.exited = Some(Exited { time: exit.time, done });
            self.exited.push_back((exit.time, exit.thread));
        }
    }

    /// Forgets what ended long ago. Returns how many threads had to be forgotten without an end.
    pub fn sweep(&mut self, now: BootNanos) -> u64 {
        while let Some((time, id)) = self.exited.pop_front_if(|(time, _)| now.since(*time) >= EXITED_THREAD_NS) {
            // Its id may be another thread's by now.
            if self.threads.get(&id).is_some_and(|thread| thread.exited.is_some_and(|exited| exited.time == time)) {
                self.forget(id);
            }
        }
        let evicted = if self.threads.len() > THREADS_MAX { self.evict() } else { 0 };
        evicted as u64
    }

    /// Forgets a process that has neither threads nor requests.
    pub fn tidy(&mut self, id: ProcessId) {
        let idle = |process: &Process| process.open.is_empty() && process.calls.is_empty();
        if !self.processes.get(&id).is_some_and(idle) {
            return;
        }
        let first = ThreadId { process: id, tid: Tid(0) };
        let alive = self.threads.range(first..).next().is_some_and(|(thread, _)| thread.process == id);
        if !alive {
            self.processes.remove(&id);
        }
    }

    fn forget(&mut self, id: ThreadId) {
        self.threads.remove(&id);
        self.tidy(id.process);
    }

    /// Forgets the eighth that has not acted longest.
    fn evict(&mut self) -> usize {
        let mut idle: Vec<_> = self.threads.iter().map(|(id, thread)| (thread.acted, *id)).collect();
        idle.sort_unstable();
        idle.truncate(THREADS_MAX / 8);
        for (_, id) in &idle {
            self.forget(*id);
        }
        idle.len()
    }
}
