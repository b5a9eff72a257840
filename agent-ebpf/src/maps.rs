//! Every map: who writes, who reads, who deletes, and why this size.

use core::ffi::c_void;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use agent_ebpf::rules::policy;
use agent_ebpf::wire::config::{
    Control, CountKey, CountValue, Go, Item, ListenerKey, Message, MessageKey, Offsets, Process, Python, Settings,
    TakesState, UnitKey, UnitState, Watch,
};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Data, Job, Open, Tag, Took};
use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, bpf_map_type};
use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf, SkStorage};
use aya_ebpf::macros::btf_map;

/// Captured bytes of one record at most.
pub const CAPTURE_BYTES_MAX: usize = 8192;

/// Offsets of kernel members. Written by the loader, then frozen: the verifier sees constants.
#[unsafe(no_mangle)]
pub static OFFSETS: Global<Offsets> = Global::new(ZERO_OFFSETS);

/// Settings fixed at load, likewise.
#[unsafe(no_mangle)]
pub static SETTINGS_16: Global<Settings> = Global::new(ZERO_SETTINGS);

const ZERO_OFFSETS: Offsets = zerocopy::transmute!([0_u32; size_of::<Offsets>() / 4]);
const ZERO_SETTINGS: Settings = zerocopy::transmute!([0_u32; size_of::<Settings>() / 4]);

/// Records on their way to user space: written by the probes, read and released by the ring stage. A connection keeps
/// to one ring, so its records stay in order. The user half sets the size; these are placeholders.
#[btf_map]
pub static RING_0: RingBuf<[u8; 0], 4096> = RingBuf::new();
#[btf_map]
pub static RING_1: RingBuf<[u8; 0], 4096> = RingBuf::new();
#[btf_map]
pub static RING_2: RingBuf<[u8; 0], 4096> = RingBuf::new();
#[btf_map]
pub static RING_3: RingBuf<[u8; 0], 4096> = RingBuf::new();

/// Connections: written and read by the payload and state probes; the kernel deletes with the socket.
#[btf_map]
pub static CONNECTIONS: SkStorage<Connection> = SkStorage::new();

/// Threads: written and read by the payload and process probes; the kernel deletes with the task.
#[btf_map]
pub static THREADS: TaskStorage<Thread> = TaskStorage::new();

/// Process policies and budgets: policies are written by user space, inherited by the fork probe; budgets are written
/// by the payload probes; the exit probe deletes with the last thread. 16,384 traced processes a host.
#[btf_map]
pub static PROCESSES: HashMap<u32, Process, 16384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Capture policies by socket cookie, as [`policy`] says: written by user space, read by the payload probes at each
/// turn's start, never deleted, since cookies are not used again.
#[btf_map]
pub static POLICIES: Array<u64, { policy::WORDS }> = Array::new();

/// Ports listened on when the agent started: written by user space before the payload probes attach, read at the first
/// sight of a connection older than the agent, never deleted.
#[btf_map]
pub static LISTENERS: HashMap<ListenerKey, u32, 8192, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Inodes of the unix sockets that were connected when the agent started: written by user space before the payload probes
/// attach, read and deleted at the first sight of a socket.
#[btf_map]
pub static OLD_SOCKETS: HashMap<u64, u32, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// How far directions came beyond their captured heads: written by the payload probes, which also delete when they send
/// the record (the thread turns to another connection, or the connection turns round); swept by user space for
/// what stays. 16,384 directions that move bodies at once; where it is full, a record is sent instead.
#[btf_map]
pub static COUNTS: HashMap<CountKey, CountValue, 16384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Where Python keeps what runs on each thread: written by user space, inherited by the fork probe, read by the payload and
/// Python probes; the exec and exit probes delete. 4,096 Python processes a host.
#[btf_map]
pub static PYTHONS: HashMap<u32, Python, 4096, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Whether probes that are passed often see anything in a process that serves: written by user space before these are attached,
/// and by them; the exec and exit probes delete. Of as many processes as there may be of both runtimes.
#[btf_map]
pub static WATCHES: HashMap<u32, Watch, 8192, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What came of it, likewise; the probes insert and never replace, user space replaces.
#[btf_map]
pub static VERDICTS: HashMap<u32, u32, 8192, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Where Go keeps what runs on each thread: written, inherited, read and deleted as [`PYTHONS`] is. 4,096 Go processes a host.
#[btf_map]
pub static GOS: HashMap<u32, Go, 4096, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Units that a connection sends for, by socket cookie: written where a runtime hands a request to the connection's own unit,
/// read by the payload probes, never deleted, since cookies are not used again: the least used make room for new ones. Of
/// 16,384 connections that call.
#[btf_map]
pub static SENDS_FOR: LruHashMap<u64, UnitState, 16384> = LruHashMap::new();

