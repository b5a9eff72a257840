//! Payload in both directions.
//!
//! Hooks: `tp_btf/sock_send_length` and `tp_btf/sock_recv_length` (Linux >= 6.3), whose prototype is
//! `(struct sock *sk, int ret, int flags)` (include/trace/events/sock.h). They fire for socket calls only and in the
//! caller's context, so no other system call pays. Descriptor and buffer come from the caller's registers, which prove
//! nothing by themselves: io_uring completions and in-kernel sockets fire here under an unrelated call. So the call
//! must be one that moves bytes in the hook's direction, it must not be over already, and its descriptor must be the
//! hook's socket.

use agent_ebpf::rules::head::head_bytes;
use agent_ebpf::rules::policy;
use agent_ebpf::wire::config::{ListenerKey, capture, trace};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{Open, direction, end, flag, kind, opened};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::emit;
use crate::kernel::runtime;
use crate::kernel::sock::{AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, Sock, Tcp};
use crate::kernel::task::Task;
use crate::maps::{
    CONTROL, Connection, LISTENERS, OLD_SOCKETS, POLICIES, PROCESSES, SCRATCH, Scratch, Thread, Value, setting,
};
use crate::probes::proof::prove;
use crate::units;

/// `MSG_OOB`, `MSG_PEEK` and `MSG_ERRQUEUE`: bytes that are not the stream's next ones.
const MSG_ASIDE: u32 = 0x1 | 0x2 | 0x2000;
/// `MSG_PEEK`.
const MSG_PEEK: u32 = 0x2;
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
        emit::count_aloud(loss::TASK_STORAGE, task.tgid());
        emit::lossy(task.tgid());
        return None;
    };
    if !traced(task.tgid(), &mut thread) {
        return announce_agent(sock, family, task, &mut thread);
    }
    let Some(mut connection) = sock.connection() else {
        emit::count_aloud(loss::SOCKET_STORAGE, task.tgid());
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
        find_bases(tcp, connection);
        let [sent, received] = connection.bases;
        let behind = if call.direction == direction::SEND { tcp.sent(sent) } else { tcp.received(received) };
        (behind.wrapping_sub(u64::from(call.length)), connection.bases, connection.bases_known != 0)
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
        if connection.shed == 2 {
            // Nothing is told of this turn, so its thread must not look as if nothing had happened.
            thread.seq += 1;
        }
    }
    if call.direction == direction::RECV {
        thread.turn.cookie = cookie;
        thread.turn.offset = connection.turn_start[1];
        thread.stale = 0;
        if !sends_requests(connection) {
            thread.own = thread.turn;
            // Go's net/http waits for a client that leaves with a read of one byte on a goroutine of its own; the one that
            // serves reads on.
            if thread.adapted != 0 && (turn_start || offset == connection.turn_start[1] + 1) {
                units::unit_reads(cookie, connection.turn_start[1]);
            }
        }
    }
    if thread.counting != 0 && (thread.counting != cookie || thread.counting_direction != u32::from(call.direction)) {
        let pending = thread.counting;
        thread.counting = 0;
        emit::send_count(pending, u64::from(thread.counting_direction));
    }
    if connection.policy == capture::NONE || shed_in_silence(connection, turn_start, index) {
        return None;
    }
    let wanted = if connection.shed != 0 { 0 } else { wanted_bytes(connection, index, offset, call) };
    if wanted != 0 && !turn_start && connection.announced != 0 && exceeds_its_share(connection, task, call, wanted) {
        // Heads that go on piece by piece, thousands at a time, would take everybody's room: the rest of the exchange is
        // shed, in silence.
        connection.shed = emit::admission::SILENT as u8;
        thread.seq += 1;
        emit::count(loss::SHED);
        return None;
    }
    let counts = wanted == 0 && !turn_start && connection.announced != 0;
    if counts && note_count(connection, thread, call, offset) {
        return None;
    }
    let mut scratch = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new)?;
    if scratch.busy != 0 {
        emit::count(loss::SCRATCH_BUSY);
        emit::lossy(task.tgid());
        if connection.announced != 0 {
            note_count(connection, thread, call, offset);
        }
        return None;
    }
    scratch.busy = 1;
    if connection.announced == 0 && !announce(sock, family, task, thread, connection, &mut scratch, 0) {
        // It is announced with its next bytes, and has a past by then.
        connection.old = 1;
        scratch.busy = 0;
        return None;
    }
    connection.announced = 1;
    if thread.adapted != 0 && turn_start && call.direction == direction::SEND {
        // Before the record it is about, in time too: records are put in the order of their times.
        units::unit_sends(cookie, u64::from(!sends_requests(connection)), u64::from(thread.seq + 1));
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
    let proof = prove(sock, scratch, family, call.direction, wanted, call.flags);
    scratch.data.captured = proof.bytes;
    scratch.data.unseen = proof.unseen;
    scratch.data.flags = flags | proof.flags;
    scratch.data.header.size = size_of::<agent_ebpf::wire::record::Data>() as u32 + proof.bytes;
    if proof.unseen != 0 {
        emit::count(proof.unseen);
    }
    let sent = emit::send_data(cookie) != 0;
    scratch.busy = 0;
    if !sent {
        // What its bytes were is lost. That they moved is not: an answer that is missing and one that never came are two things.
        note_count(connection, thread, call, offset);
    }
    Some(())
}

