//! Payload in both directions.
//!
//! Hooks: `tp_btf/sock_send_length` and `tp_btf/sock_recv_length` (Linux >= 6.3), whose prototype is
//! `(struct sock *sk, int ret, int flags)` (include/trace/events/sock.h). They fire for socket calls only and in the
//! caller's context, so no other system call pays. Descriptor and buffer come from the caller's registers, which prove
//! nothing by themselves: io_uring completions and in-kernel sockets fire here under an unrelated call. So the call
//! must be one that moves bytes in the hook's direction, it must not be over already, and its descriptor must be the
//! hook's socket.

use agent_ebpf::rules::head::head_bytes;
use agent_ebpf::rules::syscall::{receiving, sending};
use agent_ebpf::wire::config::{CountKey, CountValue, ListenerKey, capture, trace};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{End, Header, Open, direction, end, flag, kind, opened};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::warn;

use crate::emit::{self, Admission};
use crate::kernel::sock::{AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, Sock};
use crate::kernel::task::{O_NONBLOCK, Task};
use crate::kernel::user;
use crate::maps::{
    CONTROL, COUNTS, Connection, LISTENERS, OLD_SOCKETS, POLICIES, PROCESSES, SCRATCH, Scratch, Thread, Value, setting,
};

/// `MSG_OOB`, `MSG_PEEK` and `MSG_ERRQUEUE`: bytes that are not the stream's next ones.
const MSG_ASIDE: u32 = 0x1 | 0x2 | 0x2000;
/// `MSG_PEEK`.
const MSG_PEEK: u32 = 0x2;
/// `MSG_TRUNC`: TCP takes the bytes from the stream and copies none of them (tcp(7)).
const MSG_TRUNC: u32 = 0x20;
/// `MSG_DONTWAIT`, which the kernel adds for descriptors in non-blocking mode.
const MSG_DONTWAIT: u32 = 0x40;
/// `ECONNRESET`, `EPIPE`, `ETIMEDOUT`, negative.
const FATAL: [i32; 3] = [-104, -32, -110];

/// Bytes left a process.
#[btf_tracepoint(function = "sock_send_length")]
pub fn sock_send_out(ctx: BtfTracePointContext) -> i32 {
    moved(&ctx, direction::SEND);
    0
}

/// Bytes entered a process.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_recv_out(ctx: BtfTracePointContext) -> i32 {
    moved(&ctx, direction::RECV);
    0
}

/// One call that moved bytes.
#[derive(Clone, Copy)]
struct Call {
    direction: u8,
    length: u32,
    flags: u32,
}

