//! Items: what one unit puts into a queue, and another takes. An item carries what its putter worked for, by value.
//!
//! A unit keeps what it took last, of two queues: the one that it took from first, where it waits for its work, and another.
//! Which of them it works for is not decided here.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::{Item, TakesState, UnitState};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Claim, Returned, THREAD_UNIT, Taken, Took, kind};
use aya_ebpf::bindings::BPF_ANY;

use crate::kernel::python;
use crate::kernel::task::Task;
use crate::maps::{ITEMS, TAKES, Thread, Value};
use crate::units::{self, NO_CLAIM};
use crate::{emit, messages, watches};

/// In place of a queue's address: some that are not watched.
const UNWATCHED: u64 = 1;
/// [`agent_ebpf::wire::config::UnitKey::pad`] of an item: its address may be a unit's as well.
const ITEM: u32 = 1;

/// Something is put into a queue, which may be empty so far.
#[inline(never)]
pub fn put(queue: u64, item: u64, empty: bool) -> Option<()> {
    let task = Task::current();
    let none = python::none(task.tgid())?;
    if item == 0 || item == none {
        return None;
    }
    let mut thread = task.thread()?;
    put_by(task, &mut thread, queue);
    thread.item.queue = queue;
    thread.item.put = emit::now();
    thread.item.count = 1;
    key(task, &mut thread, ITEM, item);
    if let Some(known) = ITEMS.get_ptr_mut(&thread.key).and_then(Value::<Item>::new) {
        // What was noted of an empty queue was taken unseen, before its probe was there: the address is another's by now.
        if !empty || known.queue != queue {
            again(known, &thread.item);
            return None;
        }
    }
    if units::is_over_share(task) || ITEMS.insert(&thread.key, &thread.item, u64::from(BPF_ANY)).is_err() {
        units::full(task, loss::ITEMS_FULL);
    }
    Some(())
}

/// Something is taken: from `queue`, or from the one it was put into, if that is 0.
#[inline(never)]
pub fn take(queue: u64, item: u64) -> Option<()> {
    let task = Task::current();
    python::none(task.tgid())?;
    if item == 0 {
        return None;
    }
    let mut thread = task.thread()?;
    taken(task, &mut thread, ITEM, queue, item);
    let mut takes = takes(task, &mut thread)?;
    note(&mut takes, &thread.item);
    if watches::misses(task.tgid()) {
        // It may take its work from one of these: what it took here is its work only once it came back here.
        unseen(&mut takes);
    }
    Some(())
}

/// The current unit may have taken its work from a queue that is not watched.
#[inline(never)]
pub fn takes_unseen(task: Task, thread: &mut Thread) -> Option<()> {
    let mut takes = takes(task, thread)?;
    unseen(&mut takes);
    Some(())
}

#[inline(always)]
const fn unseen(state: &mut TakesState) {
    if state.takes.other.queue == 0 {
        state.takes.other.queue = UNWATCHED;
    }
}

/// Tells what the unit took whose key stands in the thread's storage.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tell_of_unit(cookie: u64, unit: u64, seq: u64) -> u64 {
    let task = Task::current();
    let Some(mut thread) = task.known_thread() else { return 0 };
    let Some(mut state) = of_unit(&thread) else { return 0 };
    tell(task, &mut thread.record, &mut state, cookie, unit, seq)
}

/// Tells what the thread took where it ran no unit.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tell_of_thread(cookie: u64, unit: u64, seq: u64) -> u64 {
    let task = Task::current();
    let Some(mut thread) = task.known_thread() else { return 0 };
    let thread = &mut *thread;
    tell(task, &mut thread.record, &mut thread.takes, cookie, unit, seq)
}

#[inline(always)]
fn tell(task: Task, took: &mut Took, state: &mut TakesState, cookie: u64, unit: u64, seq: u64) -> u64 {
    state.idle = 0;
    messages::tell(task, took, state, cookie, unit, seq);
    took.header = emit::header::<Took>(kind::TOOK);
    took.tgid = task.tgid();
    took.seq = seq as u32;
    took.start = task.process_start();
    took.unit = unit;
    took.takes = state.takes;
    u64::from(emit::record::<Took>(cookie, took))
}

/// Passes on what was taken, which is an act: who put it and what that one worked for, unless others are mixed with it. What
/// came through a pipe stays with the reader: a result that goes back to who sent the job is no job of its next reader's.
#[inline(always)]
pub fn pass_on(state: &mut TakesState, item: &mut Item) {
    state.idle = 0;
    let head = &state.takes.head;
    // Of others' queues it is not told what was taken together.
    item.count = if state.depth == 0 { 0 } else { u64::from(head.others) };
    if head.others == 0 && head.queue != state.writer.pipe {
        item.claim = head.claim;
        item.putter = head.putter;
    }
}

/// Writes what the current unit works for to the item in the thread's storage, and tells if it takes from this queue too.
#[inline(never)]
pub fn put_by(task: Task, thread: &mut Thread, queue: u64) {
    let mut current = units::current(task, thread);
    if takes_from_queue(thread, current.as_deref(), queue) {
        returned(task, thread, queue);
    }
    if let Some(state) = current.as_deref_mut() {
        units::doubts(task, thread, state);
    }
    units::carry(thread, current);
}

/// True if the current unit takes from a queue.
#[inline(always)]
pub fn takes_from_it(task: Task, thread: &mut Thread, queue: u64) -> bool {
    let current = units::current(task, thread);
    takes_from_queue(thread, current.as_deref(), queue)
}

