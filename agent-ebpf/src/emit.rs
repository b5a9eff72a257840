//! Records into the rings, and what is counted when one does not fit.
//!
//! Functions with a C signature take and return numbers alone. They are global to the verifier, which checks each of them
//! once, whatever its callers know, instead of anew on every path that leads to a call.

use core::ffi::c_void;
use core::hint::black_box;

use agent_ebpf::wire::config::{CountKey, CountValue, Process};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Actor, Count, Data, End, Header, Open, direction, kind};
use aya_ebpf::bindings::{BPF_ANY, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_output, bpf_ringbuf_query};

use aya_log_ebpf::warn;

use crate::kernel::task::Task;
use crate::maps::{
    CAPTURE_BYTES_MAX, CONTROL, COUNTS, Connection, LOSSES, PROCESSES, RING_0, RING_1, RING_2, RING_3, SCRATCH,
    Scratch, Thread, Value, setting,
};

/// Length of a budget window.
const WINDOW_NS: u64 = 100_000_000;

/// Data records for each that looks whether the reader must hurry. What so many add to a ring is little: 64 KiB.
const DATA_PER_LOOK: u64 = 8;

/// A reader that was woken has this long until data records of the same CPU wake it again: it goes on until the rings are
/// empty. A wake-up is an interrupt that a CPU sends to itself, which costs some microseconds on a virtual machine.
const HURRY_NS: u64 = 1_000_000;

/// A reader that found news looks again within this, so what follows so soon wakes it no more (agent/src/pipeline/pause.rs).
const NEWS_NS: u64 = 60_000_000;

/// The time records carry.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// A record's header.
#[inline(always)]
pub fn header<T>(kind: u16) -> Header {
    Header { kind, pad: 0, size: size_of::<T>() as u32, time: now() }
}

/// Counts a loss.
#[inline(always)]
pub fn count(reason: u16) {
    count_loss(u64::from(reason));
}

/// Counts a loss of a process, and logs the first of its kind on each CPU.
#[inline(always)]
pub fn count_aloud(reason: u16, tgid: u32) {
    if count_loss(u64::from(reason)) == 1 {
        log_loss(u64::from(reason), u64::from(tgid));
    }
}

/// Counts a loss, and says how many of its kind there were on this CPU.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn count_loss(reason: u64) -> u64 {
    let Some(mut counter) = LOSSES.get_ptr_mut(reason as u32).and_then(Value::<u64>::new) else {
        return 0;
    };
    *counter += 1;
    *counter
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn log_loss(reason: u64, tgid: u64) -> u64 {
    if reason == u64::from(loss::TASK_STORAGE) {
        warn!(NoContext, "no task storage: threads of process {} carry no tags", tgid);
    } else {
        warn!(NoContext, "no socket storage: connections of process {} are not traced", tgid);
    }
    0
}

/// The logger asks for a context and does not use it.
struct NoContext;

/// Raises the lossy epoch of a process: nothing its threads carry is exact any more.
#[inline(always)]
pub fn lossy(tgid: u32) {
    raise_epoch(u64::from(tgid));
}

