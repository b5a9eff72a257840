//! What Go runs on the current thread: a goroutine, by its number, without a probe.
//!
//! Go's own code has the current `g` in r14 (Go's internal ABI for amd64), in its system calls too. C code that a Go program
//! calls may have anything there: a `g` is believed if the thread it names, its `m`, runs that very `g` now. The process could
//! forge all of it, and mislead about itself alone.
//!
//! A coroutine (`iter.Pull`) runs while the goroutine waits that resumed it: what it does, that one does.

use agent_ebpf::wire::config::Go;

use crate::kernel::task::Task;
use crate::kernel::user::read;
use crate::maps::{GOS, Thread, Value};

/// `g.stack.hi`: the linker and C code know it too.
const STACK_HIGH: u64 = 8;
/// Coroutines that resumed one another.
const COROUTINES_MAX: u64 = 4;

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
    if current(go, g) == Some(g) { number(go, acting(go, g)) } else { 0 }
}

/// The number of the goroutine on whose behalf a thread runs on its own stack (`g0`); 0 if there is none.
#[inline(always)]
pub fn behind(go: &Go, g0: u64) -> u64 {
    current(go, g0).map_or(0, |g| number(go, acting(go, g)))
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

/// Whose a frame is.
pub mod owner {
    /// It was not found.
    pub const UNKNOWN: u64 = 0;
    /// The program's.
    pub const PROGRAM: u64 = 1;
    /// net/http's.
    pub const HTTP: u64 = 2;
}

/// Goes up from a frame of the runtime's to the one that called it, which the thread's storage has then: whose it is, a value
/// of [`owner`].
#[inline(never)]
pub fn caller(go: &Go, thread: &mut Thread, g: u64, mut frame: u64) -> u64 {
    /// `gopark`, `chanrecv` and `chanrecv1`, and two more.
    const FRAMES_MAX: u64 = 5;
    for _ in 0..FRAMES_MAX {
        let Some(back) = read::<u64>(frame + 8) else { return owner::UNKNOWN };
        if !is_within(go.runtime, back) {
            if is_within(go.http, back) {
                return owner::HTTP;
            }
            let Some(high) = read::<u64>(g + STACK_HIGH) else { return owner::UNKNOWN };
            thread.frame.depth = high - frame;
            thread.frame.back = back;
            return owner::PROGRAM;
        }
        let Some(next) = read::<u64>(frame) else { return owner::UNKNOWN };
        frame = next;
    }
    owner::UNKNOWN
}

/// True of code that closes channels for other reasons than to answer: it cancels, or hands on a permit.
#[inline(always)]
pub const fn closes_for_others(go: &Go, address: u64) -> bool {
    is_within(go.cancels, address) || is_within(go.permits, address)
}

/// True of a timer's function that ends a context or a connection of net/http's, and as a rule is stopped before: of no work of
/// the program's own.
#[inline(always)]
pub const fn only_ends(go: &Go, address: u64) -> bool {
    is_within(go.deadlines, address) || is_within(go.http, address)
}

#[inline(always)]
const fn is_within(code: [u64; 2], address: u64) -> bool {
    code[0] <= address && address < code[1]
}

/// The goroutine that the thread of a `g` runs.
#[inline(always)]
fn current(go: &Go, g: u64) -> Option<u64> {
    let thread: u64 = read(g + u64::from(go.g_m))?;
    read(thread + u64::from(go.m_curg))
}

/// The goroutine that a running one acts for: itself, or if it is a coroutine the one that resumed it, which stands in what
/// they share meanwhile (`coro.gp`, runtime/coro.go); 0 if that cannot be read.
#[inline(always)]
fn acting(go: &Go, g: u64) -> u64 {
    if go.coroutine == 0 { g } else { resumed_by(go, g) }
}

#[inline(never)]
fn resumed_by(go: &Go, mut g: u64) -> u64 {
    for _ in 0..COROUTINES_MAX {
        if read(g + u64::from(go.g_start)) != Some(go.coroutine) {
            return g;
        }
        let high: u64 = read(g + STACK_HIGH).unwrap_or(0);
        let shared: u64 = read(high - u64::from(go.coroutine_below)).unwrap_or(0);
        g = read(shared).unwrap_or(0);
    }
    0
}
