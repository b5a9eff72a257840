//! greenlet: greenlets as units. gevent runs whatever it serves in one each.
//!
//! Hooks: a probe on the constructor of `greenlet::UserGreenlet` (exported; TUserGreenlet.cpp), which begins with the greenlet
//! that is made and runs in the one that makes it; and a probe behind the beginning of `PyGreenlet_Type.tp_dealloc`. Neither
//! is a return probe: both may collect garbage, and so switch. What runs on a thread is read at the payload hooks.

use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

use crate::kernel::python;
use crate::kernel::task::Task;
use crate::units;

/// A greenlet is made: what it is for C++, and for Python.
#[uprobe]
pub fn gr_make_in(ctx: ProbeContext) -> u32 {
    if let Some(child) = ctx.arg(1) {
        made(child);
    }
    0
}

/// A greenlet is freed.
#[uprobe]
pub fn gr_free_in(ctx: ProbeContext) -> u32 {
    if let Some(address) = ctx.arg(0) {
        freed(address);
    }
    0
}

#[inline(never)]
fn made(child: u64) -> Option<()> {
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