/// The lossy epoch of a process.
#[inline(always)]
pub fn epoch(tgid: u32) -> u32 {
    PROCESSES.get_ptr_mut(tgid).and_then(Value::<Process>::new).map_or(0, |process| process.lossy)
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn raise_epoch(tgid: u64) -> u64 {
    let tgid = tgid as u32;
    if let Some(mut process) = PROCESSES.get_ptr_mut(tgid).and_then(Value::new) {
        process.lossy += 1;
    } else {
        let process = Process { trace: 0, lossy: 1, window: 0, window_bytes: 0 };
        if PROCESSES.insert(tgid, process, u64::from(BPF_ANY)).is_err() {
            count(loss::PROCESSES_FULL);
        }
    }
    // A plain increment may be lost to another CPU's, but never both: the generation changes, which is all it is for.
    if let Some(mut control) = CONTROL.get_ptr_mut(0).and_then(Value::new) {
        control.generation += 1;
    }
    0
}

/// Writes who acts, and raises the thread's sequence number.
#[inline(always)]
pub fn actor(target: &mut Actor, task: Task, thread: &mut Thread) {
    thread.seq += 1;
    target.tgid = task.tgid();
    target.tid = task.tid();
    target.start = task.process_start();
    target.seq = thread.seq;
    target.lossy = thread.lossy;
    target.turn = thread.turn;
    target.own = thread.own;
    target.birth = thread.birth;
    target.ancestor = thread.ancestor;
}

/// Sends a record that stands on the stack.
#[inline(always)]
pub fn record<T>(shard: u64, value: &T) -> bool {
    output(shard, core::ptr::from_ref(value).cast(), size_of::<T>() as u64)
}

/// Sends a record that user space acts on, as a process's probes have to stand before it serves: it wakes the reader, who may
/// sleep for long where little is told.
#[inline(always)]
pub fn news<T>(shard: u64, value: &T) -> bool {
    let ring = ring(shard);
    let hurry = is_news() || is_filling(ring);
    into_ring(ring, core::ptr::from_ref(value).cast(), size_of::<T>() as u64, hurry)
}

/// True if nothing was for a while that user space acts on. Two at the same time may both find so.
#[inline(always)]
fn is_news() -> bool {
    let Some(mut control) = CONTROL.get_ptr_mut(0).and_then(Value::new) else { return true };
    let time = now();
    let quiet = time.wrapping_sub(control.news) >= NEWS_NS;
    control.news = time;
    quiet
}

/// Sends the open record in the scratch buffer, which is news if its thread told of nothing before. 1 if it found room.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_open(shard: u64) -> u64 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new) else { return 0 };
    let open = &scratch.open;
    u64::from(if open.actor.seq == 1 { news::<Open>(shard, open) } else { record::<Open>(shard, open) })
}

/// Sends the data record in the scratch buffer with its captured bytes. 1 if it found room.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_data(shard: u64) -> u64 {
    let Some(mut scratch) = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new) else { return 0 };
    let captured = black_box(u64::from(scratch.data.captured)) & (2 * CAPTURE_BYTES_MAX as u64 - 1);
    // The ring's fill level need not be looked at for each of many records: the low bits of their times pick some.
    let (ring, time) = (ring(shard), scratch.data.header.time);
    let look = time % DATA_PER_LOOK == 0 && time.wrapping_sub(scratch.hurried) >= HURRY_NS;
    let hurry = look && is_filling(ring);
    if hurry {
        scratch.hurried = time;
    }
    u64::from(into_ring(ring, (&raw const scratch.data).cast(), size_of::<Data>() as u64 + captured, hurry))
}

/// Sends a record that is not frequent, and wakes the reader if it must hurry.
#[inline(never)]
fn output(shard: u64, data: *const c_void, size: u64) -> bool {
    let ring = ring(shard);
    into_ring(ring, data, size, is_filling(ring))
}

