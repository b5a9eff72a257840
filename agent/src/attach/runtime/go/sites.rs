//! Where the probes of a build go.
//!
//! | site | registers |
//! |---|---|
//! | the last call of `casgstatus` in `newproc1` | rax: the new `g`, with its number (from 1.23 or 1.24 on) |
//! | the call of `runqput` in `newproc.func1` | rbx: the new `g`, where its number comes after that call |
//! | the first call of `casgstatus` in `gdestroy`, or `goexit0` before 1.22 | rax: the `g` that ends |
//! | `net/http.(*persistConn).roundTrip`, behind the check of the stack | rax: the connection, rbx: what leads to the request, r14: `g` |
//! | `net/http.(*persistConn).writeLoop`, likewise | r14: `g` |
//! | `net/http.serverHandler.ServeHTTP`, likewise | rdi: the request, r14: `g` |
//! | `time.AfterFunc`, likewise | rbx: the function value, r14: `g` |
//! | `time.stopTimer` and `time.resetTimer`, likewise | rax: the timer |
//! | the call of `typedmemmove` in `chansend` | rax: the type, rbx: the slot, r14: `g`; the channel in the frame |
//! | the call of `typedmemmove` in `selectgo` that no `typedmemclr` follows | the same; the cases in the frame |
//! | the calls of `typedmemclr` behind a `typedmemmove` in `chanrecv`, `selectgo` | rax: the type, rbx: the slot, r14: `g` |
//! | `send` and `recv`, behind the check of the stack | rax: the channel, rbx: who waits (`sudog`), r14: `g` |
//! | the call of `goready` in `closechan`, up to 1.20 | rax: the `g` that is woken, r14: `g` |
//! | the call of `systemstack` in `closechan`, later | the stack: the function value that wakes a `g`, which follows its code; r14: `g` |
//! | the last call of `typedmemmove` in `recv` | rax: the type, rbx: the slot, rcx: what is put there, r14: `g` |
//!
//! The kernel emulates each of these instructions, and each is run once: a function's first instructions are run again where
//! its stack grows.

use agent_ebpf::wire::config::Go;
use agent_ebpf::wire::names::program;
use iced_x86::Mnemonic;

use super::super::Refusal;
use super::super::code::Code;
use super::super::elf::Elf;
use super::layout;
use super::table::{Extent, Table};

/// Program and address of each probe.
pub(super) type Sites = Vec<(&'static str, u64)>;

/// What is known of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    /// What the kernel half reads. Addresses are as the file has them.
    pub(super) layout: Go,
    /// What each process needs. What ends must be known before what begins is.
    pub(super) sites: Sites,
    /// What each that serves needs.
    pub(super) serving: Sites,
    /// What watches how goroutines hand over work, all or none of it: passed too often to be watched where nothing is.
    pub(super) handing: Sites,
}

