//! CPython: contexts (contextvars) as units. asyncio runs every task and callback in one.
//!
//! Hooks: a return probe on `PyContext_CopyCurrent` (exported; Include/cpython/context.h), which every task and handle goes
//! through; and a probe behind the beginning of `PyContext_Type.tp_dealloc`. What runs on a thread is read at the payload
//! hooks, from the thread's state, so that entering and leaving a context needs no probe.

use aya_ebpf::macros::{uprobe, uretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};

use crate::kernel::task::Task;
use crate::maps::PYTHONS;
use crate::units;

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

#[inline(never)]
fn copied(child: u64) -> Option<()> {
    let task = Task::current();
    if child == 0 || PYTHONS.get_ptr(task.tgid()).is_none() {
        return None;
    }
    let mut thread = task.thread()?;
    units::created(task, &mut thread, child)
}

#[inline(never)]
fn freed(address: u64) -> Option<()> {
    let task = Task::current();
    PYTHONS.get_ptr(task.tgid())?;
    units::freed(task, address)
}
