//! Answers: a unit that works for nobody known wakes one that has a request, after a call. Whether the call was made for that
//! request is not decided here.

use agent_ebpf::wire::config::UnitState;
use agent_ebpf::wire::record::{Answered, Took, kind};

use crate::emit;
use crate::kernel::task::Task;
use crate::maps::{Thread, Value};
use crate::units::{carries_nothing, known};
use crate::watches;

/// A unit that called and carries nothing: whom it answers may tell for whom.
#[inline(always)]
pub fn works_for_nobody(task: Task, thread: &mut Thread, unit: u64) -> Option<Value<UnitState>> {
    let state = known(task, thread, unit)?;
    let nobody = state.called != 0 && state.takes == 0 && carries_nothing(&state.unit);
    if nobody { Some(state) } else { None }
}

/// Such a unit wakes another one. What it called before all was noted may have been answered unseen.
#[inline(always)]
pub fn answers(task: Task, thread: &mut Thread, mut state: Value<UnitState>, waiting: u64) -> Option<()> {
    let request = known(task, thread, waiting)?.unit.own;
    if request.cookie == 0 {
        return None;
    }
    if !watches::sees(task.tgid()) || state.asked < watches::since(task.tgid()) {
        return None;
    }
    state.answers += 1;
    let room = (&raw mut thread.record).cast::<Answered>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let answered = unsafe { &mut *room };
    answered.header = emit::header::<Answered>(kind::ANSWERED);
    answered.tgid = task.tgid();
    answered.lossy = emit::epoch(task.tgid());
    answered.start = task.process_start();
    answered.unit = state.unit.id;
    answered.request = request;
    answered.called = state.called;
    answered.nth = state.answers;
    if !emit::record::<Answered>(u64::from(task.tgid()), answered) {
        emit::lossy(task.tgid());
    }
    Some(())
}

const _: () = assert!(size_of::<Answered>() <= size_of::<Took>() && align_of::<Answered>() <= align_of::<Took>());
