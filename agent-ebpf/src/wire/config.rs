//! What the user half tells the kernel half: read-only globals fixed at load, and the values of the shared maps.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Declares [`Offsets`] and the table of kernel members it is filled from, so that the two cannot disagree.
macro_rules! offsets {
    ($($(#[doc = $doc:literal])* $field:ident: $structure:literal . $member:literal;)+) => {
        /// Byte offsets of kernel structure members, resolved from the running kernel's BTF.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct Offsets {
            $($(#[doc = $doc])* #[doc = concat!("`", $structure, ".", $member, "`")] pub $field: u32,)+
        }

        /// Structure and member path of every field of [`Offsets`], in its order. A dot in a path enters an
        /// embedded structure.
        pub const MEMBERS: &[(&str, &str)] = &[$(($structure, $member),)+];
    };
}

offsets! {
    task_comm: "task_struct"."comm";
    task_files: "task_struct"."files";
    task_flags: "task_struct"."flags";
    task_group_leader: "task_struct"."group_leader";
    task_pid: "task_struct"."pid";
    task_signal: "task_struct"."signal";
    task_start: "task_struct"."start_boottime";
    /// x86: bit 1 (`TS_COMPAT`) is set in a 32-bit system call.
    task_status: "task_struct"."thread_info.status";
    task_tgid: "task_struct"."tgid";
    /// x86-64: what user space has in `fs`, the thread pointer.
    task_thread_pointer: "task_struct"."thread.fsbase";
    signal_flags: "signal_struct"."flags";
    signal_live: "signal_struct"."live";
    files_table: "files_struct"."fdt";
    table_files: "fdtable"."fd";
    table_max: "fdtable"."max_fds";
    file_flags: "file"."f_flags";
    file_inode: "file"."f_inode";
    file_private: "file"."private_data";
    inode_mode: "inode"."i_mode";
    inode_number: "inode"."i_ino";
    sock_cookie: "sock"."__sk_common.skc_cookie";
    sock_daddr: "sock"."__sk_common.skc_daddr";
    sock_dport: "sock"."__sk_common.skc_dport";
    /// A positive errno, while a call has yet to fail with it.
    sock_error: "sock"."sk_err";
    sock_family: "sock"."__sk_common.skc_family";
    sock_flags: "sock"."__sk_common.skc_flags";
    sock_net: "sock"."__sk_common.skc_net";
    sock_num: "sock"."__sk_common.skc_num";
    sock_rcv_saddr: "sock"."__sk_common.skc_rcv_saddr";
    sock_v6_daddr: "sock"."__sk_common.skc_v6_daddr";
    sock_v6_rcv_saddr: "sock"."__sk_common.skc_v6_rcv_saddr";
    sock_protocol: "sock"."sk_protocol";
    sock_shutdown: "sock"."sk_shutdown";
    sock_socket: "sock"."sk_socket";
    socket_file: "socket"."file";
    socket_sock: "socket"."sk";
    socket_inode: "socket_alloc"."vfs_inode.i_ino";
    sock_type: "sock"."sk_type";
    net_inum: "net"."ns.inum";
    tcp_bytes_acked: "tcp_sock"."bytes_acked";
    tcp_bytes_received: "tcp_sock"."bytes_received";
    tcp_copied_seq: "tcp_sock"."copied_seq";
    tcp_rcv_nxt: "tcp_sock"."rcv_nxt";
    tcp_snd_una: "tcp_sock"."snd_una";
    tcp_write_seq: "tcp_sock"."write_seq";
    unix_addr: "unix_sock"."addr";
    unix_peer: "unix_sock"."peer";
    unix_address_len: "unix_address"."len";
    unix_address_name: "unix_address"."name";
}

/// Settings fixed when the programs are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Settings {
    /// [`super::ABI_VERSION`] of the user half.
    pub abi: u32,
    /// Number of data rings in use less one: a power of two less one.
    pub ring_mask: u32,
    /// Process id of the agent, whose own traffic is never copied.
    pub agent_tgid: u32,
    /// 1 if processes without an entry in the process map are traced.
    pub trace_by_default: u32,
    /// Bytes of one data ring.
    pub ring_bytes: u32,
    /// Captured bytes of a request turn.
    pub request_head_bytes: u32,
    /// Captured bytes of a response turn.
    pub response_head_bytes: u32,
    /// Bytes a process may put into the rings in 100 ms before its new turns are shed when a ring is half full; less
    /// as the ring fills further.
    pub process_budget_bytes: u32,
}

/// Value of the control map: what changes while the agent runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Control {
    /// Raised with every change of a process policy; threads cache the policy under it.
    pub generation: u32,
    /// Zero.
    pub pad: u32,
    /// Boot time in ns when something was last told of that user space is to look at soon.
    pub news: u64,
    /// Raised with each entry that the map of counted bytes gets.
    pub counted: u64,
}

/// Value of the process map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Process {
    /// A value of [`trace`].
    pub trace: u32,
    /// The process's lossy epoch.
    pub lossy: u32,
    /// Start of the current budget window, boot time in ns.
    pub window: u64,
    /// Bytes put into the rings in this window.
    pub window_bytes: u64,
}

