//! Channels of Go: what one goroutine puts into one another takes, with what the first works for. What waits in a buffer is known
//! by its slot's address; where one of the two waits, it is named.
//!
//! A goroutine works for what it takes where it waits for its work: the outermost place where it ever took something. What it
//! takes deeper in its stack is part of that work (an answer, a connection that is lent), and so is what the same function takes
//! elsewhere, unless nothing was done in between: then it gathers a batch. Who has a request works for no other.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::{TakesState, UnitState};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::Claim;
use aya_ebpf::bindings::BPF_ANY;

use crate::items::{self, EMPTY, key, of_unit, same, taken, update};
use crate::kernel::task::Task;
use crate::maps::{Frame, ITEMS, TAKES, Thread, Value};
use crate::{batches, emit, units, watches};

/// [`agent_ebpf::wire::config::UnitKey::pad`] of a slot.
const SLOT: u32 = 3;
/// A channel of what has no pointers, such as tokens or numbers: no address of a channel's.
pub const NO_WORK: u64 = 1;

/// A goroutine, by its number, puts something into a slot of a channel's buffer; what was there before is no more. Nothing is
/// noted of a channel that is not known.
#[inline(always)]
pub fn put(task: Task, thread: &mut Thread, goroutine: u64, channel: u64, slot: u64) -> Option<()> {
    put_by(task, thread, goroutine, channel);
    key(task, thread, SLOT, slot);
    if channel == 0 || !says_something(&thread.item.claim) {
        // Most often there is none.
        let _ = ITEMS.remove(&thread.key);
        return None;
    }
    if !watches::sees(task.tgid()) {
        return None;
    }
    if units::is_over_share(task) || ITEMS.insert(&thread.key, &thread.item, u64::from(BPF_ANY)).is_err() {
        units::full(task, loss::ITEMS_FULL);
    }
    Some(())
}

/// What is in a slot of a channel's buffer is taken out, and stands in the thread's storage then.
#[inline(always)]
pub fn take_out(task: Task, thread: &mut Thread, channel: u64, slot: u64) {
    taken(task, thread, SLOT, channel, slot);
    if channel == NO_WORK {
        thread.item.queue = 0;
    }
}

/// What a goroutine puts into a channel stands in the thread's storage then. Tells if it takes from that channel too.
#[inline(never)]
pub fn put_by(task: Task, thread: &mut Thread, goroutine: u64, channel: u64) {
    let state = units::known(task, thread, goroutine);
    if state.is_some_and(|state| takes_from(&state, thread, channel)) && watches::sees(task.tgid()) {
        items::returned(task, thread, channel);
    }
    units::carry_of(task, thread, goroutine);
    thread.item.queue = channel;
    thread.item.put = emit::now();
    thread.item.count = 1;
}

#[inline(always)]
fn takes_from(state: &UnitState, thread: &Thread, channel: u64) -> bool {
    if channel == 0 || channel == NO_WORK {
        return false;
    }
    state.lent == channel || state.takes != 0 && of_unit(thread).is_some_and(|takes| items::takes_from(&takes, channel))
}

/// A goroutine takes what stands in the thread's storage, where the frame there says.
#[inline(never)]
pub fn take(task: Task, thread: &mut Thread, goroutine: u64) -> Option<()> {
    let says = says_something(&thread.item.claim);
    if says && !watches::sees(task.tgid()) {
        return None;
    }
    let mut state = if says { units::unit(task, thread, goroutine) } else { units::known(task, thread, goroutine) }?;
    let unit = &state.unit;
    if unit.own.cookie != 0 || (unit.claim.answers != 0 && unit.claim.since == 0) {
        return is_no_work(&mut state, thread);
    }
    if state.takes == 0 {
        if !says {
            return is_no_work(&mut state, thread);
        }
        if TAKES.insert(&thread.key, &EMPTY, u64::from(BPF_ANY)).is_err() {
            units::full(task, loss::ITEMS_FULL);
            return None;
        }
        state.takes = 1;
    }
    let takes = of_unit(thread)?;
    if is_within_work(&takes, &thread.frame) {
        return is_no_work(&mut state, thread);
    }
    note(thread, takes, state.unit.id, says)
}

/// Keeps only where it was taken from: that channel lends what is in it if the goroutine puts something there.
#[inline(always)]
const fn is_no_work(state: &mut UnitState, thread: &Thread) -> Option<()> {
    if thread.item.queue != 0 {
        state.lent = thread.item.queue;
    }
    None
}

/// True of what is taken deeper than where a goroutine waits for its work.
#[inline(always)]
const fn is_within_work(takes: &TakesState, frame: &Frame) -> bool {
    takes.takes.head.takes != 0 && frame.depth > takes.depth
}

#[inline(always)]
fn note(thread: &mut Thread, mut state: Value<TakesState>, unit: u64, says: bool) -> Option<()> {
    let state = &mut *state;
    let outermost = state.takes.head.takes == 0 || thread.frame.depth < state.depth;
    if outermost {
        state.depth = thread.frame.depth;
        state.back = thread.frame.back;
        state.idle = 0;
        state.takes.head.takes = 0;
        state.takes.other.queue = 0;
    }
    if says && state.idle != 0 && !same(&state.takes.head.claim, &thread.item.claim) {
        batches::gathers(thread, state, unit);
    }
    let (frame, item) = (&thread.frame, &thread.item);
    let (head, other) = (&mut state.takes.head, &mut state.takes.other);
    if frame.back == state.back {
        if item.queue != 0 {
            head.queue = item.queue;
        }
        update(head, item, state.idle);
        if state.idle == 0 {
            state.idle = 1;
        }
    } else if says && state.idle == 0 {
        other.queue = item.queue;
        update(other, item, 0);
    } else if says && !same(&head.claim, &item.claim) {
        head.others += 1;
    }
    Some(())
}

#[inline(always)]
pub const fn says_something(claim: &Claim) -> bool {
    claim.inherited.cookie != 0 || claim.answers != 0
}
