//! Which greenlet runs on the current thread: `ThreadState.current_greenlet`, without a probe on anything that switches.
//!
//! The state is in a variable of the thread's own, found as `__tls_get_addr` does it. It is taken for one if the first
//! greenlet that it leads to is one. The process could forge all of it, and mislead about itself alone.

use agent_ebpf::wire::config::Python;

use crate::kernel::task::Task;
use crate::kernel::user::read;
use crate::maps::Thread;

/// Where a thread's pointer leads to its table of variables (`tcbhead_t.dtv`).
const TABLE: u64 = 8;
/// `ThreadState.current_greenlet` (TThreadState.hpp); `main_greenlet` is before it.
const CURRENT: u64 = 8;
/// `PyObject.ob_type`.
const CLASS: u64 = 8;

/// Address of the greenlet that runs on the current thread; 0 if there is none, or the thread does without: its first one is
/// the thread itself until it has been seen to run another, and what has a context is known by that.
#[inline(always)]
pub fn current(task: Task, thread: &mut Thread, python: &Python, has_context: bool) -> u64 {
    if python.greenlet_slot == 0 {
        return 0;
    }
    let state = state(task.thread_pointer(), python);
    if state == 0 {
        return 0;
    }
    let first = word(state);
    if word(first + CLASS) != python.greenlet_class {
        return 0;
    }
    let current = word(state + CURRENT);
    if current != first {
        thread.greenlets = 1;
        return current;
    }
    if has_context || thread.greenlets == 0 { 0 } else { first }
}

/// Address of greenlet's `ThreadState`; 0 if the thread has none.
#[inline(always)]
fn state(pointer: u64, python: &Python) -> u64 {
    let variables = word(word(pointer + TABLE) + u64::from(python.greenlet_slot));
    word(variables + u64::from(python.greenlet_variable))
}

#[inline(always)]
fn word(address: u64) -> u64 {
    read::<u64>(address).unwrap_or(0)
}
