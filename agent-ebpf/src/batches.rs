//! Batches: what a unit took for several without having acted in between, told thing by thing.

use agent_ebpf::wire::config::TakesState;
use agent_ebpf::wire::record::{GATHERED_MAX, Gathered, Handed, Taken, Took, kind};

use crate::emit;
use crate::items::is_for_somebody;
use crate::kernel::task::Task;
use crate::maps::Thread;

/// A unit takes what stands in the thread's storage, for another one than what it took before.
#[inline(always)]
pub fn gathers(thread: &mut Thread, state: &mut TakesState, unit: u64) {
    if state.idle == 1 {
        state.batches += 1;
        if is_for_somebody(&state.takes.head) {
            gathered(thread).taken = state.takes.head;
            tell(thread, unit, state.batches, 0);
            state.idle = 2;
        }
    }
    let nth = state.idle - 1;
    if nth <= GATHERED_MAX {
        let item = &raw const thread.item;
        // SAFETY: the item and the record are two fields of the thread's storage.
        let item = unsafe { &*item };
        gathered(thread).taken =
            Taken { queue: item.queue, put: item.put, putter: item.putter, claim: item.claim, takes: 0, others: 0 };
        tell(thread, unit, state.batches, nth);
        state.idle += 1;
    }
}

/// A unit that gathered things created another one, which stands in the thread's storage.
#[inline(never)]
pub fn hands(thread: &mut Thread) {
    let task = Task::current();
    let (unit, child) = (thread.item.putter, thread.unit.unit.id);
    let room = (&raw mut thread.record).cast::<Handed>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let handed = unsafe { &mut *room };
    handed.header = emit::header::<Handed>(kind::HANDED);
    handed.tgid = task.tgid();
    handed.pad = 0;
    handed.start = task.process_start();
    handed.unit = unit;
    handed.child = child;
    emit::record::<Handed>(u64::from(task.tgid()), handed);
}

/// Tells of what stands in the record.
#[inline(never)]
fn tell(thread: &mut Thread, unit: u64, batch: u64, nth: u64) {
    let task = Task::current();
    let gathered = gathered(thread);
    gathered.header = emit::header::<Gathered>(kind::GATHERED);
    gathered.tgid = task.tgid();
    gathered.lossy = emit::epoch(task.tgid());
    gathered.start = task.process_start();
    gathered.unit = unit;
    gathered.nth = nth;
    gathered.taken.takes = batch as u32;
    gathered.taken.others = 0;
    if !emit::record::<Gathered>(u64::from(task.tgid()), gathered) {
        emit::lossy(task.tgid());
    }
}

#[inline(always)]
const fn gathered(thread: &mut Thread) -> &mut Gathered {
    let room = (&raw mut thread.record).cast::<Gathered>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    unsafe { &mut *room }
}

const _: () = {
    assert!(size_of::<Gathered>() <= size_of::<Took>() && align_of::<Gathered>() <= align_of::<Took>());
    assert!(size_of::<Handed>() <= size_of::<Took>() && align_of::<Handed>() <= align_of::<Took>());
};
