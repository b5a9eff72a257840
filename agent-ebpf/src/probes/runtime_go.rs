//! Go: goroutines as units, and net/http's connections, whose own goroutine sends for another.
//!
//! Hooks: probes at instructions that the kernel emulates (agent/src/attach/runtime/go/sites.rs), none of them a return probe,
//! since Go moves stacks. What runs on a thread is read at the payload hooks.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

use crate::kernel::go::{self, behind, number, running};
use crate::kernel::task::{Registers, Task};
use crate::kernel::user::read;
use crate::{contexts, timers, units, watches};

/// A goroutine was made, and has its number: `g` in rax.
#[uprobe]
pub fn go_made_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    made(registers.rax(), registers.r14());
    0
}

/// A goroutine that was made is put into a queue: `g` in rbx.
#[uprobe]
pub fn go_queued_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    made(registers.rbx(), registers.r14());
    0
}

/// A goroutine ends.
#[uprobe]
pub fn go_ended_in(ctx: ProbeContext) -> u32 {
    ended(Registers::from_probe(ctx.as_ptr()).rax());
    0
}

/// The goroutine begins that writes to a connection.
#[uprobe]
pub fn go_writer_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        writes(registers.r14());
    }
    0
}

/// A goroutine has a connection send its request: the connection in rax, what leads to the request in rbx.
#[uprobe]
pub fn go_round_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        calls(registers.rax(), registers.rbx(), registers.r14());
    }
    0
}

/// A goroutine serves a request: what is known of that in rdi.
#[uprobe]
pub fn go_serve_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal()
        && let Some(request) = ctx.arg(0)
    {
        serves(request, registers.r14());
    }
    0
}

/// A goroutine has a function called later.
#[uprobe]
pub fn go_timer_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        timer_starts(registers.rbx(), registers.r14());
    }
    0
}

/// A timer is stopped: what stands for it is in rax.
#[uprobe]
pub fn go_tstop_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        timer_stops(registers.rax());
    }
    0
}

/// A timer is set to another time, likewise.
#[uprobe]
pub fn go_treset_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        timer_is_reset(registers.rax(), registers.r14());
    }
    0
}

#[inline(never)]
fn made(g: u64, g0: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    let (child, creator) = (number(&go, g), behind(&go, g0));
    if child == 0 {
        return None;
    }
    if creator != 0 {
        return units::created_by(task, creator, child);
    }
    // A timer's goroutine is made by nobody.
    fired(g, child)
}

#[inline(never)]
fn fired(g: u64, child: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    let function: u64 = read(g + u64::from(go.g_function))?;
    timers::fires(task, function, child)
}

#[inline(never)]
fn timer_starts(function: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    let ends = read::<u64>(function).is_none_or(|code| go::only_ends(&go, code));
    timers::starts(task, running(&go, g), function, ends)
}

#[inline(never)]
fn timer_stops(timer: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    timers::stops(task, read(timer + u64::from(go.timer_function))?)
}

#[inline(never)]
fn timer_is_reset(timer: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    let function = read(timer + u64::from(go.timer_function))?;
    timers::is_reset(task, running(&go, g), function)
}

#[inline(never)]
fn ended(g: u64) -> Option<()> {
    let task = Task::current();
    let number = number(&*go::go(task.tgid())?, g);
    if number == 0 { None } else { units::ended(task, number) }
}

#[inline(never)]
fn writes(g: u64) -> Option<()> {
    let task = Task::current();
    let number = running(&*go::go(task.tgid())?, g);
    if number == 0 { None } else { units::works_for_others(task, number) }
}

/// `persistConn.conn` holds a `*net.TCPConn`, which begins with a `*netFD`, which has its descriptor behind a lock of 16
/// bytes (net/fd_unix.go, internal/poll/fd_unix.go). Anything else, as TLS's, leads to no socket.
#[inline(never)]
fn calls(connection: u64, request: u64, g: u64) -> Option<()> {
    const DESCRIPTOR: u64 = 16;
    let task = Task::current();
    let go = go::go(task.tgid())?;
    let caller = running(&go, g);
    if caller == 0 || go.connection == 0 {
        return None;
    }
    let tcp = read::<u64>(connection + u64::from(go.connection));
    let descriptor = tcp.and_then(read::<u64>).and_then(|socket| read::<u64>(socket + DESCRIPTOR));
    let cookie = descriptor.map_or(0, |descriptor| task.cookie_of(descriptor as u32));
    units::has_sent(task, caller, cookie)?;
    passes(request, caller, cookie)
}

/// What leads to the request (`transportRequest`) begins with its address.
#[inline(never)]
fn passes(request: u64, caller: u64, cookie: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid()).filter(|go| go.request_context != 0)?;
    contexts::calls(task, caller, read::<u64>(request)? + u64::from(go.request_context), cookie)
}

/// `http.Request.ctx` is an interface's value, of which the second word leads to the context.
#[inline(never)]
fn serves(request: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid()).filter(|go| go.request_context != 0)?;
    contexts::serves(task, running(&go, g), read(request + u64::from(go.request_context) + 8)?)
}
