//! Units of runtimes: made, read and freed, with the tags that they carry by value.
//!
//! Probes of user space can be preempted and have a stack of 48 bytes at most (docs/kernels.md): what is larger is built in
//! the thread's own storage.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::{Python, UnitState};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Claim, Header, Running, THREAD_UNIT, Tag, Took, Unit, UnitBorn, UnitEnded, kind};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;

use crate::kernel::runtime::adapter;
use crate::kernel::task::Task;
use crate::kernel::{go, greenlet, python};
use crate::maps::{OVER_SHARE, SENDS_FOR, TAKES, Thread, UNITS, Value};
use crate::{batches, emit, items, watches};

/// No request.
const NO_TAG: Tag = Tag { cookie: 0, offset: 0 };
/// Nothing is known of what a unit works for.
pub const NO_CLAIM: Claim = Claim { inherited: NO_TAG, answers: 0, since: 0, via: 0 };

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

/// A unit sends the first bytes of a turn: of an answer, if it serves there. Tells of it, and of what it took from queues.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn unit_sends(cookie: u64, serves: u64, seq: u64) -> u64 {
    let task = Task::current();
    let Some(mut thread) = task.known_thread() else { return 0 };
    if serves == 0 && sends_for(task, cookie, &mut thread, seq) {
        return tell_running(task, &mut thread, cookie, seq);
    }
    let Some(mut state) = current(task, &mut thread) else { return thread_sends(task, &mut thread, cookie, seq) };
    doubts(task, &mut thread, &mut state);
    let unit = &mut state.unit;
    if serves != 0 && unit.own.cookie == 0 && unit.claim.answers == 0 && unit.claim.inherited.cookie != cookie {
        // It serves here, whatever was being served where it was created: a loop may run all its callbacks in one unit.
        unit.claim.answers = cookie;
        unit.claim.via = unit.id;
        unit.claim.inherited = NO_TAG;
    }
    if state.takes != 0 {
        items::tell_of_unit(cookie, state.unit.id, seq);
    } else if works_as_its_thread(thread.took, &state) {
        items::tell_of_thread(cookie, state.unit.id, seq);
    }
    if serves == 0 {
        state.called = cookie;
        state.asked = emit::now();
        state.answers = 0;
    }
    state.told = 1;
    running(&mut thread).unit = state.unit;
    let unit = &mut state.unit;
    if serves != 0 && unit.claim.answers == cookie {
        // What it creates from now on stems from one that answers, whoever did before.
        unit.claim.via = unit.id;
        unit.claim.since = 0;
    }
    tell_running(task, &mut thread, cookie, seq)
}

/// A thread sends that runs no unit of its runtime: of interest only if it takes its work from a queue.
#[inline(always)]
fn thread_sends(task: Task, thread: &mut Thread, cookie: u64, seq: u64) -> u64 {
    if thread.took == 0 {
        return 0;
    }
    items::tell_of_thread(cookie, thread.unit_id, seq);
    running(thread).unit = Unit { id: thread.unit_id, own: NO_TAG, claim: NO_CLAIM };
    tell_running(task, thread, cookie, seq)
}

/// The current unit, whose key stands in the thread's storage: if it was created in a request, and may since have taken what
/// another one put, it is not known what it works for.
#[inline(always)]
pub fn doubts(task: Task, thread: &mut Thread, state: &mut UnitState) {
    let Unit { id, own, claim } = &state.unit;
    let born = own.cookie == 0 && (claim.inherited.cookie != 0 || claim.since != 0);
    if born && watches::may_have_missed(task.tgid(), id >> 8) {
        state.unit.claim = NO_CLAIM;
        items::takes_unseen(task, thread);
    }
}

/// What runs on a thread of Python's created another unit, which carries what it did.
#[inline(always)]
pub fn created(task: Task, thread: &mut Thread, python: &Python, child: u64) -> Option<()> {
    let address = what_python_runs(task, thread, python);
    let creator = unit(task, thread, address)?;
    bear(task, thread, creator, child)
}

/// A unit created another one; both are given by what stands for them.
#[inline(always)]
pub fn created_by(task: Task, creator: u64, child: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let creator = unit(task, &mut thread, creator)?;
    bear(task, &mut thread, creator, child)
}