/// Sends a record.
#[inline(always)]
fn into_ring(ring: *mut c_void, data: *const c_void, size: u64, hurry: bool) -> bool {
    // The reader polls; it is woken only when it must hurry, since a wake-up costs the traced application more than
    // the record itself.
    let flags = if hurry { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    // SAFETY: `ring` is a ring buffer and `data` holds `size` bytes; the verifier checks both.
    let result = unsafe { bpf_ringbuf_output(ring, data.cast_mut(), size, u64::from(flags)) };
    if result != 0 {
        count(loss::RING_FULL);
    }
    result == 0
}

/// What becomes of a turn.
pub mod admission {
    /// It is told.
    pub const TOLD: u64 = 0;
    /// It is shed, and one record says so.
    pub const SHED: u64 = 1;
    /// It is shed in silence: the ring has no room for its record either.
    pub const SILENT: u64 = 2;
}

/// Admits a turn, unless its ring is more than half full and its process has used up its share of the current window.
/// The share shrinks with the room that is left, so that a flood throttles itself before the ring is full, and a process
/// that sends little is told to the last. The answer is one of [`admission`].
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn admit(shard: u64, tgid: u64, bytes: u64) -> u64 {
    let tgid = tgid as u32;
    let filled = fill(ring(shard));
    let size = u64::from(setting!(ring_bytes));
    if filled < size / 4 {
        return admission::TOLD;
    }
    let time = now();
    let Some(mut process) = PROCESSES.get_ptr_mut(tgid).and_then(Value::new) else {
        let process = Process { trace: 0, lossy: 0, window: time, window_bytes: bytes };
        if PROCESSES.insert(tgid, process, u64::from(BPF_ANY)).is_err() {
            count(loss::PROCESSES_FULL);
        }
        return admission::TOLD;
    };
    if time - process.window > WINDOW_NS {
        process.window = time;
        process.window_bytes = 0;
    }
    let room = size.saturating_sub(filled);
    // A ring has at most 1 GiB, so the product fits; a divisor that may be 0 would compile to a panic.
    let share = u64::from(setting!(process_budget_bytes)) * room / (size / 2).max(1);
    if filled <= size / 2 || process.window_bytes <= share {
        process.window_bytes += bytes;
        return admission::TOLD;
    }
    if filled > size / 4 * 3 { admission::SILENT } else { admission::SHED }
}

/// True if the reader must hurry.
#[inline(always)]
fn is_filling(ring: *mut c_void) -> bool {
    fill(ring) > u64::from(setting!(ring_bytes)) / 4
}

#[inline(always)]
fn fill(ring: *mut c_void) -> u64 {
    // SAFETY: `ring` is a ring buffer.
    unsafe { bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) }
}

#[inline(always)]
fn ring(shard: u64) -> *mut c_void {
    match shard & u64::from(setting!(ring_mask)) {
        0 => (&raw const RING_0).cast_mut().cast(),
        1 => (&raw const RING_1).cast_mut().cast(),
        2 => (&raw const RING_2).cast_mut().cast(),
        _ => (&raw const RING_3).cast_mut().cast(),
    }
}

/// Tells that a direction or all of a connection is over, once.
#[inline(always)]
pub fn ended(connection: &mut Connection, what: u32, errno: u32) -> Option<()> {
    let bit = 1_u8 << what;
    if connection.announced == 0 || connection.ended & bit != 0 {
        return None;
    }
    counts(connection);
    let header = header::<End>(kind::END);
    if record(connection.cookie, &End { header, cookie: connection.cookie, what, errno }) {
        connection.ended |= bit;
    }
    Some(())
}

/// Sends what was noted of both directions of a connection before anything later is told: the order of a thread's acts,
/// and of a connection's turns, is evidence.
#[inline(always)]
pub fn counts(connection: &mut Connection) {
    if connection.counting[0] != 0 {
        connection.counting[0] = 0;
        send_count(connection.cookie, u64::from(direction::SEND));
    }
    if connection.counting[1] != 0 {
        connection.counting[1] = 0;
        send_count(connection.cookie, u64::from(direction::RECV));
    }
}

/// Sends what was noted of one direction, if anything still is. 1 if so.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_count(cookie: u64, direction: u64) -> u64 {
    let key = CountKey { cookie, direction };
    let Some(value) = COUNTS.get_ptr_mut(key).and_then(Value::<CountValue>::new) else {
        return 0;
    };
    let mut header = header::<Count>(kind::COUNT);
    header.time = value.time;
    let sent = record(cookie, &Count { header, cookie, end: value.end, direction });
    if sent {
        // Swept by user space a moment ago: nothing to delete is no error.
        let _ = COUNTS.remove(key);
    }
    u64::from(sent)
}

/// Notes how far a direction came beyond its head; 0 if there is no room to note it.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn note_count(cookie: u64, direction: u64, end: u64) -> u64 {
    let key = CountKey { cookie, direction };
    if let Some(mut value) = COUNTS.get_ptr_mut(key).and_then(Value::<CountValue>::new) {
        value.time = now();
        value.end = end;
        return 1;
    }
    let noted = COUNTS.insert(key, CountValue { end, time: now() }, u64::from(BPF_ANY)).is_ok();
    if !noted {
        count(loss::COUNTS_FULL);
    } else if let Some(mut control) = CONTROL.get_ptr_mut(0).and_then(Value::new) {
        // As with the generation: of two at the same time one may be lost.
        control.counted += 1;
    }
    u64::from(noted)
}
