//! Contexts of Go (`context.Context`): net/http gives each request one, which the program hands on by value, through whatever
//! list or lock, and gives to the calls that it makes for the request, or makes others of it that lead there.
//!
//! A context is known by its address while its request is served: it is alive then, so nothing else is there. What was served
//! before may be found under an address that is used again; that it is over is known. It is cancelled then, unless another
//! one is there: nothing is sent with one that is cancelled, but with what was made of it and does not hear of that.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::record::{Passed, Tag, Took, kind};
use aya_ebpf::bindings::BPF_ANY;

use crate::emit;
use crate::items::key;
use crate::kernel::task::Task;
use crate::kernel::user::read;
use crate::maps::{CONTEXTS, Thread, Value};
use crate::units::known;

/// [`agent_ebpf::wire::config::UnitKey::pad`] of a context.
const CONTEXT: u32 = 4;
/// Contexts that a call's context was made of, one of the other.
const CONTEXTS_MAX: u32 = 16;
/// The second word of an interface's value: where what it holds is.
const HELD: u64 = 8;
/// `err` of a `cancelCtx`, behind `Context`, `mu`, `done` and `children`: not nil once it is cancelled (Go 1.18 to 1.26).
const ERR: u64 = 48;

/// A unit, by its number, serves what it read, with a context.
#[inline(always)]
pub fn serves(task: Task, unit: u64, context: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let own = known(task, &mut thread, unit)?.unit.own;
    if own.cookie == 0 || context == 0 {
        return None;
    }
    key(task, &mut thread, CONTEXT, context);
    // Where there is no room, nothing is known of it.
    let _ = CONTEXTS.insert(&thread.key, &own, u64::from(BPF_ANY));
    Some(())
}

/// A unit, by its number, calls over a socket, with the context whose interface value is at an address: tells of the request
/// that leads to, if the unit has none.
#[inline(always)]
pub fn calls(task: Task, unit: u64, context: u64, cookie: u64) -> Option<()> {
    let mut thread = task.thread()?;
    let state = known(task, &mut thread, unit)?;
    if state.unit.own.cookie != 0 || state.unit.claim.answers != 0 {
        return None;
    }
    let request = leads_to(task, &mut thread, context)?;
    passes(task, &mut thread, state.unit.id, &request, cookie)
}

/// The request that a context stems from, whose own is left in the thread's key. Those of the standard library, and others that
/// embed what they are made of, begin with it: with an interface's value of the same kind.
#[inline(never)]
fn leads_to(task: Task, thread: &mut Thread, mut context: u64) -> Option<Value<Tag>> {
    let interface: u64 = read(read(context)?)?;
    for _ in 0..CONTEXTS_MAX {
        let methods: u64 = read(context)?;
        if methods == 0 || read(methods) != Some(interface) {
            return None;
        }
        context = read(context + HELD)?;
        key(task, thread, CONTEXT, context);
        if let Some(request) = CONTEXTS.get_ptr_mut(&thread.key) {
            return Value::new(request);
        }
    }
    None
}

#[inline(never)]
fn passes(task: Task, thread: &mut Thread, unit: u64, request: &Tag, cookie: u64) -> Option<()> {
    let room = (&raw mut thread.record).cast::<Passed>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let passed = unsafe { &mut *room };
    passed.header = emit::header::<Passed>(kind::PASSED);
    passed.tgid = task.tgid();
    passed.lossy = emit::epoch(task.tgid());
    passed.start = task.process_start();
    passed.unit = unit;
    passed.request = *request;
    passed.called = cookie;
    let cancelled = read(thread.key.address + ERR).is_some_and(|error: u64| error != 0);
    passed.cancelled = u64::from(cancelled);
    if !emit::record::<Passed>(u64::from(task.tgid()), passed) {
        emit::lossy(task.tgid());
    }
    Some(())
}

const _: () = assert!(size_of::<Passed>() <= size_of::<Took>() && align_of::<Passed>() <= align_of::<Took>());
