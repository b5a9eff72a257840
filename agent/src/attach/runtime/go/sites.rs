//! Where the probes of a build go.
//!
//! | site | registers |
//! |---|---|
//! | the last call of `casgstatus` in `newproc1` | rax: the new `g`, with its number (from 1.23 or 1.24 on) |
//! | the call of `runqput` in `newproc.func1` | rbx: the new `g`, where its number comes after that call |
//! | the first call of `casgstatus` in `gdestroy`, or `goexit0` before 1.22 | rax: the `g` that ends |
//! | `net/http.(*persistConn).roundTrip`, behind the check of the stack | rax: the connection, r14: `g` |
//! | `net/http.(*persistConn).writeLoop`, likewise | r14: `g` |
//!
//! The kernel emulates each of these instructions, and each is run once: a function's first instructions are run again where
//! its stack grows.

use agent_ebpf::wire::config::Go;
use agent_ebpf::wire::names::program;
use iced_x86::Mnemonic;

use super::super::Refusal;
use super::super::elf::Elf;
use super::layout;
use super::table::{Extent, Table};

/// What is known of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    /// What the kernel half reads.
    pub(super) layout: Go,
    /// Program and address of each probe. What ends must be known before what begins is.
    pub(super) sites: Vec<(&'static str, u64)>,
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
        let behind_check = |extent| code(extent).and_then(|code| code.behind_check(Mnemonic::Jbe));
        if let Some(writer) = behind_check(writer) {
            sites.push((program::GO_WRITER, writer));
        }
        if let (Some(round), Some(_)) = (behind_check(round), connection) {
            sites.push((program::GO_ROUND, round));
        }
        let systemstack = needed(systemstack, "runtime.systemstack")?;
        let layout = layout::layout(&systemstack, goid, connection.unwrap_or(0));
        Ok(Self { layout: layout.ok_or(Refusal::Symbols("m.curg"))?, sites })
    }
}
