//! Go's channels: what is put into them and taken.
//!
//! Hooks: probes at instructions that the kernel emulates, where the arguments are still there (`chansend`, `chanrecv`, `send`
//! and `recv` in runtime/chan.go, `selectgo` in runtime/select.go). Where a buffer is used, that is the call that copies the
//! item; where a goroutine waits, what stands for it (`sudog`) leads to its `g`.

use agent_ebpf::wire::config::Go;
use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

use crate::answers;
use crate::channels::{NO_WORK, put, put_by, take, take_out};
use crate::kernel::go::{self, caller, number, owner, running};
use crate::kernel::task::{Registers, Task};
use crate::kernel::user::read;
use crate::watches;

/// `_type.PtrBytes` (internal/abi/type.go): how much of a value has pointers.
const POINTERS: u64 = 8;
/// `hchan`: how many slots there are, where they begin, and their size.
const SLOTS: u64 = 8;
const BUFFER: u64 = 16;
const SIZE: u64 = 24;
/// `sudog.elem`: what is to be copied.
const ELEMENT: u64 = 24;
/// What a function value has captured, behind the address of its code.
const CAPTURED: u64 = 8;
/// Where a function keeps its first and its second argument: above its frame.
const FIRST: u64 = 16;
const SECOND: u64 = 24;

/// Something is put into a buffer: its type in rax, the slot in rbx, the channel the function's first argument.
#[uprobe]
pub fn go_put_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if has_pointers(registers.rax()) {
        let channel = read(registers.rbp() + FIRST).unwrap_or(0);
        puts(channel, registers.rbx(), registers.rbp(), registers.r14());
    }
    0
}

/// The same, where the first argument are the cases of a `select`.
#[uprobe]
pub fn go_sput_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if has_pointers(registers.rax()) {
        let channel = channel_of(read(registers.rbp() + FIRST).unwrap_or(0), registers.rbx());
        puts(channel, registers.rbx(), registers.rbp(), registers.r14());
    }
    0
}

/// Something is taken out of a buffer: its type in rax, the slot in rbx, the channel the function's first argument.
#[uprobe]
pub fn go_take_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    let channel = read(registers.rbp() + FIRST).unwrap_or(0);
    let channel = if has_pointers(registers.rax()) { channel } else { NO_WORK };
    takes(channel, registers.rbx(), registers.rbp(), registers.r14());
    0
}

/// The same, where the first argument are the cases of a `select`.
#[uprobe]
pub fn go_stake_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    let channel = if has_pointers(registers.rax()) {
        channel_of(read(registers.rbp() + FIRST).unwrap_or(0), registers.rbx())
    } else {
        NO_WORK
    };
    takes(channel, registers.rbx(), registers.rbp(), registers.r14());
    0
}

/// A channel in rax, what stands in rbx for the goroutine that waits to receive from it; the current one sends.
#[uprobe]
pub fn go_hand_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        hands(registers.rax(), registers.rbx(), registers.r14());
    }
    0
}

/// A channel in rax, what stands in rbx for the goroutine that waits to send; the current one receives.
#[uprobe]
pub fn go_fetch_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    if !registers.below_or_equal() {
        fetches(registers.rax(), registers.rbx(), registers.rbp(), registers.r14());
    }
    0
}

/// A full channel's buffer: its first item was taken, and what a goroutine waits to send, in rcx, is put in its slot, in rbx.
#[uprobe]
pub fn go_refill_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    let (frame, slot) = (registers.rbp(), registers.rbx());
    if has_pointers(registers.rax()) {
        takes(read(frame + FIRST).unwrap_or(0), slot, frame, registers.r14());
        refills(frame, slot, registers.rcx());
    } else {
        takes(NO_WORK, slot, frame, registers.r14());
    }
    0
}

/// A channel was closed, and a goroutine that waited for it is woken: by a function value that the stack begins with, which has
/// its `g` behind the code's address.
#[uprobe]
pub fn go_close_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    let wakes: u64 = read(registers.rsp()).unwrap_or(0);
    closes(read(wakes + CAPTURED).unwrap_or(0), registers.rbp(), registers.r14());
    0
}

/// The same, where it is woken by a call: its `g` is in rax.
#[uprobe]
pub fn go_closec_in(ctx: ProbeContext) -> u32 {
    let registers = Registers::from_probe(ctx.as_ptr());
    closes(registers.rax(), registers.rbp(), registers.r14());
    0
}

#[inline(never)]
fn closes(waiting: u64, frame: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    let mut thread = task.thread()?;
    let unit = answers::works_for_nobody(task, &mut thread, running(&go, g))?;
    if caller(&go, &mut thread, g, frame) != owner::PROGRAM || go::closes_for_others(&go, thread.frame.back) {
        return None;
    }
    answers::answers(task, &mut thread, unit, number(&go, waiting))
}

#[inline(never)]
fn puts(channel: u64, slot: u64, frame: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    let mut thread = task.thread()?;
    if caller(&go, &mut thread, g, frame) == owner::HTTP {
        return None;
    }
    put(task, &mut thread, running(&go, g), channel, slot)
}