#[inline(always)]
fn takes_from_queue(thread: &Thread, current: Option<&UnitState>, queue: u64) -> bool {
    match current {
        Some(state) if state.takes != 0 => of_unit(thread).is_some_and(|state| takes_from(&state, queue)),
        Some(_) => false,
        None => thread.took != 0 && takes_from(&thread.takes, queue),
    }
}

/// What the unit took whose key stands in the thread's storage.
#[inline(always)]
pub fn of_unit(thread: &Thread) -> Option<Value<TakesState>> {
    TAKES.get_ptr_mut(&thread.key).and_then(Value::new)
}

#[inline(always)]
pub const fn takes_from(state: &TakesState, queue: u64) -> bool {
    state.takes.head.queue == queue || state.takes.other.queue == queue
}

/// The same thing is put into a queue a second time before it was taken: for whom it is taken next is known only if both
/// are the same.
#[inline(always)]
pub fn again(mut known: Value<Item>, item: &Item) {
    known.count += 1;
    if !is_same(&known, item) {
        known.putter = 0;
        known.claim = NO_CLAIM;
    }
}

/// True if two items were put into the same queue by and for the same.
#[inline(always)]
pub fn is_same(one: &Item, other: &Item) -> bool {
    one.queue == other.queue && one.putter == other.putter && same(&one.claim, &other.claim)
}

#[inline(always)]
pub fn same(one: &Claim, other: &Claim) -> bool {
    one.inherited.cookie == other.inherited.cookie
        && one.inherited.offset == other.inherited.offset
        && one.answers == other.answers
        && one.since == other.since
        && one.via == other.via
}

/// Moves an item from its queue to the thread's storage; one that is not known carries nothing.
#[inline(always)]
pub fn taken(task: Task, thread: &mut Thread, of: u32, queue: u64, item: u64) {
    key(task, thread, of, item);
    thread.item.queue = queue;
    thread.item.put = 0;
    thread.item.putter = 0;
    thread.item.claim = NO_CLAIM;
    let Some(mut known) = ITEMS.get_ptr_mut(&thread.key).and_then(Value::<Item>::new) else { return };
    if queue != 0 && known.queue != queue {
        return;
    }
    thread.item = *known;
    if known.count > 1 {
        known.count -= 1;
        return;
    }
    // Nobody else deletes what is not old.
    let _ = ITEMS.remove(&thread.key);
}

/// Where the current unit keeps what it takes; none if it has a request of its own.
#[inline(always)]
pub fn takes(task: Task, thread: &mut Thread) -> Option<Value<TakesState>> {
    let Some(mut state) = units::current(task, thread) else {
        if thread.own.cookie != 0 {
            return None;
        }
        units::number(thread);
        thread.took = 1;
        return Value::new(&raw mut thread.takes);
    };
    let unit = &state.unit;
    if unit.own.cookie != 0 || (unit.claim.answers != 0 && unit.claim.since == 0) {
        return None;
    }
    if state.takes == 0 {
        state.takes = 1;
        if TAKES.insert(&thread.key, &EMPTY, u64::from(BPF_ANY)).is_err() {
            units::full(task, loss::ITEMS_FULL);
            return None;
        }
    }
    of_unit(thread)
}

/// Of a unit that took nothing.
pub static EMPTY: TakesState = zerocopy::transmute!([0_u64; size_of::<TakesState>() / 8]);

/// Notes what was taken last.
#[inline(always)]
pub fn note(state: &mut TakesState, item: &Item) {
    let idle = state.idle;
    state.idle = 1;
    let takes = &mut state.takes;
    if item.queue == 0 {
        // Taken from nobody knows where: what was taken before is over.
        takes.head.put = 0;
        takes.head.putter = 0;
        takes.head.claim = NO_CLAIM;
        return;
    }
    if takes.head.queue == 0 {
        takes.head.queue = item.queue;
    }
    if takes.head.queue == item.queue {
        update(&mut takes.head, item, idle);
        return;
    }
    if takes.other.queue != item.queue {
        takes.other.queue = item.queue;
        takes.other.takes = 0;
        takes.other.others = 0;
    }
    update(&mut takes.other, item, 0);
}

#[inline(always)]
pub fn update(taken: &mut Taken, item: &Item, idle: u64) {
    if idle == 0 {
        taken.others = 0;
    } else if is_for_somebody(taken) && (taken.putter != item.putter || !same(&taken.claim, &item.claim)) {
        taken.others += 1;
    }
    taken.put = item.put;
    taken.putter = item.putter;
    taken.claim = item.claim;
    taken.takes += 1;
}

/// False if what was taken was put by a thread that served nobody, as at a program's start.
#[inline(always)]
pub const fn is_for_somebody(taken: &Taken) -> bool {
    let by_unit = taken.putter != 0 && taken.putter & THREAD_UNIT == 0;
    by_unit || taken.claim.inherited.cookie != 0 || taken.claim.answers != 0
}

/// Writes the key of an item to the thread's storage; `of` says what the address is of.
#[inline(always)]
pub fn key(task: Task, thread: &mut Thread, of: u32, address: u64) {
    thread.key.tgid = task.tgid();
    thread.key.pad = of;
    thread.key.start = task.process_start();
    thread.key.address = address;
}

#[inline(never)]
pub fn returned(task: Task, thread: &mut Thread, queue: u64) {
    let room = (&raw mut thread.record).cast::<Returned>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let returned = unsafe { &mut *room };
    returned.header = emit::header::<Returned>(kind::RETURNED);
    returned.tgid = task.tgid();
    returned.pad = 0;
    returned.start = task.process_start();
    returned.queue = queue;
    emit::record::<Returned>(u64::from(task.tgid()), returned);
}

const _: () = assert!(size_of::<Returned>() <= size_of::<Took>() && align_of::<Returned>() <= align_of::<Took>());
