//! Which adapter a process has.

use agent_ebpf::wire::loss;
use aya_ebpf::bindings::BPF_ANY;

use crate::emit;
use crate::kernel::go;
use crate::maps::{GOS, PYTHONS, VERDICTS, Value, WATCHES};

/// Adapters.
pub mod adapter {
    /// None.
    pub const NONE: u64 = 0;
    /// CPython's.
    pub const PYTHON: u64 = 1;
    /// Go's.
    pub const GO: u64 = 2;
}

/// The adapter of a process.
#[inline(always)]
pub fn of(tgid: u32) -> u64 {
    if GOS.get_ptr(tgid).is_some() {
        adapter::GO
    } else if PYTHONS.get_ptr(tgid).is_some() {
        adapter::PYTHON
    } else {
        adapter::NONE
    }
}

/// True if the pipes of a process are watched.
#[inline(always)]
pub fn watches_pipes(tgid: u32) -> bool {
    PYTHONS.get_ptr(tgid).and_then(|python| Value::new(python.cast_mut())).is_some_and(|python| python.pipes != 0)
}

/// A forked runtime lies where its parent's does.
#[inline(always)]
pub fn inherit(parent: u32, child: u32) {
    let copied = if let Some(python) = PYTHONS.get_ptr(parent).and_then(|python| Value::new(python.cast_mut())) {
        PYTHONS.insert(child, *python, u64::from(BPF_ANY))
    } else if let Some(go) = go::go(parent) {
        GOS.insert(child, *go, u64::from(BPF_ANY))
    } else {
        return;
    };
    if copied.is_err() {
        emit::count(loss::PROCESSES_FULL);
    }
}

/// A process is no more, or runs another program.
#[inline(always)]
pub fn forget(tgid: u32) {
    // Absent for most processes: nothing to delete is no error.
    let _ = PYTHONS.remove(tgid);
    let _ = WATCHES.remove(tgid);
    let _ = VERDICTS.remove(tgid);
    let _ = GOS.remove(tgid);
}
