//! What CPython runs on the current thread: `PyThreadState.context`, without a probe.
//!
//! The thread's state is found among those of the first interpreter by its thread pointer, which is right in any pid
//! namespace, and kept while it still carries that. The process could forge all of it, and mislead about itself alone.

use agent_ebpf::rules::name;
use agent_ebpf::wire::config::Python;

use crate::emit;
use crate::kernel::task::{Registers, Task};
use crate::kernel::user::read;
use crate::maps::{PYTHONS, Thread, Value};

/// Thread states that are looked at: a thread of a pool larger than that carries no units.
const THREADS_MAX: u32 = 256;
/// A thread without a state (one of a library's own) is not looked for again sooner.
const LOOK_AGAIN_NS: u64 = 100_000_000;

/// Address of the context that runs on the current thread; 0 if there is none, or the thread is not Python's.
#[inline(always)]
pub fn context(task: Task, thread: &mut Thread, python: &Python) -> u64 {
    if !has_state(task, thread, python) {
        return 0;
    }
    read::<u64>(thread.state + u64::from(python.thread_context)).unwrap_or(0)
}

/// True if the function that calls is named so (as [`name::word`] has it).
#[inline(always)]
pub fn is_called_by(task: Task, thread: &mut Thread, wanted: u64) -> bool {
    let Some(python) = python(task.tgid()) else { return false };
    has_state(task, thread, &python) && name::is(calling(&python, thread.state), wanted)
}

/// The first bytes of the name of the code that called.
#[inline(always)]
fn calling(python: &Python, state: u64) -> u64 {
    let mut frame = read::<u64>(state + u64::from(python.thread_frame)).unwrap_or(0);
    if python.frame_within != Python::DIRECT {
        frame = read::<u64>(frame + u64::from(python.frame_within)).unwrap_or(0);
    }
    // From 3.14 on it is a tagged reference (`_PyStackRef`); objects lie at multiples of eight.
    let code = read::<u64>(frame + u64::from(python.frame_code)).unwrap_or(0) & !7;
    let name = read::<u64>(code + u64::from(python.code_name)).unwrap_or(0);
    read::<u64>(name + u64::from(python.name_text)).unwrap_or(0)
}

/// True if the current thread has a state, which is found if it is not known.
#[inline(always)]
fn has_state(task: Task, thread: &mut Thread, python: &Python) -> bool {
    let pointer = task.thread_pointer();
    if thread.state == 0 || read::<u64>(thread.state + u64::from(python.thread_id)) != Some(pointer) {
        thread.state = 0;
        let now = emit::now();
        if now < thread.look_again {
            return false;
        }
        thread.state = find_thread_state(u64::from(task.tgid()), pointer);
        if thread.state == 0 {
            thread.look_again = now + LOOK_AGAIN_NS;
            return false;
        }
    }
    true
}

/// The `PyThreadState` with this thread pointer; 0 if none is found.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn find_thread_state(tgid: u64, pointer: u64) -> u64 {
    let Some(python) = python(tgid as u32) else { return 0 };
    let Some(interpreter) = read::<u64>(python.runtime + u64::from(python.interpreters_head)) else { return 0 };
    let mut state = read::<u64>(interpreter + u64::from(python.threads_head)).unwrap_or(0);
    for _ in 0..THREADS_MAX {
        if state == 0 {
            return 0;
        }
        if read::<u64>(state + u64::from(python.thread_id)) == Some(pointer) {
            return state;
        }
        state = read::<u64>(state + u64::from(python.thread_next)).unwrap_or(0);
    }
    0
}

/// True if nothing is in a `SimpleQueue`, as far as is known.
#[inline(always)]
pub fn is_empty(tgid: u32, queue: u64) -> bool {
    /// `PyVarObject.ob_size`.
    const SIZE: u64 = 16;
    let Some(python) = python(tgid).filter(|python| python.simple_list != 0) else { return false };
    let place = queue + u64::from(python.simple_list);
    let size = read::<u64>(place).and_then(|list| read::<u64>(list + SIZE));
    size.is_some() && size == read::<u64>(place + 8)
}

/// What was just taken from a `SimpleQueue`, and that: the queue first.
#[inline(always)]
pub fn taken(tgid: u32, registers: Registers) -> Option<(u64, u64)> {
    let python = python(tgid).filter(|python| python.taken_item != python.taken_queue)?;
    Some((registers.at(python.taken_queue), registers.at(python.taken_item)))
}

/// Address of `None` in a process of Python's.
#[inline(always)]
pub fn none(tgid: u32) -> Option<u64> {
    Some(python(tgid)?.none)
}

/// Where a process keeps what runs on its threads, if it is Python's and adapted.
#[inline(always)]
pub fn python(tgid: u32) -> Option<Value<Python>> {
    PYTHONS.get_ptr(tgid).and_then(|python| Value::new(python.cast_mut()))
}
