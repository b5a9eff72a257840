//! Life of TCP connections.
//!
//! Hook: `tp_btf/inet_sock_set_state`, prototype `(const struct sock *sk, const int oldstate, const int newstate)`
//! (include/trace/events/sock.h, Linux >= 4.16). It fires once per transition, often in softirq context, where the
//! current task is unrelated; only `connect()` and `listen()` transitions happen in the caller's context.

use agent_ebpf::wire::record::{Listen, end, kind, opened};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::emit;
use crate::kernel::sock::Sock;
use crate::kernel::task::Task;
use crate::maps::Connection;

// States of include/net/tcp_states.h.
const ESTABLISHED: i32 = 1;
const SYN_SENT: i32 = 2;
const SYN_RECV: i32 = 3;
const FIN_WAIT1: i32 = 4;
const CLOSE: i32 = 7;
const LAST_ACK: i32 = 9;
const LISTEN: i32 = 10;

/// A TCP socket changes its state.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn sock_state_in(ctx: BtfTracePointContext) -> i32 {
    let sock = Sock::from_argument(ctx.arg(0));
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    match new {
        SYN_SENT => connecting(sock),
        ESTABLISHED => established(sock, old),
        LISTEN => listening(sock),
        FIN_WAIT1 if sock.is_shut() => ended(sock, end::CLOSED),
        FIN_WAIT1 | LAST_ACK => ended(sock, end::SEND_FIN),
        CLOSE => closed(sock),
        _ => None,
    };
    0
}

/// `connect()` was called: the only moment that names the thread on whose behalf.
#[inline(always)]
fn connecting(sock: Sock) -> Option<()> {
    let mut connection = sock.connection()?;
    let task = Task::current();
    if connection.cookie != 0 {
        // A socket that was disconnected connects anew: nothing of what it was is left.
        renew(&mut connection);
    }
    connection.opened = opened::ACTIVE;
    // It has one from now on: probes of runtimes know the connection by it.
    sock.cookie();
    connection.connect_tid = task.tid();
    if let Some(thread) = task.known_thread() {
        connection.connect_turn = thread.turn;
        connection.connect_stale = thread.stale;
    }
    Some(())
}

#[inline(always)]
fn established(sock: Sock, old: i32) -> Option<()> {
    let mut connection = sock.connection()?;
    if old == SYN_RECV && connection.opened == opened::UNKNOWN {
        connection.opened = opened::PASSIVE;
    }
    connection.bases = sock.tcp()?.bases();
    connection.bases_known = 1;
    Some(())
}

#[inline(always)]
fn renew(connection: &mut Connection) {
    connection.cookie = 0;
    connection.bases_known = 0;
    connection.turns = [0; 2];
    connection.policy = 0;
    connection.announced = 0;
    connection.last = 0;
    connection.shed = 0;
    connection.ended = 0;
}

#[inline(always)]
fn listening(sock: Sock) -> Option<()> {
    let task = Task::current();
    let listen = Listen {
        header: emit::header::<Listen>(kind::LISTEN),
        tgid: task.tgid(),
        port: sock.local_port(),
        pad: 0,
        start: task.process_start(),
    };
    emit::news(0, &listen);
    Some(())
}

/// The connection is over. Why it failed, if it did, is in the socket by then (a reset, a timeout), and is told first: the
/// calls that would fail may never come.
#[inline(always)]
fn closed(sock: Sock) -> Option<()> {
    let mut connection = sock.known_connection()?;
    let error = sock.error();
    if error != 0 {
        emit::ended(&mut connection, end::ERROR, error);
    }
    emit::ended(&mut connection, end::CLOSED, 0)
}

#[inline(always)]
fn ended(sock: Sock, what: u32) -> Option<()> {
    let mut connection = sock.known_connection()?;
    emit::ended(&mut connection, what, 0)
}