#[inline(always)]
fn moved(ctx: &BtfTracePointContext, direction: u8) -> Option<()> {
    let sock = Sock::from_argument(ctx.arg(0));
    let result: i32 = ctx.arg(1);
    let flags: u32 = ctx.arg(2);
    let family = sock.family();
    let stream = sock.kind() == SOCK_STREAM && (family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    if result <= 0 {
        if stream && flags & MSG_PEEK == 0 {
            stopped(sock, direction, result);
        }
        return None;
    }
    let task = Task::current();
    if !stream {
        if direction == direction::RECV {
            task.known_thread()?.stale = 1;
        }
        return None;
    }
    if direction == direction::RECV && flags & MSG_ASIDE != 0 {
        return None;
    }
    let Some(mut thread) = task.thread() else {
        if emit::count(loss::TASK_STORAGE) {
            warn!(ctx, "no task storage for thread {} of process {}", task.tid(), task.tgid());
        }
        emit::lossy(task.tgid());
        return None;
    };
    if !traced(task.tgid(), &mut thread) {
        return announce_agent(sock, family, task, &mut thread);
    }
    let Some(mut connection) = sock.connection() else {
        if emit::count(loss::SOCKET_STORAGE) {
            warn!(ctx, "no socket storage: connections of process {} are not traced", task.tgid());
        }
        return None;
    };
    let call = Call { direction, length: result as u32, flags };
    bytes(sock, family, task, &mut thread, &mut connection, call)
}

#[inline(always)]
fn bytes(
    sock: Sock,
    family: u16,
    task: Task,
    thread: &mut Thread,
    connection: &mut Connection,
    call: Call,
) -> Option<()> {
    let index = usize::from(call.direction & 1);
    let (offset, link, linked) = if family == AF_UNIX {
        let start = connection.moved[index];
        connection.moved[index] = start + u64::from(call.length);
        let peer = sock.unix()?.peer_cookie();
        (start, [peer as u32, (peer >> 32) as u32], peer != 0)
    } else {
        let Some(tcp) = sock.tcp() else {
            emit::count(loss::OTHER_PROTOCOL);
            return None;
        };
        let behind = if call.direction == direction::SEND { tcp.sent() } else { tcp.received() };
        let bases = tcp.bases();
        (behind.wrapping_sub(u64::from(call.length)), bases.unwrap_or([0; 2]), bases.is_some())
    };
    if connection.cookie == 0 {
        first_sight(sock, family, connection, call.direction, offset);
    }
    let cookie = connection.cookie;
    let turn_start = connection.last != call.direction + 1;
    if turn_start {
        connection.last = call.direction + 1;
        connection.turn_start[index] = offset;
        connection.turns[index] += 1;
        emit::counts(connection);
        begin_turn(connection, task, call);
    }
    if call.direction == direction::RECV {
        thread.turn.cookie = cookie;
        thread.turn.offset = connection.turn_start[1];
        thread.stale = 0;
        if !sends_requests(connection) {
            thread.own = thread.turn;
        }
    }
    if thread.counting != 0 && (thread.counting != cookie || thread.counting_direction != u32::from(call.direction)) {
        let pending = thread.counting;
        thread.counting = 0;
        emit::count_of(pending, u64::from(thread.counting_direction));
    }
    if connection.policy == capture::NONE || shed_in_silence(connection, turn_start, index) {
        return None;
    }
    let wanted = if connection.shed != 0 { 0 } else { wanted_bytes(connection, index, offset, call) };
    if wanted == 0 && !turn_start && connection.announced != 0 && counted(cookie, call, offset) {
        connection.counting[index] = 1;
        thread.counting = cookie;
        thread.counting_direction = u32::from(call.direction);
        return None;
    }
    let mut scratch = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new)?;
    if scratch.busy != 0 {
        emit::count(loss::SCRATCH_BUSY);
        emit::lossy(task.tgid());
        return None;
    }
    scratch.busy = 1;
    if connection.announced == 0 {
        connection.announced = 1;
        announce(sock, family, task, thread, connection, &mut scratch, 0);
    }
    let scratch = &mut *scratch;
    scratch.data.header = emit::header::<agent_ebpf::wire::record::Data>(kind::DATA);
    emit::actor(&mut scratch.data.actor, task, thread);
    scratch.data.cookie = cookie;
    scratch.data.offset = offset;
    scratch.data.len = call.length;
    scratch.data.link_low = link[0];
    scratch.data.link_high = link[1];
    scratch.data.direction = call.direction;
    scratch.data.turn = connection.turns[index];
    let mut flags = if linked { flag::LINK } else { 0 };
    if family == AF_UNIX {
        flags |= flag::UNIX;
    }
    if turn_start {
        flags |= flag::TURN_START;
    }
    if thread.stale != 0 {
        flags |= flag::STALE;
    }
    if connection.shed != 0 {
        flags |= flag::SHED;
    }
    let captured = prove(sock, task, call, wanted, scratch, &mut flags);
    scratch.data.captured = captured.bytes;
    scratch.data.unseen = captured.unseen;
    scratch.data.flags = flags;
    scratch.data.header.size = size_of::<agent_ebpf::wire::record::Data>() as u32 + captured.bytes;
    if captured.unseen != 0 {
        emit::count(captured.unseen);
    }
    emit::data(cookie, scratch);
    scratch.busy = 0;
    Some(())
}

/// True if nothing more is told of a shed exchange: one record at the beginning of its request says that it is shed.
#[inline(always)]
fn shed_in_silence(connection: &Connection, turn_start: bool, index: usize) -> bool {
    let asks = (index == 0) == sends_requests(connection);
    connection.shed == 2 || (connection.shed == 1 && !(turn_start && asks))
}