/// A unit had a connection send a request, which is not known if its cookie is 0: another unit does that, for whoever asks.
#[inline(always)]
pub fn has_sent(task: Task, address: u64, cookie: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let mut state = unit(task, &mut thread, address)?;
    state.called = cookie;
    state.asked = emit::now();
    state.answers = 0;
    if cookie == 0 {
        return None;
    }
    state.told = 1;
    // Where there is no room, nobody is known to have sent it.
    let _ = SENDS_FOR.insert(&cookie, &*state, u64::from(BPF_ANY));
    Some(())
}

/// A unit works for others from its beginning: what it was created in says nothing.
#[inline(always)]
pub fn works_for_others(task: Task, address: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let mut state = unit(task, &mut thread, address)?;
    state.unit.own = NO_TAG;
    state.unit.claim = NO_CLAIM;
    Some(())
}

/// Takes the unit that a connection sends for, if there is one, and tells what that took.
#[inline(always)]
fn sends_for(task: Task, cookie: u64, thread: &mut Thread, seq: u64) -> bool {
    let Some(state) = SENDS_FOR.get_ptr_mut(&cookie).and_then(Value::<UnitState>::new) else { return false };
    if state.takes != 0 {
        key(task, thread, state.address);
        items::tell_of_unit(cookie, state.unit.id, seq);
    }
    running(thread).unit = state.unit;
    true
}

/// A unit was made for an item that was put somewhere for it, and stands in the thread's storage: it works for what that carries.
#[inline(always)]
pub fn made_for_item(task: Task, thread: &mut Thread, child: u64) -> Option<()> {
    let unit = &mut thread.unit.unit;
    unit.id = next_id();
    unit.own = NO_TAG;
    unit.claim = thread.item.claim;
    thread.unit.told = 0;
    thread.unit.takes = 0;
    thread.unit.first = 0;
    thread.key.pad = 0;
    thread.key.address = child;
    insert(task, thread)
}

#[inline(always)]
fn bear(task: Task, thread: &mut Thread, creator: Value<UnitState>, child: u64) -> Option<()> {
    carry(thread, Some(creator));
    let unit = &mut thread.unit.unit;
    unit.id = next_id();
    unit.own = NO_TAG;
    unit.claim = thread.item.claim;
    thread.unit.told = u32::from(carries_nothing(&thread.unit.unit));
    thread.unit.takes = 0;
    thread.unit.first = 0;
    thread.key.address = child;
    insert(task, thread)?;
    if thread.unit.told != 0 {
        tell_birth(task, thread);
    }
    if thread.item.count != 0 {
        batches::hands(thread);
    }
    Some(())
}

/// Writes to the item in the thread's storage what the current unit, or without one the thread, works for, and who says so; and
/// as its count for how many others, if that is nobody alone.
#[inline(always)]
pub fn carry(thread: &mut Thread, current: Option<Value<UnitState>>) {
    thread.item.claim = NO_CLAIM;
    thread.item.count = 0;
    let Some(state) = current else {
        thread.item.putter = number(thread);
        return carry_of_thread(thread);
    };
    let unit = &state.unit;
    thread.item.putter = unit.id;
    if unit.claim.answers != 0 {
        thread.item.claim = unit.claim;
        if unit.claim.since == 0 {
            thread.item.claim.since = emit::now();
        }
    } else if unit.own.cookie != 0 {
        thread.item.claim.inherited = unit.own;
        thread.item.claim.via = unit.id;
    } else if state.takes != 0 {
        // Born in one request, and at work for another: what it does now is for either.
        if let Some(mut takes) = items::of_unit(thread)
            && (unit.claim.inherited.cookie == 0 || items::same(&takes.takes.head.claim, &unit.claim))
        {
            items::pass_on(&mut takes, &mut thread.item);
        }
    } else if works_as_its_thread(thread.took, &state) {
        carry_of_thread(thread);
    } else {
        thread.item.claim = unit.claim;
    }
}

/// Writes to the item in the thread's storage what a unit works for: nothing, if it is not known.
#[inline(always)]
pub fn carry_of(task: Task, thread: &mut Thread, address: u64) {
    match known(task, thread, address) {
        None => {
            thread.item.claim = NO_CLAIM;
            thread.item.putter = 0;
        }
        state => carry(thread, state),
    }
}

#[inline(always)]
fn carry_of_thread(thread: &mut Thread) {
    if thread.own.cookie != 0 {
        thread.item.claim.inherited = thread.own;
        thread.item.claim.via = thread.unit_id;
    } else if thread.took != 0 {
        items::pass_on(&mut thread.takes, &mut thread.item);
    }
}

