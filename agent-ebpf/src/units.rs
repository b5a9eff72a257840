//! Units of runtimes: made, read and freed, with the tags that they carry by value.
//!
//! Probes of user space can be preempted and have a stack of 48 bytes at most (docs/kernels.md): what is larger is built in
//! the thread's own storage.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::UnitState;
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Header, Running, Tag, Unit, UnitBorn, UnitEnded, kind};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;

use crate::emit;
use crate::kernel::python;
use crate::kernel::task::Task;
use crate::maps::{Thread, UNITS, Value};

const NO_TAG: Tag = Tag { cookie: 0, offset: 0 };

/// A unit received the first bytes of a request's turn.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn unit_reads(cookie: u64, offset: u64) -> u64 {
    let task = Task::current();
    let Some(mut thread) = task.known_thread() else { return 0 };
    let Some(mut state) = current(task, &mut thread) else { return 0 };
    state.unit.own = Tag { cookie, offset };
    1
}

/// A unit sends the first bytes of a turn: of an answer, if it serves there. Tells of it.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn unit_sends(cookie: u64, serves: u64, seq: u64) -> u64 {
    let task = Task::current();
    let Some(mut thread) = task.known_thread() else { return 0 };
    let Some(mut state) = current(task, &mut thread) else { return 0 };
    let unit = &mut state.unit;
    if serves != 0 && unit.own.cookie == 0 && unit.answers == 0 && unit.inherited.cookie != cookie {
        // It serves here, whatever was being served where it was created: a loop may run all its callbacks in one unit.
        unit.answers = cookie;
        unit.via = unit.id;
        unit.inherited = NO_TAG;
    }
    state.told = 1;
    thread.running.header = emit::header::<Running>(kind::RUNNING);
    thread.running.tgid = task.tgid();
    thread.running.tid = task.tid();
    thread.running.start = task.process_start();
    thread.running.seq = seq as u32;
    thread.running.pad = 0;
    thread.running.unit = state.unit;
    u64::from(emit::record::<Running>(cookie, &thread.running))
}

/// The current unit created another one, which carries what it did.
#[inline(always)]
pub fn created(task: Task, thread: &mut Thread, child: u64) -> Option<()> {
    let creator = current(task, thread)?;
    bear(thread, &creator.unit);
    thread.key.address = child;
    insert(thread)?;
    if thread.unit.told != 0 {
        tell_birth(task, thread, creator.unit.id);
    }
    Some(())
}

/// Builds the child of a unit in the thread's storage.
#[inline(never)]
fn bear(thread: &mut Thread, creator: &Unit) {
    let unit = &mut thread.unit.unit;
    unit.id = next_id();
    unit.own = NO_TAG;
    unit.inherited = creator.inherited;
    unit.answers = creator.answers;
    unit.since = creator.since;
    unit.via = creator.via;
    if creator.answers != 0 {
        if creator.since == 0 {
            unit.since = emit::now();
        }
    } else if creator.own.cookie != 0 {
        unit.inherited = creator.own;
        unit.via = creator.id;
    }
    thread.unit.told = u64::from(carries_nothing(&thread.unit.unit));
}

/// What stood for a unit was freed: its address will be another's.
#[inline(always)]
pub fn freed(task: Task, address: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let state = state(task, &mut thread, address)?;
    if state.told != 0 {
        tell_end(task, &mut thread, state.unit.id);
    }
    // Deleted by nobody else while the process lives.
    let _ = UNITS.remove(&thread.key);
    Some(())
}

/// The unit that runs on the current thread, made if it is new.
#[inline(never)]
fn current(task: Task, thread: &mut Thread) -> Option<Value<UnitState>> {
    let address = python::context(task, thread);
    if address == 0 {
        return None;
    }
    if let Some(state) = state(task, thread, address) {
        return Some(state);
    }
    thread.unit.unit = Unit { id: next_id(), own: NO_TAG, inherited: NO_TAG, answers: 0, since: 0, via: 0 };
    thread.unit.told = 0;
    insert(thread)?;
    UNITS.get_ptr_mut(&thread.key).and_then(Value::new)
}

/// Adds the unit that was built in the thread's storage, under the key there.
#[inline(always)]
fn insert(thread: &Thread) -> Option<()> {
    if UNITS.insert(&thread.key, &thread.unit, u64::from(BPF_ANY)).is_err() {
        emit::count(loss::UNITS_FULL);
        return None;
    }
    Some(())
}

/// The unit at an address; its key stands in the thread's storage then.
#[inline(always)]
fn state(task: Task, thread: &mut Thread, address: u64) -> Option<Value<UnitState>> {
    thread.key.tgid = task.tgid();
    thread.key.pad = 0;
    thread.key.start = task.process_start();
    thread.key.address = address;
    UNITS.get_ptr_mut(&thread.key).and_then(Value::new)
}

#[inline(always)]
fn carries_nothing(unit: &Unit) -> bool {
    unit.own.cookie == 0 && unit.inherited.cookie == 0 && unit.answers == 0
}

/// A number that nothing else gets: no processor does two things at a time.
#[inline(always)]
fn next_id() -> u64 {
    // SAFETY: the helper has no preconditions.
    let processor = unsafe { bpf_get_smp_processor_id() };
    emit::now() << 8 | u64::from(processor & 0xff)
}

#[inline(never)]
fn tell_birth(task: Task, thread: &mut Thread, creator: u64) {
    let room = (&raw mut thread.running).cast::<UnitBorn>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let born = unsafe { &mut *room };
    born.header = emit::header::<UnitBorn>(kind::UNIT_BORN);
    born.tgid = task.tgid();
    born.pad = 0;
    born.start = task.process_start();
    born.unit = thread.unit.unit.id;
    born.creator = creator;
    emit::record::<UnitBorn>(u64::from(task.tgid()), born);
}

#[inline(never)]
fn tell_end(task: Task, thread: &mut Thread, unit: u64) {
    let room = (&raw mut thread.running).cast::<UnitEnded>();
    // SAFETY: as in `tell_birth`.
    let ended = unsafe { &mut *room };
    ended.header = emit::header::<UnitEnded>(kind::UNIT_ENDED);
    ended.tgid = task.tgid();
    ended.pad = 0;
    ended.start = task.process_start();
    ended.unit = unit;
    emit::record::<UnitEnded>(u64::from(task.tgid()), ended);
}

const _: () = {
    assert!(size_of::<UnitBorn>() <= size_of::<Running>() && align_of::<UnitBorn>() <= align_of::<Running>());
    assert!(size_of::<UnitEnded>() <= size_of::<Running>() && align_of::<UnitEnded>() <= align_of::<Running>());
    assert!(size_of::<Header>() == 16);
};
