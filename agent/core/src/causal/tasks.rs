//! Tasks by their names: who put each of them where somebody else will take it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::causal::half::Half;
use crate::causal::units::Message;
use crate::conn::Ends;
use crate::decode::{Actor, Takes, Unit};
use crate::ids::{BootNanos, SockCookie, TaskId};
use crate::limits::{TASK_DEPTH_MAX, TASK_NS, TASK_PUTS_MAX, TASKS_MAX};
use crate::map::Map;
use crate::proto::exchange::{HalfKey, Request, Role};
use crate::proto::trace_context::WireContext;

/// Who put a task, and every tag that may say on whose behalf.
#[derive(Debug)]
pub struct Put {
    /// When.
    pub time: BootNanos,
    /// The thread.
    pub actor: Actor,
    /// The unit of a runtime that it ran, if that was told.
    pub unit: Option<Unit>,
    /// What that unit had taken from queues.
    pub takes: Option<Box<Takes>>,
    /// What it had read from a pipe last.
    pub message: Option<Box<Message>>,
}

impl Put {
    /// The call that its unit might have made at that moment instead: what caused that put the task.
    pub fn as_call(&self, ends: &Arc<Ends>) -> Half {
        let request = Request {
            key: HalfKey { cookie: SockCookie(0), offset: 0 },
            role: Role::Client,
            method: SmolStr::default(),
            target: SmolStr::default(),
            version: "",
            host: None,
            user_agent: None,
            context: WireContext::default(),
            start: self.time,
            actor: self.actor,
            blocking: false,
            stale: false,
        };
        Half {
            unit: self.unit,
            takes: self.takes.clone(),
            message: self.message.clone(),
            ..Half::new(request, Arc::clone(ends))
        }
    }
}

/// All tasks that may still be worked at.
#[derive(Debug, Default)]
pub struct Tasks {
    known: Map<TaskId, Known>,
    /// Each time that one was put, in order.
    order: VecDeque<(BootNanos, TaskId)>,
    /// The ends that calls are made between which nobody made.
    pub nowhere: Arc<Ends>,
    asked: Cell<usize>,
}

#[derive(Debug, Default)]
struct Known {
    puts: SmallVec<[Box<Put>; 1]>,
    /// It was put too often to be anybody's.
    disputed: bool,
    last: BootNanos,
}

impl Tasks {
    /// A task was put. Returns how many others had to be forgotten.
    pub fn put(&mut self, task: TaskId, put: Put) -> u64 {
        // What works for it puts it once more (a retry): that is for the same.
        if put.message.as_ref().is_some_and(|message| message.task == Some(task)) {
            return 0;
        }
        let known = self.known.entry(task).or_default();
        known.last = known.last.max(put.time);
        self.order.push_back((put.time, task));
        if known.puts.len() < TASK_PUTS_MAX {
            known.puts.push(Box::new(put));
        } else {
            known.disputed = true;
        }
        let mut evicted = 0;
        while self.order.len() > TASKS_MAX
            && let Some((time, task)) = self.order.pop_front()
        {
            evicted += u64::from(self.forget(task, time));
        }
        evicted
    }

    /// Each time that a task was put; none at all of one that was put too often to tell for whom. None if it is not known.
    pub fn puts(&self, task: TaskId) -> Option<&[Box<Put>]> {
        self.known.get(&task).map(|known| if known.disputed { &[] } else { known.puts.as_slice() })
    }

    /// Runs a question about a task, which may lead to questions about others; none if there are too many.
    pub fn ask<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        let before = self.asked.get();
        if before >= TASK_DEPTH_MAX {
            return None;
        }
        self.asked.set(before + 1);
        let answer = question();
        if before == 0 {
            self.asked.set(0);
        }
        Some(answer)
    }

    /// Forgets what was put long ago.
    pub fn sweep(&mut self, now: BootNanos) {
        while let Some((time, task)) = self.order.pop_front_if(|(time, _)| now.since(*time) >= TASK_NS) {
            self.forget(task, time);
        }
    }

    /// Forgets a task, unless it was put again since. True if it did.
    fn forget(&mut self, task: TaskId, time: BootNanos) -> bool {
        let last = self.known.get(&task).is_some_and(|known| known.last <= time);
        if last {
            self.known.remove(&task);
        }
        last
    }
}
