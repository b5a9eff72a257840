//! The hooks, what each is for, and what is off without it.

use std::collections::BTreeMap;

use agent_ebpf::wire::names::program;
use anyhow::{Context as _, Result};
use aya::programs::{BtfTracePoint, Program};
use aya::{Btf, Ebpf};

use crate::attach::{parallel, runtime, session};

/// Whether a hook works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It loads (and is attached, in a session).
    On,
    /// It does not.
    Off,
}

/// What became of one hook.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The kernel's name of the hook.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Nothing can be traced without it.
    pub essential: bool,
    /// Whether it works.
    pub state: State,
    /// Why not; empty where it works.
    pub why: String,
}

impl HookReport {
    fn new(name: &'static str, purpose: &'static str, essential: bool, outcome: Result<()>) -> Self {
        let state = if outcome.is_ok() { State::On } else { State::Off };
        let why = outcome.err().map_or_else(String::new, |error| format!("{error:#}"));
        Self { name, purpose, essential, state, why }
    }
}

/// A hook and the program for it.
pub(super) struct Hook {
    pub(super) program: &'static str,
    pub(super) tracepoint: &'static str,
    pub(super) purpose: &'static str,
    pub(super) essential: bool,
}

/// What must stand before the first payload: roles and lineage.
pub(super) static EARLY: [Hook; 4] = [
    Hook {
        program: program::SOCK_STATE,
        tracepoint: "inet_sock_set_state",
        purpose: "connection life: who opened it, the connecting thread, its end",
        essential: false,
    },
    Hook {
        program: program::FORK,
        tracepoint: "sched_process_fork",
        purpose: "threads and processes created while serving",
        essential: false,
    },
    Hook {
        program: program::EXEC,
        tracepoint: "sched_process_exec",
        purpose: "new programs: names and targets",
        essential: false,
    },
    Hook {
        program: program::EXIT,
        tracepoint: "sched_process_exit",
        purpose: "ended threads and processes",
        essential: false,
    },
];

/// The payload itself.
pub(super) static PAYLOAD: [Hook; 2] = [
    Hook {
        program: program::SOCK_SEND,
        tracepoint: "sock_send_length",
        purpose: "bytes sent (Linux 6.3 or later)",
        essential: true,
    },
    Hook {
        program: program::SOCK_RECV,
        tracepoint: "sock_recv_length",
        purpose: "bytes received (Linux 6.3 or later)",
        essential: true,
    },
];

impl Hook {
    /// Loads the program.
    fn load(&self, program: Option<&mut Program>, btf: &Btf) -> HookReport {
        let outcome = self.tracing(program).and_then(|program| Ok(program.load(self.tracepoint, btf)?));
        HookReport::new(self.tracepoint, self.purpose, self.essential, outcome)
    }

    /// Attaches the program, if it could be loaded.
    pub(super) fn attach(&self, ebpf: &mut Ebpf, report: &mut HookReport) {
        if report.state == State::Off {
            return;
        }
        if let Err(error) = self.tracing(ebpf.program_mut(self.program)).and_then(|program| Ok(program.attach()?)) {
            report.state = State::Off;
            report.why = format!("{error:#}");
        }
    }

    fn tracing<'a>(&self, program: Option<&'a mut Program>) -> Result<&'a mut BtfTracePoint> {
        let program = program.with_context(|| format!("the kernel half has no program {}", self.program))?;
        Ok(program.try_into()?)
    }
}

/// Loads the programs of all hooks; what became of each, the early ones first.
pub(super) fn load_all(ebpf: &mut Ebpf, btf: &Btf) -> Vec<HookReport> {
    let mut programs: BTreeMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let load = |hook: &'static Hook| {
        let program = programs.remove(hook.program);
        move || hook.load(program, btf)
    };
    parallel::all(EARLY.iter().chain(&PAYLOAD).map(load).collect())
}

/// Tries every hook on this kernel by loading its program, without attaching anything.
///
/// # Errors
/// If the kernel half as a whole cannot be loaded (no permission, no BTF, no kernel half in this build).
pub fn probe() -> Result<Vec<HookReport>> {
    let options = session::Options::default();
    let (mut ebpf, btf) = session::load_object(&options)?;
    let mut reports = load_all(&mut ebpf, &btf);
    reports.push(HookReport::new(
        "uprobe, uretprobe",
        "units of runtimes: asyncio and greenlets in CPython 3.9 to 3.14, goroutines from Go 1.18 on",
        false,
        runtime::load_probes(&mut ebpf, &options.program),
    ));
    Ok(reports)
}
