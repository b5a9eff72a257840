//! Facts of the host that the core must be told before the events that need them, and targets that appear.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt as _};
use tracemend_core::decode::{Event, Process};
use tracemend_core::ids::{ProcessId, Tgid};

use crate::attach;
use crate::config::Targets;
use crate::host::{Counters, Host};

/// Processes that are remembered as told at most. Their ends are told too, unless that is lost; beyond it all are told
/// anew.
const TOLD_MAX: usize = 32_768;

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

    /// What the host knows.
    pub(super) const fn host(&self) -> &Host {
        &self.host
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
                    self.note(fork.child.process);
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
                    self.note(process);
                    let comm = if let Event::Open(open) = event { open.comm.as_str() } else { "" };
                    tell(self.host.process(process).unwrap_or_else(|| self.host.gone(process, comm)));
                }
            }
            Event::Exec { process, .. } if !self.targets.is_everything() => {
                if self.host.is_target(&self.targets, process.tgid) {
                    self.trace(kernel, process.tgid);
                }
            }
            Event::Listen(listen) if self.targets.ports.contains(&listen.port) => {
                self.trace(kernel, listen.process.tgid);
            }
            Event::Exec { .. }
            | Event::Listen(_)
            | Event::Fork(_)
            | Event::Exit(_)
            | Event::Count(_)
            | Event::Closing { .. }
            | Event::Running(_)
            | Event::UnitBorn(_)
            | Event::UnitEnded { .. }
            | Event::Took { .. }
            | Event::Piped { .. }
            | Event::Job { .. }
            | Event::Returned { .. }
            | Event::Answered(_)
            | Event::Passed(_)
            | Event::Gathered(_)
            | Event::Handed { .. }
            | Event::Process(_) => {}
        }
    }

    /// The facts of a new program, if its process was told of before.
    pub(super) fn executed(&mut self, process: ProcessId) -> Option<Arc<Process>> {
        if self.told.contains(&process) { self.host.executed(process) } else { None }
    }

    fn note(&mut self, process: ProcessId) {
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(process);
    }

    /// Traces a process, whose later children the kernel half adds, and those it has by now: a server forks its workers
    /// right after it began to listen.
    fn trace(&self, kernel: &mut attach::Targets, tgid: Tgid) {
        tracing::debug!(pid = tgid.0, "target found");
        let add = |kernel: &mut attach::Targets, tgid: Tgid| {
            if let Err(error) = kernel.add(tgid.0) {
                tracing::warn!(pid = tgid.0, error = format!("{error:#}"), "target not traced");
            }
        };
        add(kernel, tgid);
        for child in self.host.descendants(tgid) {
            add(kernel, child);
        }
    }
}