/// Captures what is wanted, if the caller's registers prove the buffer.
#[inline(always)]
fn prove(sock: Sock, task: Task, call: Call, wanted: u32, scratch: &mut Scratch, flags: &mut u8) -> user::Captured {
    let refused = |unseen| user::Captured { bytes: 0, unseen };
    if !task.has_user_registers() {
        return refused(loss::NO_USER_CALLER);
    }
    let registers = task.registers();
    let number = registers.number();
    let buffers = if call.direction == direction::SEND { sending(number) } else { receiving(number) };
    let Some(buffers) = buffers.filter(|_| registers.in_call()) else {
        return refused(loss::OTHER_SYSCALL);
    };
    let Some(descriptor) = task.descriptor_of(registers.first() as u32, sock) else {
        return refused(loss::OTHER_SOCKET);
    };
    *flags |= flag::PROVEN;
    if descriptor & O_NONBLOCK == 0 && call.flags & MSG_DONTWAIT == 0 {
        *flags |= flag::BLOCKING;
    }
    if wanted == 0 {
        return refused(0);
    }
    if call.direction == direction::RECV && call.flags & MSG_TRUNC != 0 && sock.family() != AF_UNIX {
        return refused(loss::TRUNCATED);
    }
    user::capture(registers, buffers, wanted, scratch.bytes.as_mut_ptr())
}

/// Fills in what the first sight of a socket tells; `offset` is that of the first bytes seen.
#[inline(always)]
fn first_sight(sock: Sock, family: u16, connection: &mut Connection, direction: u8, offset: u64) {
    connection.cookie = sock.cookie();
    connection.old = u8::from(has_past(sock, family, direction, offset));
    if connection.opened != opened::UNKNOWN {
        return;
    }
    if family == AF_UNIX {
        // An accepted socket shares its listener's name; of an unnamed pair, the end that speaks first asks.
        let Some(unix) = sock.unix() else { return };
        let asks = !unix.is_bound() && (unix.peer_is_bound() || direction == direction::SEND);
        connection.opened = if asks { opened::ACTIVE } else { opened::PASSIVE };
    } else {
        let key = ListenerKey { netns: sock.netns(), port: u32::from(sock.local_port()) };
        if LISTENERS.get_ptr(key).is_some() {
            connection.opened = opened::LISTENING_PORT;
        }
    }
}

/// True if bytes moved that nobody saw: before the agent started, or while the process was not traced.
#[inline(always)]
fn has_past(sock: Sock, family: u16, direction: u8, offset: u64) -> bool {
    if family == AF_UNIX {
        // The inode is forgotten at once, since numbers are used again.
        return OLD_SOCKETS.remove(sock.inode()).is_ok();
    }
    let Some(tcp) = sock.tcp() else { return true };
    // A raw send offset of 1 is the SYN of the end that opened the connection.
    if direction == direction::SEND { offset > 1 || tcp.received() > 0 } else { offset > 0 || tcp.sent() > 1 }
}

/// True if this end sends the requests, as far as is known; a connection older than the agent on a port nobody
/// listened on was opened from here.
#[inline(always)]
fn sends_requests(connection: &Connection) -> bool {
    match connection.policy {
        capture::HEAD_CLIENT => true,
        capture::HEAD_SERVER => false,
        _ => connection.opened == opened::ACTIVE || connection.opened == opened::UNKNOWN,
    }
}

/// Reads the policy, and sheds the exchange that begins if its process is over its budget.
#[inline(always)]
fn begin_turn(connection: &mut Connection, task: Task, call: Call) {
    if let Some(policy) = POLICIES.get_ptr_mut(connection.cookie).and_then(Value::<u32>::new) {
        connection.policy = *policy;
    }
    let asks = (call.direction == direction::SEND) == sends_requests(connection);
    if asks {
        // A turn costs its request's head, and about as much as a short one for its answer and both headers.
        let head = head_bytes(0, 0, call.length, setting!(request_head_bytes));
        connection.shed = match emit::admit(connection.cookie, task.tgid(), head + setting!(response_head_bytes)) {
            Admission::Told => 0,
            Admission::Shed => 1,
            Admission::Silent => 2,
        };
        if connection.shed != 0 {
            emit::count(loss::SHED);
        }
    }
}

#[inline(always)]
fn wanted_bytes(connection: &Connection, index: usize, offset: u64, call: Call) -> u32 {
    if connection.policy == capture::FULL {
        return head_bytes(0, 0, call.length, setting!(request_head_bytes));
    }
    let asks = (call.direction == direction::SEND) == sends_requests(connection);
    let limit = if asks { setting!(request_head_bytes) } else { setting!(response_head_bytes) };
    head_bytes(connection.turn_start[index & 1], offset, call.length, limit)
}

