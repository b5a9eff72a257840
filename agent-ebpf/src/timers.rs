//! Timers of Go that call a function: it carries what the goroutine worked for that asked for it, under the function value's
//! address, until the timer fires or is stopped. Both are seen, so an address that is used again is another function's.
//!
//! Most are a context's, and are stopped. So that these alone need not be watched, they do not count as seen, and a timer
//! is one of those that were started since all is noted: before that it may have been stopped unseen.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::Item;
use agent_ebpf::wire::loss;
use aya_ebpf::bindings::BPF_ANY;

use crate::channels::says_something;
use crate::emit;
use crate::items::{again, key, taken};
use crate::kernel::task::Task;
use crate::maps::{ITEMS, Value};
use crate::{units, watches};

/// [`agent_ebpf::wire::config::UnitKey::pad`] of a timer's function.
const TIMER: u32 = 2;

/// A goroutine, by its number, has a timer call a function, which may only end something.
#[inline(always)]
pub fn starts(task: Task, goroutine: u64, function: u64, ends: bool) -> Option<()> {
    let mut thread = task.thread()?;
    units::carry_of(task, &mut thread, goroutine);
    if !ends && says_something(&thread.item.claim) && !watches::sees(task.tgid()) {
        return None;
    }
    thread.item.queue = timers(task)?;
    thread.item.put = emit::now();
    thread.item.count = 1;
    key(task, &mut thread, TIMER, function);
    if let Some(known) = ITEMS.get_ptr_mut(&thread.key).and_then(Value::<Item>::new)
        && known.queue == thread.item.queue
    {
        again(known, &thread.item);
        return None;
    }
    if units::is_over_share(task) || ITEMS.insert(&thread.key, &thread.item, u64::from(BPF_ANY)).is_err() {
        units::full(task, loss::ITEMS_FULL);
    }
    Some(())
}

/// A timer will not call its function.
#[inline(always)]
pub fn stops(task: Task, function: u64) -> Option<()> {
    let mut thread = task.thread()?;
    taken(task, &mut thread, TIMER, timers(task)?, function);
    Some(())
}

/// A goroutine sets a timer that has not fired yet to another time: its function is called for either.
#[inline(always)]
pub fn is_reset(task: Task, goroutine: u64, function: u64) -> Option<()> {
    let mut thread = task.thread()?;
    units::carry_of(task, &mut thread, goroutine);
    thread.item.queue = timers(task)?;
    key(task, &mut thread, TIMER, function);
    let mut known = ITEMS.get_ptr_mut(&thread.key).and_then(Value::<Item>::new)?;
    if known.queue != thread.item.queue {
        return None;
    }
    let count = known.count;
    again(Value::new(&raw mut *known)?, &thread.item);
    known.count = count;
    Some(())
}

/// A timer fired: a goroutine was made for its function.
#[inline(always)]
pub fn fires(task: Task, function: u64, goroutine: u64) -> Option<()> {
    let mut thread = task.thread()?;
    taken(task, &mut thread, TIMER, timers(task)?, function);
    if thread.item.put == 0 {
        return None;
    }
    units::made_for_item(task, &mut thread, goroutine)
}

/// The queue of all timers that are known: when it was begun to note them, which is no address of a channel. None while nothing
/// is noted.
#[inline(always)]
fn timers(task: Task) -> Option<u64> {
    let since = watches::since(task.tgid());
    if since == 0 { None } else { Some(since) }
}