/// Values of [`Process::trace`].
pub mod trace {
    /// As [`super::Settings::trace_by_default`] says.
    pub const DEFAULT: u32 = 0;
    /// Traced, and its children too.
    pub const YES: u32 = 1;
    /// Not traced, nor are its children.
    pub const NO: u32 = 2;
}

/// Values of the policy map: what is copied of a connection.
pub mod capture {
    /// The head of every turn; also the policy of a connection without an entry.
    pub const HEAD: u32 = 0;
    /// Nothing: the connection speaks no protocol we read.
    pub const NONE: u32 = 1;
    /// Every byte, up to 8 KiB a call (small control connections).
    pub const FULL: u32 = 2;
    /// As [`HEAD`], and the socket's process sends the requests.
    pub const HEAD_CLIENT: u32 = 3;
    /// As [`HEAD`], and the socket's process receives the requests.
    pub const HEAD_SERVER: u32 = 4;
}

/// Key of the listener map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ListenerKey {
    /// `net.ns.inum`.
    pub netns: u32,
    /// Port, host byte order.
    pub port: u32,
}

/// Key of the map of counted bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CountKey {
    /// Socket cookie.
    pub cookie: u64,
    /// A value of [`super::record::direction`].
    pub direction: u64,
}

/// Value of the map of counted bytes: how far a direction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CountValue {
    /// Raw offset behind the last byte moved.
    pub end: u64,
    /// When it moved.
    pub time: u64,
}

/// Value of the map of Python processes: where CPython keeps what runs on each thread. Offsets are those of its structures
/// (Include/internal/pycore_runtime.h, pycore_interp.h; Include/cpython/pystate.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Python {
    /// Address of `_PyRuntime` in the process.
    pub runtime: u64,
    /// `_PyRuntimeState.interpreters.head`.
    pub interpreters_head: u32,
    /// `PyInterpreterState.threads.head`.
    pub threads_head: u32,
    /// `PyThreadState.next`.
    pub thread_next: u32,
    /// `PyThreadState.thread_id`: the thread pointer (`pthread_self`).
    pub thread_id: u32,
    /// `PyThreadState.context`.
    pub thread_context: u32,
    /// Where a thread's frame is told: in `PyThreadState`.
    pub thread_frame: u32,
    /// Where it is told in what that leads to (`_PyCFrame`); [`Python::DIRECT`] if that is the frame.
    pub frame_within: u32,
    /// A frame's code.
    pub frame_code: u32,
    /// `PyCodeObject.co_name`.
    pub code_name: u32,
    /// Where the characters of a string begin that has none but ASCII.
    pub name_text: u32,
    /// Address of `None`.
    pub none: u64,
    /// Where a thread's table of variables tells of those of greenlet; 0 if there is no greenlet.
    pub greenlet_slot: u32,
    /// Which of these leads to the thread's greenlets.
    pub greenlet_variable: u32,
    /// Address of `PyGreenlet_Type`.
    pub greenlet_class: u64,
    /// `simplequeueobject.lst` (Modules/_queuemodule.c), which `lst_pos` follows; 0 where items are not in a list.
    pub simple_list: u32,
    /// 1 if its pipes are watched.
    pub pipes: u32,
    /// Where `struct pt_regs` has the register that holds what was just taken from a `SimpleQueue`.
    pub taken_item: u32,
    /// Likewise the queue; the same number where neither is known.
    pub taken_queue: u32,
}