/// True if a unit is what its thread began with, and does what the thread did before it was there.
#[inline(always)]
fn works_as_its_thread(took: u64, state: &UnitState) -> bool {
    took != 0 && state.first != 0 && carries_nothing(&state.unit)
}

/// What stood for a unit was freed: its address will be another's, which takes its place in the map then.
#[inline(always)]
pub fn freed(task: Task, address: u64) -> Option<()> {
    let mut thread = match task.known_thread() {
        // Of a process that is not adapted, no unit is known either.
        Some(thread) => thread,
        None => {
            python::python(task.tgid())?;
            task.thread()?
        }
    };
    let mut state = known(task, &mut thread, address)?;
    ends(task, &mut thread, &state);
    state.unit.id = UnitState::FREED;
    state.asked = emit::now();
    Some(())
}

/// A unit ended, whose number no other gets.
#[inline(always)]
pub fn ended(task: Task, number: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let state = known(task, &mut thread, number)?;
    ends(task, &mut thread, &state);
    // Deleted by nobody else while the process lives.
    let _ = UNITS.remove(&thread.key);
    Some(())
}

/// The unit whose key stands in the thread's storage does nothing any more: tells of it, and forgets what it took.
#[inline(always)]
fn ends(task: Task, thread: &mut Thread, state: &UnitState) {
    if state.told != 0 {
        tell_end(task, thread, state.unit.id);
    }
    if state.takes != 0 {
        // Deleted by nobody else while the process lives.
        let _ = TAKES.remove(&thread.key);
    }
}

/// The unit that runs on the current thread, made if it is new; none if its runtime runs none there. Its key stands in the
/// thread's storage then.
#[inline(never)]
pub fn current(task: Task, thread: &mut Thread) -> Option<Value<UnitState>> {
    let address = what_runs(task, thread);
    unit(task, thread, address)
}

/// The unit that something stands for, made if it is new; none if nothing does. Its key stands in the thread's storage then.
#[inline(never)]
pub fn unit(task: Task, thread: &mut Thread, address: u64) -> Option<Value<UnitState>> {
    if address == 0 {
        return None;
    }
    if let Some(state) = known(task, thread, address) {
        return Some(state);
    }
    thread.unit.unit = Unit { id: next_id(), own: NO_TAG, claim: NO_CLAIM };
    thread.unit.told = 0;
    thread.unit.takes = 0;
    thread.unit.first = 1;
    insert(task, thread)?;
    UNITS.get_ptr_mut(&thread.key).and_then(Value::new)
}

/// What runs on the current thread: the number of a goroutine, or the address of a greenlet or context. A greenlet and a
/// context both may: the one that was created in the other is the unit, so the later one. gevent's greenlets may share one
/// context, and tasks a greenlet.
#[inline(always)]
fn what_runs(task: Task, thread: &mut Thread) -> u64 {
    if thread.adapted == adapter::GO {
        return go::goroutine(task);
    }
    let Some(python) = python::python(task.tgid()) else { return 0 };
    what_python_runs(task, thread, &python)
}

/// The same in a process of Python's: none where it is neither.
#[inline(never)]
fn what_python_runs(task: Task, thread: &mut Thread, python: &Python) -> u64 {
    let context = python::context(task, thread, python);
    let greenlet = greenlet::current(task, thread, python, context != 0);
    if greenlet == 0 {
        return context;
    }
    if context == 0 || created_at(task, thread, context) <= created_at(task, thread, greenlet) {
        return greenlet;
    }
    context
}

/// When a unit was created: its number, which grows; 0 if that was not seen.
#[inline(always)]
fn created_at(task: Task, thread: &mut Thread, address: u64) -> u64 {
    known(task, thread, address).map_or(0, |state| if state.first == 0 { state.unit.id } else { 0 })
}

/// The thread's own number as a unit.
#[inline(always)]
pub fn number(thread: &mut Thread) -> u64 {
    if thread.unit_id == 0 {
        thread.unit_id = next_id() | THREAD_UNIT;
    }
    thread.unit_id
}

/// Something is not noted, for want of room: nothing that its process does is exact any more.
#[inline(always)]
pub fn full(task: Task, reason: u16) {
    emit::count(reason);
    emit::lossy(task.tgid());
}