impl Build {
    /// Finds all of it.
    ///
    /// # Errors
    /// The code is not as it is in the versions known.
    pub(super) fn of(elf: &Elf<'_>, table: &Table<'_>) -> Result<Self, Refusal> {
        let [systemstack, casgstatus, newproc1, start, runqput, gdestroy, goexit0, round, writer, read] = table.find([
            "runtime.systemstack",
            "runtime.casgstatus",
            "runtime.newproc1",
            "runtime.newproc.func1",
            "runtime.runqput",
            "runtime.gdestroy",
            "runtime.goexit0",
            "net/http.(*persistConn).roundTrip",
            "net/http.(*persistConn).writeLoop",
            "net/http.(*persistConn).Read",
        ]);
        let code = |extent: Option<Extent>| extent?.code(elf);
        let needed = |extent, name| code(extent).ok_or(Refusal::Symbols(name));
        let newproc1 = needed(newproc1, "runtime.newproc1")?;
        let casgstatus = casgstatus.ok_or(Refusal::Symbols("runtime.casgstatus"))?.start;
        let (goid, numbered) = layout::goid(&newproc1).ok_or(Refusal::Symbols("g.goid"))?;
        let made = newproc1.calls(casgstatus).next_back().ok_or(Refusal::Symbols("runtime.casgstatus"))?;
        let begin = if numbered < made {
            (program::GO_MADE, made)
        } else {
            let runqput = runqput.ok_or(Refusal::Symbols("runtime.runqput"))?.start;
            let queued = needed(start, "runtime.newproc.func1")?.calls(runqput).next();
            (program::GO_QUEUED, queued.ok_or(Refusal::Symbols("runtime.runqput"))?)
        };
        let end = needed(gdestroy.or(goexit0), "runtime.goexit0")?.calls(casgstatus).next();
        let mut sites = vec![(program::GO_ENDED, end.ok_or(Refusal::Symbols("runtime.goexit0"))?), begin];
        let connection = code(read).and_then(|read| layout::connection(&read));
        if let Some(writer) = code(writer).and_then(|code| behind_check(&code)) {
            sites.push((program::GO_WRITER, writer));
        }
        if let (Some(round), Some(_)) = (code(round).and_then(|code| behind_check(&code)), connection) {
            sites.push((program::GO_ROUND, round));
        }
        let systemstack = needed(systemstack, "runtime.systemstack")?;
        let (g_m, m_curg) = layout::current(&systemstack).ok_or(Refusal::Symbols("m.curg"))?;
        let mut layout = Go { g_m, m_curg, g_goid: goid, connection: connection.unwrap_or(0), ..Go::default() };
        coroutines(elf, table, &newproc1, &mut layout);
        let mut handing = super::channels::sites(elf, table, &mut layout).unwrap_or_default();
        handing.extend(timers(elf, table, &mut layout).unwrap_or_default());
        let serving = contexts(elf, table, &mut layout).into_iter().collect();
        Ok(Self { layout, sites, serving, handing })
    }
}

/// Coroutines, which the linker leaves out where there are none.
fn coroutines(elf: &Elf<'_>, table: &Table<'_>, newproc1: &Code, layout: &mut Go) {
    let [Some(corostart)] = table.find(["runtime.corostart"]) else { return };
    let below = corostart.code(elf).and_then(|code| layout::coroutine(&code));
    if let (Some(start), Some(below)) = (layout::start(newproc1, layout.g_goid), below) {
        (layout.g_start, layout.coroutine_below, layout.coroutine) = (start, below, corostart.start);
    }
}

/// Timers that call a function: all that starts, stops and sets them, as far as the program has it.
fn timers(elf: &Elf<'_>, table: &Table<'_>, layout: &mut Go) -> Option<Sites> {
    let [mcall, after, stop, reset, older, newer] = table.find([
        "runtime.mcall",
        "time.AfterFunc",
        "time.stopTimer",
        "time.resetTimer",
        "runtime.runOneTimer",
        "runtime.(*timer).unlockAndRun",
    ]);
    let stop = stop?.code(elf)?;
    let mut sites = vec![(program::GO_TIMER_STOP, behind_check(&stop)?)];
    if let Some(reset) = reset {
        sites.push((program::GO_TIMER_RESET, behind_check(&reset.code(elf)?)?));
    }
    sites.push((program::GO_TIMER, behind_check(&after?.code(elf)?)?));
    layout.g_function = layout::function(&mcall?.code(elf)?)?;
    layout.timer_function = layout::timer_function(&newer.or(older)?.code(elf)?, &stop)?;
    Some(sites)
}

/// Contexts of requests, in a program that serves and calls.
fn contexts(elf: &Elf<'_>, table: &Table<'_>, layout: &mut Go) -> Option<(&'static str, u64)> {
    let [serve, write] = table.find(["net/http.serverHandler.ServeHTTP", "net/http.(*Request).write"]);
    let served = behind_check(&serve?.code(elf)?)?;
    layout.request_context = layout::request_context(&write?.code(elf)?)?;
    Some((program::GO_SERVE, served))
}

pub(super) fn behind_check(code: &Code) -> Option<u64> {
    code.behind_check(Mnemonic::Jbe)
}