impl Python {
    /// [`Self::frame_within`] where the thread's state leads to the frame itself.
    pub const DIRECT: u32 = u32::MAX;
}

/// Value of the map of watches: whether probes that are passed often see anything in a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Watch {
    /// How often they were hit before there was a verdict.
    pub hits: u64,
    /// 1 if something was seen while nothing is noted.
    pub unnoted: u64,
    /// Since when all that is handed over is noted, while it is: nanoseconds since boot.
    pub since: u64,
    /// 1 while it is not known how it would show that something is handed over unseen, where that is to be known before nothing is
    /// noted any more.
    pub hidden: u64,
    /// Units that were made before this time (`CLOCK_BOOTTIME`) may have taken something that was not noted; 0 if none has.
    pub unsure_until: u64,
    /// What stands in a Python process's memory for as long as nothing was taken from a queue; places are 0 while that is not known.
    pub unused: [Word; 2],
}

/// A word of a process's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Word {
    /// Its address.
    pub place: u64,
    /// What it is.
    pub value: u64,
}

/// Value of the map of Go processes: where Go keeps what runs on each thread. Offsets are those of its structures
/// (runtime/runtime2.go; net/http/transport.go).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Go {
    /// `g.m`: the thread that runs a goroutine.
    pub g_m: u32,
    /// `m.curg`: the goroutine that a thread runs.
    pub m_curg: u32,
    /// `g.goid`: its number, never used again in its process.
    pub g_goid: u32,
    /// `persistConn.conn`, its second word: the connection that requests are sent over; 0 if unknown.
    pub connection: u32,
    /// `g.startpc`: where its first function begins; 0 if there are no coroutines.
    pub g_start: u32,
    /// How far below `g.stack.hi` a coroutine keeps what it shares with the goroutine that resumed it (`coro`).
    pub coroutine_below: u32,
    /// `g.sched.ctxt`: the function value that a goroutine will run which has not yet.
    pub g_function: u32,
    /// Where what stands for a timer in package `time` leads to the function that it calls (`timer.arg`, its second word); 0 if
    /// timers are not watched.
    pub timer_function: u32,
    /// `g.sched.bp`: the frame that it goes on in.
    pub g_frame: u32,
    /// `hchan.elemtype`: the type of what is in a channel.
    pub channel_type: u32,
    /// `net/http.Request.ctx`, an interface's value; 0 if contexts are not watched.
    pub request_context: u32,
    /// Zero.
    pub pad: u32,
    /// Address of `runtime.corostart`, which coroutines begin with; 0 if there are none.
    pub coroutine: u64,
    /// Where the code of the runtime's channels begins and ends, of all that is between a goroutine's own code and these probes.
    pub runtime: [u64; 2],
    /// Where net/http's code begins and ends: what that hands to itself says nothing.
    pub http: [u64; 2],
    /// Where the code of contexts begins and ends, which closes channels to cancel.
    pub cancels: [u64; 2],
    /// The same of what makes contexts that end by a timer.
    pub deadlines: [u64; 2],
    /// The same of golang.org/x/sync/semaphore, which closes them to hand on a permit.
    pub permits: [u64; 2],
}