/// Units of runtimes: written by the runtimes' probes and, at their first sight, by the payload probes; deleted by the
/// runtimes' probes when a unit ends whose number no other gets, and by user space when its process has ended, or keeps many
/// places of units that were freed. 65,536 units a host.
#[btf_map]
pub static UNITS: HashMap<UnitKey, UnitState, 65536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Items in queues of runtimes: written by the probes that see them put, deleted by those that see them taken, and by user
/// space when their process has ended. 32,768 items a host.
#[btf_map]
pub static ITEMS: HashMap<UnitKey, Item, 32768, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What units took from queues: written by the probes that see items taken, deleted with the unit. 16,384 workers a host;
/// what threads took is kept beside them.
#[btf_map]
pub static TAKES: HashMap<UnitKey, TakesState, 16384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Processes that hold more than their share of units or items, which get no new ones: written and deleted by user space, read
/// by the runtimes' probes. As many as can hold a share.
#[btf_map]
pub static OVER_SHARE: HashMap<u32, u32, 64, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Messages in pipes of runtimes: written by the probes that see them written, deleted by those that see them read. What is
/// read by nobody who is watched stays, so the least used make room for new ones: of 4,096, about twice what the pipes of 8
/// pools hold that are full of small messages. One that had to make room is read as nobody's.
#[btf_map]
pub static MESSAGES: LruHashMap<MessageKey, Message, 4096> = LruHashMap::new();

/// How jobs begin that were read from pipes, as they are told when their reader acts, by a number of their own: written and
/// read by the probes that see them read and the reader act. What its reader never acts on stays, so the least used make room
/// for new ones: of 1,024, as many as there may be processes at work in pools that name their jobs.
#[btf_map]
pub static JOBS: LruHashMap<u64, Job, 1024> = LruHashMap::new();

/// Contexts of requests that are served, as far as they are known by their addresses: written where one begins to be served, read
/// where one is given to a call, never deleted: the least used make room for new ones. Of 8,192 requests, far more than wait
/// for others at a time.
#[btf_map]
pub static CONTEXTS: LruHashMap<UnitKey, Tag, 8192> = LruHashMap::new();

/// Losses by reason: written by the probes, read by user space.
#[btf_map]
pub static LOSSES: PerCpuArray<u64, { loss::COUNT }> = PerCpuArray::new();

/// What changes while the agent runs: written by user space (and the generation by [`crate::emit::lossy`]).
#[btf_map]
pub static CONTROL: Array<Control, 1> = Array::new();

/// Where records are built: too large for the 512-byte stack.
#[btf_map]
pub static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// One CPU's room to build a record in.
#[repr(C)]
pub struct Scratch {
    /// 1 while a probe builds a record here: a preempting probe must not write.
    pub busy: u64,
    /// Address of the file of the socket that is acted on.
    pub file: u64,
    /// When a data record of this CPU last woke the reader.
    pub hurried: u64,
    /// A connection's first sight.
    pub open: Open,
    /// A data record; `bytes` must follow it without a gap.
    pub data: Data,
    /// Twice the capture limit, since the verifier bounds offset and length apart.
    pub bytes: [u8; CAPTURE_BYTES_MAX * 2],
}

/// What a connection is, kept beside its socket. What every turn needs comes first.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Connection {
    /// Socket cookie; 0 until the payload probes saw the socket.
    pub cookie: u64,
    /// Raw offset of the current turn's first byte: sent, received.
    pub turn_start: [u64; 2],
    /// Number of turns: sent, received.
    pub turns: [u32; 2],
    /// Bases read at establishment: of bytes sent, of bytes received.
    pub bases: [u32; 2],
    /// Capture policy, read at the turn's start.
    pub policy: u32,
    /// 1 while the map of counted bytes may hold the direction: sent, received.
    pub counting: [u8; 2],
    /// A value of [`agent_ebpf::wire::record::opened`].
    pub opened: u8,
    /// The bases were read at establishment.
    pub bases_known: u8,
    /// The open record was sent.
    pub announced: u8,
    /// Direction of the last bytes plus one, 0 before any.
    pub last: u8,
    /// The current exchange is shed: 1 with a record that says so, 2 in silence.
    pub shed: u8,
    /// The end was told: a FIN was sent, or an error or EOF seen (bits of `1 << end`).
    pub ended: u8,
    /// Bytes moved before the first sight.
    pub old: u8,
    /// Zero.
    pub pad: [u8; 3],
    /// Bytes moved so far on a unix socket: sent, received. TCP counts its own.
    pub moved: [u64; 2],
    /// `turn` of the thread that called `connect()`, then.
    pub connect_turn: Tag,
    /// Thread that called `connect()`.
    pub connect_tid: u32,
    /// 1 if that thread had received something unseen since its turn.
    pub connect_stale: u32,
}

