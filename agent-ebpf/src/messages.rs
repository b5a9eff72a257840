//! Messages in pipes: what a process writes for another one carries what its writer works for, as an item of a queue does.
//!
//! A message is what `multiprocessing` sends: four bytes that tell its length, big-endian, and so many more
//! (Lib/multiprocessing/connection.py, `_send_bytes`). It is known by the pipe, its length and its first bytes, at both ends:
//! they hold a number that the writer counts up. A reader keeps what it read last as it keeps what it takes from a queue.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "keys and values are handed to the maps where they stand: a copy would be on the stack"
)]

use agent_ebpf::wire::config::{MESSAGE_HEAD_BYTES, Message, TakesState};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{JOB_BYTES, Job, Piped, Took, Writer, kind};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::kernel::python;
use crate::kernel::task::Task;
use crate::kernel::user::read as read_user;
use crate::maps::{JOBS, MESSAGES, Reading, Thread, Value};
use crate::units::{NO_CLAIM, next_id};
use crate::{emit, items};

/// Bytes that tell a message's length.
const LENGTH_BYTES: u64 = 4;
/// Beyond it, another form of the length follows.
const LENGTH_MAX: u64 = i32::MAX as u64;

/// Bytes are about to be written to a descriptor: a whole message, its length alone, or what follows that.
#[inline(never)]
pub fn written(fd: u64, buffer: u64, length: u64) -> Option<()> {
    let (task, pipe) = pipe(fd)?;
    let mut thread = task.thread()?;
    let told = told_length(buffer);
    if length == LENGTH_BYTES {
        thread.writing = Reading { pipe, length: told, left: told };
        return None;
    }
    if thread.writing.pipe == pipe && thread.writing.left != 0 {
        let (whole, left) = (thread.writing.length, thread.writing.left);
        thread.writing.left = left.saturating_sub(length);
        return if left == whole { put(task, &mut thread, pipe, buffer, whole) } else { None };
    }
    if length != told + LENGTH_BYTES {
        return None;
    }
    put(task, &mut thread, pipe, buffer + LENGTH_BYTES, told)
}

/// Bytes were read from a descriptor, of `wanted` ones.
#[inline(never)]
pub fn was_read(fd: u64, buffer: u64, wanted: u64, length: u64) -> Option<()> {
    let (task, pipe) = pipe(fd)?;
    let mut thread = task.thread()?;
    if thread.reading.pipe == pipe && thread.reading.left != 0 {
        let (whole, left) = (thread.reading.length, thread.reading.left);
        thread.reading.left = left.saturating_sub(length);
        return if left == whole { take(task, &mut thread, pipe, buffer, length) } else { None };
    }
    let told = told_length(buffer);
    if wanted == LENGTH_BYTES && length == LENGTH_BYTES && told != 0 && told <= LENGTH_MAX {
        thread.reading = Reading { pipe, length: told, left: told };
        return None;
    }
    // No message as they are known: what was read before is over, whoever that was for.
    if items::takes_from_it(task, &mut thread, pipe) {
        thread.job = 0;
        return take_unknown(task, &mut thread, pipe);
    }
    None
}