/// Key of the map of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UnitKey {
    /// Process id.
    pub tgid: u32,
    /// What the address is of: 0 for a unit, 1 for an item, 2 for a timer's function, 3 for a channel's slot, 4 for a context.
    pub pad: u32,
    /// `start_boottime` of the group leader: process ids are used again.
    pub start: u64,
    /// Address of what stands for the unit in the process (a `PyContext`), or its number (a goroutine); or of an item.
    pub address: u64,
}

/// Value of the map of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UnitState {
    /// The unit as records tell it. Its number is [`UnitState::FREED`] where nothing is at its address any more.
    pub unit: super::record::Unit,
    /// 1 if user space was told of it.
    pub told: u32,
    /// 1 if it took something from a queue.
    pub takes: u32,
    /// 1 if it was not seen to be created: it may be what a thread began with.
    pub first: u64,
    /// [`UnitKey::address`].
    pub address: u64,
    /// The channel that it last took something from which is none of its work.
    pub lent: u64,
    /// Socket that it called over last; 0 if there is none, or it is not known.
    pub called: u64,
    /// When; of a freed one, when it was freed: nanoseconds since boot.
    pub asked: u64,
    /// How many it answered since, as [`super::record::Answered`] tells.
    pub answers: u64,
}

impl UnitState {
    /// The number of no unit: what stood for the one in this place was freed, and the next of this address takes its place.
    pub const FREED: u64 = 0;
}

/// Value of the map of items: what was put into a queue and not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Item {
    /// Address of the queue.
    pub queue: u64,
    /// When it was put there.
    pub put: u64,
    /// The unit that put it there; 0 if several did, or with another claim.
    pub putter: u64,
    /// What that unit worked for.
    pub claim: super::record::Claim,
    /// How often it is in queues.
    pub count: u64,
}

/// Value of the map of takes: what a unit took last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TakesState {
    /// As records tell it.
    pub takes: super::record::Takes,
    /// 0 if the unit has acted since it took something; else 1, and how many things it was told that it gathered since.
    pub idle: u64,
    /// How often it gathered things.
    pub batches: u64,
    /// Who wrote what it read last from a pipe.
    pub writer: super::record::Writer,
    /// Under which number it is kept how that begins; 0 if it is not.
    pub job: u64,
    /// Where the unit waits for its work, if that is known: how deep in its stack, and what is gone on with there.
    pub depth: u64,
    /// The second of them.
    pub back: u64,
}

/// Bytes of a message that it is known by.
pub const MESSAGE_HEAD_BYTES: usize = 64;

/// Key of the map of messages: what one is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MessageKey {
    /// Inode of the pipe.
    pub pipe: u64,
    /// Its length.
    pub length: u64,
    /// Its first bytes; zeros behind it.
    pub head: [u64; MESSAGE_HEAD_BYTES / 8],
}

/// Value of the map of messages: what was written to a pipe and not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Message {
    /// The message as an item: its queue is the pipe.
    pub item: Item,
    /// Who wrote it.
    pub writer: super::record::Writer,
}

const _: () = {
    assert!(size_of::<Python>() == 88);
    assert!(size_of::<Watch>() == 72);
    assert!(size_of::<Go>() == 136);
    assert!(size_of::<UnitKey>() == 24);
    assert!(size_of::<UnitState>() == 120);
    assert!(size_of::<Item>() == 72);
    assert!(size_of::<TakesState>() == 216);
    assert!(size_of::<MessageKey>() == 80);
    assert!(size_of::<Message>() == 104);
    assert!(size_of::<Offsets>() == MEMBERS.len() * 4);
    assert!(size_of::<Settings>() == 32);
    assert!(size_of::<Process>() == 24);
    assert!(size_of::<CountKey>() == 16);
    assert!(size_of::<CountValue>() == 16);
};
