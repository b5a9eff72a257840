//! Facts of the host that the core must be told before the events that need them, and targets that appear.

use std::collections::HashSet;
use std::sync::Arc;

use tracemend_core::decode::{Event, Process};
use tracemend_core::ids::{ProcessId, Tgid};

use crate::attach;
use crate::config::Targets;
use crate::host::{Counters, Host};

/// What was told, and to whom to ask for more.
pub(super) struct Facts {
    host: Host,
    targets: Targets,
    told: HashSet<ProcessId>,
}

impl Facts {
    pub(super) fn new(host: Host, targets: Targets) -> Self {
        Self { host, targets, told: HashSet::new() }
    }

    /// What was lost.
    pub(super) fn counters(&self) -> Counters {
        self.host.counters()
    }

    /// Tells what an event needs to be known, and lets a process that it shows to be a target be traced.
    pub(super) fn before(&mut self, event: &Event, kernel: &mut attach::Targets, tell: impl FnOnce(Arc<Process>)) {
        match event {
            Event::Fork(fork) if fork.child.process != fork.actor.thread.process => {
                let parent = fork.actor.thread.process;
                if self.told.contains(&parent)
                    && let Some(process) = self.host.forked(parent, fork.child.process)
                {
                    self.told.insert(fork.child.process);
                    tell(process);
                }
            }
            Event::Exit(exit) if exit.last => {
                self.told.remove(&exit.thread.process);
                self.host.exited(exit.thread.process);
            }
            Event::Open(_) | Event::Data(_) => {
                if let Some(process) = event.process()
                    && !self.told.contains(&process)
                {
                    self.told.insert(process);
                    if let Some(facts) = self.host.process(process) {
                        tell(facts);
                    }
                }
            }
            Event::Exec { process, .. } if !self.targets.is_everything() => {
                if self.host.is_target(&self.targets, process.tgid) {
                    trace(kernel, process.tgid);
                }
            }
            Event::Listen(listen) if self.targets.ports.contains(&listen.port) => trace(kernel, listen.process.tgid),
            Event::Exec { .. }
            | Event::Listen(_)
            | Event::Fork(_)
            | Event::Exit(_)
            | Event::Count(_)
            | Event::Closing { .. }
            | Event::Process(_) => {}
        }
    }

    /// The facts of a new program, if its process was told of before.
    pub(super) fn executed(&mut self, process: ProcessId) -> Option<Arc<Process>> {
        if self.told.contains(&process) { self.host.executed(process) } else { None }
    }
}

fn trace(kernel: &mut attach::Targets, tgid: Tgid) {
    tracing::debug!(pid = tgid.0, "target found");
    if let Err(error) = kernel.add(tgid.0) {
        tracing::warn!(pid = tgid.0, error = format!("{error:#}"), "target not traced");
    }
}