/// Tells who wrote what a unit read last, if it ever read from a pipe, and how that begins, if it may name what it is for.
#[inline(always)]
pub fn tell(task: Task, room: &mut Took, state: &TakesState, cookie: u64, unit: u64, seq: u64) {
    let writer = &state.writer;
    if writer.pipe == 0 {
        return;
    }
    if state.job != 0 {
        tell_job(state.job, cookie, unit, seq);
    }
    let room = (room as *mut Took).cast::<Piped>();
    // SAFETY: the record is smaller than the room, as asserted below, and no stricter aligned.
    let piped = unsafe { &mut *room };
    piped.header = emit::header::<Piped>(kind::PIPED);
    piped.tgid = task.tgid();
    piped.seq = seq as u32;
    piped.start = task.process_start();
    piped.unit = unit;
    piped.writer = *writer;
    emit::record::<Piped>(cookie, piped);
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn tell_job(number: u64, cookie: u64, unit: u64, seq: u64) -> u64 {
    let task = Task::current();
    let Some(mut job) = JOBS.get_ptr_mut(&number).and_then(Value::<Job>::new) else {
        emit::count(loss::JOBS_FULL);
        return 0;
    };
    job.header = emit::header::<Job>(kind::JOB);
    job.tgid = task.tgid();
    job.seq = seq as u32;
    job.start = task.process_start();
    job.unit = unit;
    u64::from(emit::record::<Job>(cookie, &job))
}

#[inline(always)]
fn put(task: Task, thread: &mut Thread, pipe: u64, buffer: u64, length: u64) -> Option<()> {
    items::put_by(task, thread, pipe);
    key(thread, pipe, buffer, length, length)?;
    let message = &mut thread.message;
    message.item = thread.item;
    message.item.queue = pipe;
    message.item.put = emit::now();
    message.item.count = 1;
    message.writer = here(task, pipe);
    if let Some(mut known) = MESSAGES.get_ptr_mut(&thread.message_key).and_then(Value::<Message>::new) {
        // The same bytes twice: for whom they are read is known only if both are the same.
        let same = known.writer.start == message.writer.start && items::is_same(&known.item, &message.item);
        if !same {
            known.item.putter = 0;
            known.item.claim = NO_CLAIM;
        }
        return None;
    }
    // The least used makes room.
    let _ = MESSAGES.insert(&thread.message_key, &thread.message, u64::from(BPF_ANY));
    Some(())
}

#[inline(always)]
fn take(task: Task, thread: &mut Thread, pipe: u64, buffer: u64, there: u64) -> Option<()> {
    let length = thread.reading.length;
    thread.job = keep_job(buffer, there);
    if key(thread, pipe, buffer, length, there).is_none() {
        return take_unknown(task, thread, pipe);
    }
    let Some(known) = MESSAGES.get_ptr_mut(&thread.message_key).and_then(Value::<Message>::new) else {
        return take_unknown(task, thread, pipe);
    };
    thread.message = *known;
    // Another reader of the same bytes may have been first.
    let _ = MESSAGES.remove(&thread.message_key);
    note(task, thread)
}

/// Keeps how a message begins that may name what it is for. Tells under which number; 0 if it is not kept.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn keep_job(buffer: u64, there: u64) -> u64 {
    // A shorter one names nothing: its request alone is longer.
    if there < JOB_BYTES as u64 {
        return 0;
    }
    let number = next_id();
    if JOBS.insert(&number, &NO_JOB, u64::from(BPF_ANY)).is_err() {
        emit::count(loss::JOBS_FULL);
        return 0;
    }
    let Some(mut job) = JOBS.get_ptr_mut(&number).and_then(Value::<Job>::new) else { return 0 };
    let room = job.head.as_mut_ptr();
    // SAFETY: the room has so many bytes, and the helper checks the source address itself.
    let result = unsafe { bpf_probe_read_user(room.cast(), JOB_BYTES as u32, buffer as *const _) };
    if result == 0 { number } else { 0 }
}

/// Of which nothing was read yet.
static NO_JOB: Job = zerocopy::transmute!([0_u64; size_of::<Job>() / 8]);

#[inline(always)]
fn take_unknown(task: Task, thread: &mut Thread, pipe: u64) -> Option<()> {
    thread.message.item.queue = pipe;
    thread.message.item.put = 0;
    thread.message.item.putter = 0;
    thread.message.item.claim = NO_CLAIM;
    thread.message.writer = here(task, pipe);
    note(task, thread)
}

/// Keeps what was read, which stands in the thread's storage.
#[inline(always)]
fn note(task: Task, thread: &mut Thread) -> Option<()> {
    thread.item = thread.message.item;
    thread.message.writer.read = emit::epoch(task.tgid());
    let mut takes = items::takes(task, thread)?;
    items::note(&mut takes, &thread.item);
    takes.writer = thread.message.writer;
    takes.job = thread.job;
    Some(())
}

/// The current process as one that writes.
#[inline(always)]
fn here(task: Task, pipe: u64) -> Writer {
    Writer { pipe, start: task.process_start(), tgid: task.tgid(), written: emit::epoch(task.tgid()), read: 0, pad: 0 }
}

/// The number of the pipe that a descriptor of a Python process leads to.
#[inline(always)]
fn pipe(fd: u64) -> Option<(Task, u64)> {
    let task = Task::current();
    python::none(task.tgid())?;
    Some((task, task.pipe_of(fd as u32)?))
}

#[inline(always)]
fn told_length(buffer: u64) -> u64 {
    u64::from(u32::from_be(read_user::<u32>(buffer).unwrap_or(0)))
}

/// Writes to the thread's storage what a message is known by; none if its first bytes are not there, or not all of them.
#[inline(always)]
fn key(thread: &mut Thread, pipe: u64, buffer: u64, length: u64, there: u64) -> Option<()> {
    let key = &mut thread.message_key;
    key.pipe = pipe;
    key.length = length;
    key.head = [0; MESSAGE_HEAD_BYTES / 8];
    let bytes = length.min(MESSAGE_HEAD_BYTES as u64);
    if bytes == 0 || there < bytes {
        return None;
    }
    let room = (&raw mut key.head).cast();
    // SAFETY: the room has so many bytes at least, as the verifier sees, and the helper checks the source address itself.
    let result = unsafe { bpf_probe_read_user(room, bytes as u32, buffer as *const _) };
    (result == 0).then_some(())
}

const _: () = assert!(size_of::<Piped>() <= size_of::<Took>() && align_of::<Piped>() <= align_of::<Took>());