/// Notes how far a direction came beyond its head; false if there is no room to note it.
#[inline(always)]
fn counted(cookie: u64, call: Call, offset: u64) -> bool {
    let key = CountKey { cookie, direction: u64::from(call.direction) };
    let behind = offset + u64::from(call.length);
    if let Some(mut value) = COUNTS.get_ptr_mut(key).and_then(Value::new) {
        value.time = emit::now();
        value.end = behind;
        return true;
    }
    let value = CountValue { end: behind, time: emit::now() };
    let noted = COUNTS.insert(key, value, u64::from(BPF_ANY)).is_ok();
    if !noted {
        emit::count(loss::COUNTS_FULL);
    }
    noted
}

/// Sends the open record.
#[inline(always)]
fn announce(
    sock: Sock,
    family: u16,
    task: Task,
    thread: &mut Thread,
    connection: &Connection,
    scratch: &mut Scratch,
    agent: u8,
) {
    let open = &mut scratch.open;
    open.header = emit::header::<Open>(kind::OPEN);
    emit::actor(&mut open.actor, task, thread);
    open.cookie = connection.cookie;
    open.netns = sock.netns();
    open.family = family;
    open.opened = connection.opened;
    open.old = connection.old;
    open.agent = agent;
    open.pad = 0;
    open.send_base = connection.bases[0];
    open.recv_base = connection.bases[1];
    open.base_known = u32::from(connection.bases_known);
    open.connect_tid = connection.connect_tid;
    open.connect_turn = connection.connect_turn;
    open.connect_stale = connection.connect_stale;
    open.peer_cookie = 0;
    open.path_len = 0;
    open.local_port = 0;
    open.remote_port = 0;
    if family == AF_UNIX {
        if let Some(unix) = sock.unix() {
            open.peer_cookie = unix.peer_cookie();
            unix.path(open);
        }
    } else {
        sock.addresses(open);
    }
    emit::open(connection.cookie, scratch);
}

/// Tells user space of a connection of the agent itself, so that its other end can be left out. Nothing is copied.
#[inline(always)]
fn announce_agent(sock: Sock, family: u16, task: Task, thread: &mut Thread) -> Option<()> {
    if task.tgid() != setting!(agent_tgid) || family == AF_UNIX {
        return None;
    }
    let mut connection = sock.connection()?;
    if connection.announced != 0 {
        return None;
    }
    let mut scratch = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new)?;
    if scratch.busy != 0 {
        return None;
    }
    scratch.busy = 1;
    connection.announced = 1;
    connection.cookie = sock.cookie();
    if let Some(bases) = sock.tcp().and_then(|tcp| tcp.bases()) {
        connection.bases = bases;
        connection.bases_known = 1;
    }
    announce(sock, family, task, thread, &connection, &mut scratch, 1);
    scratch.busy = 0;
    Some(())
}

/// True if this thread's process is traced. The answer is cached under the control map's generation.
#[inline(always)]
fn traced(tgid: u32, thread: &mut Thread) -> bool {
    let generation = CONTROL.get(0).map_or(0, |control| control.generation) + 1;
    if thread.generation != generation {
        let mut wanted = trace::DEFAULT;
        if let Some(process) = PROCESSES.get_ptr_mut(tgid).and_then(Value::new) {
            wanted = process.trace;
            thread.lossy = process.lossy;
        }
        let yes = match wanted {
            trace::YES => true,
            trace::NO => false,
            _ => setting!(trace_by_default) != 0,
        };
        thread.traced = u32::from(yes && tgid != setting!(agent_tgid));
        thread.generation = generation;
    }
    thread.traced != 0
}

/// A call moved nothing: the other end is done, or the connection failed.
#[inline(always)]
fn stopped(sock: Sock, direction: u8, result: i32) -> Option<()> {
    let mut connection = sock.known_connection()?;
    if connection.announced == 0 || connection.policy == capture::NONE {
        return None;
    }
    let (what, errno) = if result == 0 {
        if direction != direction::RECV || !sock.receive_is_shut() {
            return None;
        }
        (end::RECV_EOF, 0)
    } else if result == FATAL[0] || result == FATAL[1] || result == FATAL[2] {
        (end::ERROR, result.unsigned_abs())
    } else {
        return None;
    };
    let bit = 1_u8 << what;
    if connection.ended & bit != 0 {
        return None;
    }
    connection.ended |= bit;
    emit::counts(&mut connection);
    let header: Header = emit::header::<End>(kind::END);
    emit::record(connection.cookie, &End { header, cookie: connection.cookie, what, errno });
    Some(())
}