/// Takes what is in a slot of a channel; of one that is not known, whatever is there.
#[inline(never)]
fn takes(channel: u64, slot: u64, frame: u64, g: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    watches::hit(task.tgid());
    let mut thread = task.thread()?;
    let owner = caller(&go, &mut thread, g, frame);
    if owner == owner::HTTP {
        return None;
    }
    take_out(task, &mut thread, channel, slot);
    let taker = running(&go, g);
    if owner == owner::UNKNOWN || taker == 0 {
        return None;
    }
    take(task, &mut thread, taker)
}

#[inline(never)]
fn hands(channel: u64, waiting: u64, g: u64) {
    watches::hit(Task::current().tgid());
    let receiver = receiver_of(waiting);
    if receiver != 0 {
        passes(channel, current(g), receiver);
    }
}

#[inline(never)]
fn fetches(channel: u64, waiting: u64, frame: u64, g: u64) {
    watches::hit(Task::current().tgid());
    // One with a buffer is full: what is received is that's first.
    if read::<u64>(channel + SLOTS) == Some(0) && receives_at(frame, g) {
        passes(channel, sender_of(waiting), current(g));
    }
}

/// One goroutine passes something to another; both are given by their numbers.
#[inline(never)]
fn passes(channel: u64, sender: u64, receiver: u64) -> Option<()> {
    let task = Task::current();
    let go = go::go(task.tgid())?;
    let mut thread = task.thread()?;
    if carries_pointers(&go, channel) {
        put_by(task, &mut thread, sender, channel);
    } else {
        take_out(task, &mut thread, NO_WORK, 0);
    }
    if receiver == 0 { None } else { take(task, &mut thread, receiver) }
}

/// The number of a goroutine that waits to receive, in code of the program's own; the thread's storage has its frame then.
#[inline(never)]
fn receiver_of(waiting: u64) -> u64 {
    let task = Task::current();
    let (Some(go), Some(mut thread)) = (go::go(task.tgid()), task.thread()) else { return 0 };
    let Some(receiver) = read::<u64>(waiting) else { return 0 };
    let Some(frame) = read::<u64>(receiver + u64::from(go.g_frame)) else { return 0 };
    if caller(&go, &mut thread, receiver, frame) == owner::PROGRAM { number(&go, receiver) } else { 0 }
}

/// True of code of the program's own; the thread's storage has its frame then.
#[inline(never)]
fn receives_at(frame: u64, g: u64) -> bool {
    let task = Task::current();
    let (Some(go), Some(mut thread)) = (go::go(task.tgid()), task.thread()) else { return false };
    caller(&go, &mut thread, g, frame) == owner::PROGRAM
}

/// The number of a goroutine that waits to send; 0 if there is none.
#[inline(never)]
fn sender_of(waiting: u64) -> u64 {
    let (Some(go), Some(sender)) = (go::go(Task::current().tgid()), read::<u64>(waiting)) else { return 0 };
    number(&go, sender)
}

/// The number of the goroutine that runs; 0 if there is none.
#[inline(never)]
fn current(g: u64) -> u64 {
    go::go(Task::current().tgid()).map_or(0, |go| running(&go, g))
}

/// Puts what a goroutine waits to send, which stands for itself in the frame; nothing is known of the slot if it is another's.
#[inline(never)]
fn refills(frame: u64, slot: u64, item: u64) -> Option<()> {
    let waiting = read::<u64>(frame + SECOND).filter(|waiting| read(waiting + ELEMENT) == Some(item)).unwrap_or(0);
    let (sender, channel) = (sender_of(waiting), read(frame + FIRST).unwrap_or(0));
    let task = Task::current();
    go::go(task.tgid())?;
    put(task, &mut *task.thread()?, sender, channel, slot)
}

#[inline(always)]
fn has_pointers(kind: u64) -> bool {
    read::<u64>(kind + POINTERS).is_some_and(|bytes| bytes != 0)
}

#[inline(always)]
fn carries_pointers(go: &Go, channel: u64) -> bool {
    read::<u64>(channel + u64::from(go.channel_type)).is_some_and(has_pointers)
}

/// The channel that a slot is of, among the cases of a `select` (`scase`); 0 if it is none of the first ones.
#[inline(never)]
fn channel_of(cases: u64, slot: u64) -> u64 {
    const CASES_MAX: u64 = 8;
    const CASE_BYTES: u64 = 16;
    for index in 0..CASES_MAX {
        let channel = read::<u64>(cases + index * CASE_BYTES).unwrap_or(0);
        let (Some(buffer), Some(slots), Some(size)) =
            (read::<u64>(channel + BUFFER), read::<u64>(channel + SLOTS), read::<u16>(channel + SIZE))
        else {
            continue;
        };
        if buffer <= slot && slot - buffer < slots * u64::from(size) {
            return channel;
        }
    }
    0
}
