//! Threads and processes: who was created by whom, who reads which requests, and whether that proves anything.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::{Actor, Exit, Fork, Tag};
use crate::ids::{BootNanos, ProcessId, ThreadId};
use crate::limits::{EXITED_THREAD_NS, THREADS_MAX};
use crate::proto::exchange::HalfKey;

/// What is known of a thread.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    /// How it was created, if that was seen.
    pub born: Option<Birth>,
    /// When and how it ended.
    pub exited: Option<Exited>,
    /// Requests it read that are not answered yet.
    pub reading: BTreeSet<HalfKey>,
    last_seq: u32,
}

/// The creation of a thread, or of a process by its first thread.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// When.
    pub time: BootNanos,
    /// The creating thread.
    pub creator: ThreadId,
    /// The turn the creating thread had last read, then.
    pub own: Option<Tag>,
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
    /// Requests that are open now.
    pub open: BTreeSet<HalfKey>,
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

    /// Notes a record of a thread. True if records of it were lost just before.
    pub fn acted(&mut self, actor: &Actor) -> bool {
        let thread = self.thread_mut(actor.thread);
        let gap = thread.last_seq != 0 && actor.seq != thread.last_seq.wrapping_add(1);
        thread.last_seq = actor.seq;
        gap
    }

    /// Notes a creation.
    pub fn forked(&mut self, fork: &Fork) {
        let parent = fork.actor.thread.process;
        let born = Birth { time: fork.time, creator: fork.actor.thread, own: fork.actor.own };
        // Thread ids are reused: whatever was known under this one is of another thread.
        self.threads.insert(fork.child, Thread { born: Some(born), ..Thread::default() });
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
        }
    }

    /// Forgets what ended long ago. Returns how many live threads had to be forgotten with it.
    pub fn sweep(&mut self, now: BootNanos) -> u64 {
        self.threads.retain(|_, thread| thread.exited.is_none_or(|exited| now.since(exited.time) < EXITED_THREAD_NS));
        let mut evicted = 0;
        while self.threads.len() > THREADS_MAX {
            self.threads.pop_first();
            evicted += 1;
        }
        let threads = &self.threads;
        let alive = |id: &ProcessId| {
            let first = ThreadId { process: *id, tid: crate::ids::Tid(0) };
            threads.range(first..).next().is_some_and(|(thread, _)| thread.process == *id)
        };
        self.processes.retain(|id, process| !process.open.is_empty() || alive(id));
        evicted
    }
}
