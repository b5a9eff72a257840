//! What Go runs on the current thread: a goroutine, by its number, without a probe.
//!
//! Go's own code has the current `g` in r14 (Go's internal ABI for amd64), in its system calls too. C code that a Go program
//! calls may have anything there: a `g` is believed if the thread it names, its `m`, runs that very `g` now. The process could
//! forge all of it, and mislead about itself alone.

use agent_ebpf::wire::config::Go;

use crate::kernel::task::Task;
use crate::kernel::user::read;
use crate::maps::{GOS, Value};

/// Number of the goroutine that is in a system call on the current thread; 0 if there is none.
#[inline(always)]
pub fn goroutine(task: Task) -> u64 {
    let Some(go) = go(task.tgid()) else { return 0 };
    if !task.has_user_registers() {
        return 0;
    }
    running(&go, task.registers().r14())
}

/// The number of a goroutine that runs; 0 if it does not, or is none of the program's (a thread's own stack, `g0`).
#[inline(always)]
pub fn running(go: &Go, g: u64) -> u64 {
    if current(go, g) == Some(g) { number(go, g) } else { 0 }
}

/// The number of the goroutine on whose behalf a thread runs on its own stack (`g0`); 0 if there is none.
#[inline(always)]
pub fn behind(go: &Go, g0: u64) -> u64 {
    current(go, g0).map_or(0, |g| number(go, g))
}

/// A goroutine's number; 0 if it has none.
#[inline(always)]
pub fn number(go: &Go, g: u64) -> u64 {
    if g == 0 {
        return 0;
    }
    read::<u64>(g + u64::from(go.g_goid)).unwrap_or(0)
}

/// Where Go keeps what runs on the threads of a process.
#[inline(always)]
pub fn go(tgid: u32) -> Option<Value<Go>> {
    GOS.get_ptr(tgid).and_then(|go| Value::new(go.cast_mut()))
}

/// The goroutine that the thread of a `g` runs.
#[inline(always)]
fn current(go: &Go, g: u64) -> Option<u64> {
    let thread: u64 = read(g + u64::from(go.g_m))?;
    read(thread + u64::from(go.m_curg))
}