/// Adds the unit that was built in the thread's storage, under the key there: in the place of a freed one, if there is one.
#[inline(always)]
fn insert(task: Task, thread: &mut Thread) -> Option<()> {
    thread.unit.address = thread.key.address;
    thread.unit.lent = 0;
    thread.unit.called = 0;
    thread.unit.asked = 0;
    thread.unit.answers = 0;
    if let Some(mut place) = UNITS.get_ptr_mut(&thread.key).and_then(Value::new) {
        *place = thread.unit;
        return Some(());
    }
    if is_over_share(task) || UNITS.insert(&thread.key, &thread.unit, u64::from(BPF_ANY)).is_err() {
        full(task, loss::UNITS_FULL);
        return None;
    }
    Some(())
}

/// True if the process gets no more units and items.
#[inline(always)]
pub fn is_over_share(task: Task) -> bool {
    OVER_SHARE.get_ptr(&task.tgid()).is_some()
}

/// The unit that something stands for, if it is known; its key stands in the thread's storage then.
#[inline(always)]
pub fn known(task: Task, thread: &mut Thread, address: u64) -> Option<Value<UnitState>> {
    key(task, thread, address);
    UNITS.get_ptr_mut(&thread.key).and_then(Value::<UnitState>::new).filter(|state| state.unit.id != UnitState::FREED)
}

/// Writes a unit's key to the thread's storage.
#[inline(always)]
fn key(task: Task, thread: &mut Thread, address: u64) {
    thread.key.tgid = task.tgid();
    thread.key.pad = 0;
    thread.key.start = task.process_start();
    thread.key.address = address;
}

#[inline(always)]
pub const fn carries_nothing(unit: &Unit) -> bool {
    unit.own.cookie == 0 && unit.claim.inherited.cookie == 0 && unit.claim.answers == 0
}

/// A number that nothing else gets: no processor does two things at a time.
#[inline(always)]
pub fn next_id() -> u64 {
    // SAFETY: the helper has no preconditions.
    let processor = unsafe { bpf_get_smp_processor_id() };
    emit::now() << 8 | u64::from(processor) & (THREAD_UNIT - 1)
}

#[inline(always)]
const fn running(thread: &mut Thread) -> &mut Running {
    let room = (&raw mut thread.record).cast::<Running>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    unsafe { &mut *room }
}

/// Tells of what runs; the unit stands in the record already.
#[inline(always)]
fn tell_running(task: Task, thread: &mut Thread, cookie: u64, seq: u64) -> u64 {
    let running = running(thread);
    running.header = emit::header::<Running>(kind::RUNNING);
    running.tgid = task.tgid();
    running.tid = task.tid();
    running.start = task.process_start();
    running.seq = seq as u32;
    running.pad = 0;
    u64::from(emit::record::<Running>(cookie, running))
}

#[inline(never)]
fn tell_birth(task: Task, thread: &mut Thread) {
    let room = (&raw mut thread.record).cast::<UnitBorn>();
    // SAFETY: as in `running`.
    let born = unsafe { &mut *room };
    born.header = emit::header::<UnitBorn>(kind::UNIT_BORN);
    born.tgid = task.tgid();
    born.pad = 0;
    born.start = task.process_start();
    born.unit = thread.unit.unit.id;
    born.creator = thread.item.putter;
    emit::record::<UnitBorn>(u64::from(task.tgid()), born);
}

#[inline(never)]
fn tell_end(task: Task, thread: &mut Thread, unit: u64) {
    let room = (&raw mut thread.record).cast::<UnitEnded>();
    // SAFETY: as in `running`.
    let ended = unsafe { &mut *room };
    ended.header = emit::header::<UnitEnded>(kind::UNIT_ENDED);
    ended.tgid = task.tgid();
    ended.pad = 0;
    ended.start = task.process_start();
    ended.unit = unit;
    emit::record::<UnitEnded>(u64::from(task.tgid()), ended);
}

const _: () = {
    assert!(size_of::<Running>() <= size_of::<Took>() && align_of::<Running>() <= align_of::<Took>());
    assert!(size_of::<UnitBorn>() <= size_of::<Took>() && align_of::<UnitBorn>() <= align_of::<Took>());
    assert!(size_of::<UnitEnded>() <= size_of::<Took>() && align_of::<UnitEnded>() <= align_of::<Took>());
    assert!(size_of::<Header>() == 16);
};
