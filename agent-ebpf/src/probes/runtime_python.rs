//! CPython: contexts (contextvars) as units, since asyncio runs every task and callback in one; and what is put into queues.
//!
//! Hooks: probes in `PyContext_CopyCurrent` (exported; Include/cpython/context.h), which every task and handle goes through,
//! where the copy has its memory (agent/src/attach/runtime/python/copies.rs), or a return probe in builds where that is not
//! found; and a probe behind the beginning of `PyContext_Type.tp_dealloc`. What runs on a thread is read at the payload
//! hooks, from the thread's state, so that entering and leaving a context needs no probe.
//!
//! Queues: `SimpleQueue.put` and the place in `get` where the item is taken (Modules/_queuemodule.c;
//! agent/src/attach/runtime/python/takes.rs), or a return probe where that is not found; executors use them; `append` and `popleft` of `deque`
//! (Modules/_collectionsmodule.c), below `queue.Queue` and `asyncio.Queue`. Deques serve for much else, so only what the
//! methods `_put` and `_get` do counts, which both kinds of queue do all with; and their probes are there only while it is not known
//! that they are no queues (agent_ebpf::rules::watches).

use agent_ebpf::rules::name::word;
use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};

use crate::kernel::python;
use crate::kernel::task::{Registers, Task};
use crate::kernel::user::read;
use crate::{items, units, watches};

/// `queue.Queue._put` and `asyncio.Queue._put`.
const PUT: u64 = word(b"_put");
/// `queue.Queue._get` and `asyncio.Queue._get`.
const GET: u64 = word(b"_get");

/// `dequeobject.leftblock` and `leftindex`: the same since CPython 3.5.
const LEFT_BLOCK: u64 = 24;
const LEFT_INDEX: u64 = 40;
/// `BLOCK.data`, and how many there are in a block.
const BLOCK_DATA: u64 = 8;
const BLOCK_LENGTH: u64 = 64;
/// `PyVarObject.ob_size`.
const SIZE: u64 = 16;

/// A context was made, with new memory, if there was any: it is in rax.
#[uprobe]
pub fn py_made_in(ctx: ProbeContext) -> u32 {
    copied(Registers::from_probe(ctx.as_ptr()).rax());
    0
}

/// A context was made of one that was freed: it is in rdi.
#[uprobe]
pub fn py_reused_in(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        copied(address);
    }
    0
}

/// A context was copied.
#[uretprobe]
pub fn py_copy_out(ctx: RetProbeContext) -> u32 {
    copied(ctx.ret());
    0
}

/// A context is freed.
#[uprobe]
pub fn py_free_in(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        freed(address);
    }
    0
}

/// Something is put into a `SimpleQueue`: the queue, and an array of arguments of which the first is the item.
#[uprobe]
pub fn py_put_in(ctx: ProbeContext) -> u32 {
    if let (Some(queue), Some(arguments)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        items::put(queue, read::<u64>(arguments).unwrap_or(0), is_empty(queue));
    }
    0
}

/// Something was taken from a `SimpleQueue`, by whoever came for it before there was a probe too.
#[uprobe]
pub fn py_taken_in(ctx: ProbeContext) -> u32 {
    taken(Registers::from_probe(ctx.as_ptr()));
    0
}

/// Something was taken from a `SimpleQueue`, where that place is not known.
#[uretprobe]
pub fn py_get_out(ctx: RetProbeContext) -> u32 {
    items::take(0, ctx.ret());
    0
}

/// Something is appended to a `deque`.
#[uprobe]
pub fn py_append_in(ctx: ProbeContext) -> u32 {
    if let (Some(deque), Some(item)) = (ctx.arg(0), ctx.arg(1))
        && is_noted(PUT)
    {
        items::put(deque, item, read::<u64>(deque + SIZE) == Some(0));
    }
    0
}

/// The first of a `deque` is taken.
#[uprobe]
pub fn py_popleft_in(ctx: ProbeContext) -> u32 {
    if let Some(deque) = ctx.arg(0)
        && is_noted(GET)
    {
        items::take(deque, first_of(deque));
    }
    0
}

#[inline(never)]
fn copied(child: u64) -> Option<()> {
    let task = Task::current();
    if child == 0 {
        return None;
    }
    let python = python::python(task.tgid())?;
    let mut thread = task.thread()?;
    units::created(task, &mut thread, &python, child)
}

#[inline(never)]
fn freed(address: u64) -> Option<()> {
    units::freed(Task::current(), address)
}

#[inline(never)]
fn taken(registers: Registers) -> Option<()> {
    let (queue, item) = python::taken(Task::current().tgid(), registers)?;
    items::take(queue, item)
}

/// True if a method of a queue calls that is named so, and what that does is noted.
#[inline(never)]
fn is_noted(name: u64) -> bool {
    let task = Task::current();
    if task.thread().is_some_and(|mut thread| python::is_called_by(task, &mut thread, name)) {
        return watches::sees(task.tgid());
    }
    watches::hit(task.tgid());
    false
}

#[inline(never)]
fn is_empty(queue: u64) -> bool {
    python::is_empty(Task::current().tgid(), queue)
}

/// The first item of a deque; 0 if it is empty.
#[inline(never)]
fn first_of(deque: u64) -> u64 {
    let number = |offset: u64| read::<u64>(deque + offset).unwrap_or(0);
    if number(SIZE) == 0 {
        return 0;
    }
    let index = number(LEFT_INDEX) % BLOCK_LENGTH;
    read::<u64>(number(LEFT_BLOCK) + BLOCK_DATA + index * 8).unwrap_or(0)
}