/// What the turn of a TCP connection needs is on the cache line that the look-up has read already: the kernel puts eight
/// bytes of its own before the value, at the beginning of a line (`struct bpf_local_storage_elem`).
const _: () = assert!(core::mem::offset_of!(Connection, moved) == 56);

/// What a thread carries, kept beside its task.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Thread {
    /// The turn it last received bytes of, on whatever stream connection.
    pub turn: Tag,
    /// The turn it last received bytes of, on a connection it does not call over.
    pub own: Tag,
    /// `own` of its creator at its creation.
    pub birth: Tag,
    /// What its creator was born with.
    pub ancestor: Tag,
    /// Number of its last record.
    pub seq: u32,
    /// Generation under which `traced` and `lossy` were read, plus one.
    pub generation: u32,
    /// 1 if its process is traced.
    pub traced: u32,
    /// Its process's lossy epoch.
    pub lossy: u32,
    /// 1 if it received something unseen since `turn` was set.
    pub stale: u32,
    /// Direction it last noted in the map of counted bytes.
    pub counting_direction: u32,
    /// Socket it last noted there; 0 if nothing is pending.
    pub counting: u64,
    /// Where its runtime keeps what runs on it (a `PyThreadState`); 0 if unknown.
    pub state: u64,
    /// When that may be looked for again, after it was not found.
    pub look_again: u64,
    /// A value of [`crate::kernel::runtime::adapter`].
    pub adapted: u64,
    /// 1 if it was seen to run another greenlet than its first.
    pub greenlets: u64,
    /// Its number as a unit: what it does where no unit of its runtime runs; 0 until there is one.
    pub unit_id: u64,
    /// 1 if it took something from a queue where no unit of its runtime ran.
    pub took: u64,
    /// What that was.
    pub takes: TakesState,
    /// Where a goroutine takes something, likewise.
    pub frame: Frame,
    /// Room to build a unit's key in: probes of user space have neither stack nor a processor of their own.
    pub key: UnitKey,
    /// Room to build a unit in, likewise.
    pub unit: UnitState,
    /// Room to build an item, or what is taken of it, in, likewise.
    pub item: Item,
    /// The message that it is reading from a pipe.
    pub reading: Reading,
    /// The message that it is writing to one.
    pub writing: Reading,
    /// Under which number it is kept how the message begins that it read last; 0 if it is not.
    pub job: u64,
    /// Room to build a message's key in, likewise.
    pub message_key: MessageKey,
    /// Room to build a message in, likewise.
    pub message: Message,
    /// Room to build a record of a unit in, likewise: the largest of them.
    pub record: Took,
}

/// A message whose length was read, or written, by itself.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Reading {
    /// Inode of the pipe.
    pub pipe: u64,
    /// The message's length.
    pub length: u64,
    /// Bytes of it that are still to come.
    pub left: u64,
}

/// A frame of a goroutine's stack, as [`TakesState::depth`] and [`TakesState::back`] have it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Frame {
    /// Bytes below the stack's highest address.
    pub depth: u64,
    /// Address that it returns to.
    pub back: u64,
}

/// Task storage, which aya-ebpf does not define: the same layout as its other BTF maps.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are placeholders that only the loader reads, from the object's BTF.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The map as helpers take it.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// A map value. The kernel keeps the memory for as long as the program runs; other CPUs may write it at the same
/// time, so a value is only ever a hint that user space checks against offsets and sequence numbers.
pub struct Value<T>(NonNull<T>);

impl<T> Value<T> {
    /// Wraps what a look-up helper returned.
    #[inline(always)]
    pub fn new(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }
}

impl<T> Deref for Value<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: a look-up helper returned the pointer, so it points to a live value of the map's value type.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Value<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.0.as_mut() }
    }
}

/// Reads one field of a read-only global, without copying the rest to the stack.
macro_rules! field {
    ($global:path as $type:ty, $field:ident) => {{
        let pointer = (&raw const $global).cast::<$type>();
        // SAFETY: `Global` is transparent over its value, which is initialised; volatile, because the loader replaces it.
        unsafe { core::ptr::read_volatile(&raw const (*pointer).$field) }
    }};
}

/// The offset of a kernel member.
macro_rules! offset {
    ($field:ident) => {
        $crate::maps::field!($crate::maps::OFFSETS as agent_ebpf::wire::config::Offsets, $field)
    };
}

/// A setting.
macro_rules! setting {
    ($field:ident) => {
        $crate::maps::field!($crate::maps::SETTINGS_16 as agent_ebpf::wire::config::Settings, $field)
    };
}

pub(crate) use {field, offset, setting};