/// Notes how far a direction came, to be told before anything later is; false if there is no room to note it.
#[inline(always)]
fn note_count(connection: &mut Connection, thread: &mut Thread, call: Call, offset: u64) -> bool {
    let end = offset + u64::from(call.length);
    if emit::note_count(connection.cookie, u64::from(call.direction), end) == 0 {
        return false;
    }
    connection.counting[usize::from(call.direction & 1)] = 1;
    thread.counting = connection.cookie;
    thread.counting_direction = u32::from(call.direction);
    true
}

/// Notes where a connection's byte counts start, if its establishment was not seen. The numbers change under the socket
/// lock, which this hook does not hold, so they are read twice; until both samples agree offsets may be wrong.
#[inline(always)]
fn find_bases(tcp: Tcp, connection: &mut Connection) {
    if connection.bases_known == 0 {
        let (first, second) = (tcp.bases(), tcp.bases());
        connection.bases = second;
        connection.bases_known = u8::from(first[0] == second[0] && first[1] == second[1]);
    }
}

/// True if nothing more is told of a shed exchange: one record at the beginning of its request says that it is shed.
#[inline(always)]
fn shed_in_silence(connection: &Connection, turn_start: bool, index: usize) -> bool {
    let asks = (index == 0) == sends_requests(connection);
    connection.shed == 2 || (connection.shed == 1 && !(turn_start && asks))
}

/// Fills in what the first sight of a socket tells; `offset` is that of the first bytes seen.
#[inline(always)]
fn first_sight(sock: Sock, family: u16, connection: &mut Connection, direction: u8, offset: u64) {
    connection.cookie = sock.cookie();
    connection.old = u8::from(has_past(sock, family, connection, direction, offset));
    if connection.opened != opened::UNKNOWN {
        return;
    }
    if family == AF_UNIX {
        // An accepted socket shares its listener's name; where both ends have a name or none does, the end that speaks first asks.
        let Some(unix) = sock.unix() else { return };
        let (bound, peer_bound) = (unix.is_bound(), unix.peer_is_bound());
        let asks = if bound == peer_bound { direction == direction::SEND } else { peer_bound };
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
fn has_past(sock: Sock, family: u16, connection: &Connection, direction: u8, offset: u64) -> bool {
    if family == AF_UNIX {
        // The inode is forgotten at once, since numbers are used again.
        return OLD_SOCKETS.remove(sock.inode()).is_ok();
    }
    let Some(tcp) = sock.tcp() else { return true };
    let [sent, received] = connection.bases;
    // A raw send offset of 1 is the SYN of the end that opened the connection.
    if direction == direction::SEND {
        offset > 1 || tcp.received(received) > 0
    } else {
        offset > 0 || tcp.sent(sent) > 1
    }
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
    let cookie = connection.cookie;
    let word = POLICIES.get_ptr_mut(policy::index(cookie)).and_then(Value::<u64>::new);
    if let Some(policy) = word.and_then(|word| policy::said(*word, cookie)) {
        connection.policy = policy;
    }
    let asks = (call.direction == direction::SEND) == sends_requests(connection);
    if asks {
        // A turn costs its request's head, and about as much as a short one for its answer and both headers.
        let head = head_bytes(0, 0, call.length, setting!(request_head_bytes));
        let bytes = u64::from(head + setting!(response_head_bytes));
        connection.shed = emit::admit(connection.cookie, u64::from(task.tgid()), bytes) as u8;
        if connection.shed != 0 {
            emit::count(loss::SHED);
        }
    }
}

/// True if a request's head goes on while its ring is filling and its process has used up its share.
#[inline(always)]
fn exceeds_its_share(connection: &Connection, task: Task, call: Call, wanted: u32) -> bool {
    let asks = connection.policy != capture::FULL && (call.direction == direction::SEND) == sends_requests(connection);
    let bytes = size_of::<agent_ebpf::wire::record::Data>() as u64 + u64::from(wanted);
    asks && emit::admit(connection.cookie, u64::from(task.tgid()), bytes) != emit::admission::TOLD
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

/// Sends the open record; false if there is no room for it.
#[inline(always)]
fn announce(
    sock: Sock,
    family: u16,
    task: Task,
    thread: &mut Thread,
    connection: &Connection,
    scratch: &mut Scratch,
    agent: u8,
) -> bool {
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
    open.comm = task.process_comm();
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
    emit::send_open(connection.cookie) != 0
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
    connection.cookie = sock.cookie();
    if let Some(tcp) = sock.tcp() {
        find_bases(tcp, &mut connection);
    }
    connection.announced = u8::from(announce(sock, family, task, thread, &connection, &mut scratch, 1));
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
        thread.adapted = runtime::of(tgid);
        thread.generation = generation;
    }
    thread.traced != 0
}

/// A call moved nothing: the other end is done, or the connection failed.
#[inline(always)]
fn stopped(sock: Sock, direction: u8, result: i32) -> Option<()> {
    let over = result == 0 && direction == direction::RECV && sock.receive_is_shut();
    let fatal = result == FATAL[0] || result == FATAL[1] || result == FATAL[2];
    // Most of these calls only found nothing yet (`EAGAIN`), and pay for no look-up.
    if !over && !fatal {
        return None;
    }
    let mut connection = sock.known_connection()?;
    if connection.policy == capture::NONE {
        return None;
    }
    let what = if over { end::RECV_EOF } else { end::ERROR };
    emit::ended(&mut connection, what, result.unsigned_abs())
}
