//! Where the probes of channels go, and what they read.

use agent_ebpf::wire::config::Go;
use agent_ebpf::wire::names::program;

use super::super::code::Code;
use super::super::elf::Elf;
use super::layout;
use super::sites::{Sites, behind_check};
use super::table::{Extent, Table};

/// Functions between a goroutine's own code and the probes; all that lies between these is the runtime's as well.
const RUNTIME: [&str; 12] = [
    "runtime.chansend\0",
    "runtime.chansend1\0",
    "runtime.chanrecv\0",
    "runtime.chanrecv1\0",
    "runtime.chanrecv2\0",
    "runtime.selectnbsend\0",
    "runtime.selectnbrecv\0",
    "runtime.selectgo\0",
    "runtime.send\0",
    "runtime.recv\0",
    "runtime.gopark\0",
    "reflect.rselect\0",
];
/// Methods of net/http that the compiler makes for that package alone, and that use channels.
const HTTP: [&str; 6] = [
    "net/http.(*Transport).",
    "net/http.(*persistConn).",
    "net/http.(*wantConn).",
    "net/http.(*http2ClientConn).",
    "net/http.(*http2clientStream).",
    "net/http.(*http2serverConn).",
];
/// Who closes channels to cancel.
const CANCELS: [&str; 1] = ["context.(*cancelCtx)."];
/// Who has a timer end a context: of the functions of the runtime's package of that name, and what they make for it.
const DEADLINES: [&str; 1] = ["context.WithDeadline"];
/// Who closes them to hand on a permit.
const PERMITS: [&str; 1] = ["golang.org/x/sync/semaphore.(*Weighted)."];

/// All sites, of what the linker left in, those of takes first; none if one is not as it is in the versions known.
pub(super) fn sites(elf: &Elf<'_>, table: &Table<'_>, layout: &mut Go) -> Option<Sites> {
    let [mcall, moves, clears, chansend, chanrecv, selectgo, send, recv, close, goready, systemstack] = table.find([
        "runtime.mcall",
        "runtime.typedmemmove",
        "runtime.typedmemclr",
        "runtime.chansend",
        "runtime.chanrecv",
        "runtime.selectgo",
        "runtime.send",
        "runtime.recv",
        "runtime.closechan",
        "runtime.goready",
        "runtime.systemstack",
    ]);
    let [mcall, chansend, chanrecv] = [mcall?.code(elf)?, chansend?.code(elf)?, chanrecv?.code(elf)?];
    let buffers = Buffers { moves: moves?.start, clears: clears?.start };
    let mut sites = vec![(program::GO_TAKE, buffers.taken(&chanrecv)?)];
    let mut put = Vec::new();
    if let Some(selectgo) = selectgo {
        let selectgo = selectgo.code(elf)?;
        sites.push((program::GO_TAKE_SELECT, buffers.taken(&selectgo)?));
        put.push((program::GO_PUT_SELECT, buffers.put(&selectgo)?));
    }
    let code = |extent: Option<Extent>| extent?.code(elf);
    let (send, recv) = (code(send)?, code(recv)?);
    sites.push((program::GO_FETCH, behind_check(&recv)?));
    sites.push((program::GO_HAND, behind_check(&send)?));
    sites.push((program::GO_REFILL, recv.calls(buffers.moves).last()?));
    let copies = buffers.put(&chansend)?;
    put.push((program::GO_PUT, copies));
    sites.append(&mut put);
    let close = close?.code(elf)?;
    sites.push(match goready.and_then(|goready| only_call(&close, goready.start)) {
        Some(woken) => (program::GO_CLOSE_CALL, woken),
        None => (program::GO_CLOSE, only_call(&close, systemstack?.start)?),
    });
    layout.channel_type = layout::channel_type(&chansend, copies)?;
    layout.g_frame = layout::frame(&mcall)?;
    layout.runtime = table.range(&RUNTIME)?;
    layout.http = table.range(&HTTP).unwrap_or_default();
    layout.cancels = table.range(&CANCELS).unwrap_or_default();
    layout.deadlines = table.range(&DEADLINES).unwrap_or_default();
    layout.permits = table.range(&PERMITS).unwrap_or_default();
    Some(sites)
}

/// The one place where a function is called.
fn only_call(code: &Code, function: u64) -> Option<u64> {
    let mut calls = code.calls(function);
    calls.next().filter(|_| calls.next().is_none())
}

/// The functions that copy and clear what is in a buffer.
struct Buffers {
    moves: u64,
    clears: u64,
}

impl Buffers {
    /// Where an item is cleared that was copied right before.
    fn taken(&self, code: &Code) -> Option<u64> {
        let calls: Vec<_> = code.all_calls().collect();
        let cleared = calls.windows(2).find(|two| two[0].1 == self.moves && two[1].1 == self.clears)?;
        Some(cleared[1].0)
    }

    /// Where an item is copied that is not cleared next; there is one such place.
    fn put(&self, code: &Code) -> Option<u64> {
        let calls: Vec<_> = code.all_calls().collect();
        let next = |index: usize| calls.get(index + 1).map(|(_, function)| *function);
        let mut copied = calls
            .iter()
            .enumerate()
            .filter(|(index, (_, function))| *function == self.moves && next(*index) != Some(self.clears));
        let (_, (place, _)) = copied.next()?;
        copied.next().is_none().then_some(*place)
    }
}
