//! Layouts of the ring buffer records.
//!
//! Every record begins with a [`Header`]; its `kind` names the layout that follows. All times are
//! `CLOCK_BOOTTIME` nanoseconds, as `bpf_ktime_get_boot_ns` gives them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use super::handed::{
    Answered, GATHERED_MAX, Gathered, Handed, JOB_BYTES, Job, Passed, Piped, Returned, Taken, Takes, Took, Writer,
};

/// Values of [`Header::kind`]. Numbers are never reused.
pub mod kind {
    /// [`super::Open`]: the first sight of a connection, sent right before its first data.
    pub const OPEN: u16 = 1;
    /// [`super::Data`]: bytes moved by one call, with the captured prefix of them.
    pub const DATA: u16 = 2;
    /// [`super::End`]: one direction, or the whole connection, is over.
    pub const END: u16 = 3;
    /// [`super::Fork`]: a thread or a process was created.
    pub const FORK: u16 = 4;
    /// [`super::Exec`]: a process replaced its program.
    pub const EXEC: u16 = 5;
    /// [`super::Exit`]: a thread ended.
    pub const EXIT: u16 = 6;
    /// [`super::Listen`]: a socket began to accept TCP connections.
    pub const LISTEN: u16 = 7;
    /// [`super::Count`]: a direction came further without data records.
    pub const COUNT: u16 = 8;
    /// [`super::Running`]: the unit that the next record of its thread is of.
    pub const RUNNING: u16 = 9;
    /// [`super::UnitBorn`]: a unit was created by one that carried no tag.
    pub const UNIT_BORN: u16 = 10;
    /// [`super::UnitEnded`]: a unit that was told of is no more.
    pub const UNIT_ENDED: u16 = 11;
    /// [`super::Took`]: what the unit that is told next took from a queue last.
    pub const TOOK: u16 = 12;
    /// [`super::Returned`]: a unit put something into a queue that it takes from.
    pub const RETURNED: u16 = 13;
    /// [`super::Piped`]: who wrote what the unit that is told next read from a pipe last.
    pub const PIPED: u16 = 14;
    /// [`super::Answered`]: a unit that works for nobody known woke one that has a request.
    pub const ANSWERED: u16 = 15;
    /// [`super::Gathered`]: one of the things that a unit took for several.
    pub const GATHERED: u16 = 16;
    /// [`super::Handed`]: a unit that took things for several created another one.
    pub const HANDED: u16 = 17;
    /// [`super::Job`]: how what the unit that is told next read from a pipe last begins.
    pub const JOB: u16 = 18;
    /// [`super::Passed`]: a unit called with the context of a request.
    pub const PASSED: u16 = 19;
}

/// The first bytes of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Which layout follows: a number of [`kind`].
    pub kind: u16,
    /// Zero; keeps `size` aligned.
    pub pad: u16,
    /// Bytes of the whole record, header and captured bytes included.
    pub size: u32,
    /// When the hook ran.
    pub time: u64,
}

/// The bytes that started a turn: a socket and an offset of what was received on it. It names bytes, not a request.
///
/// All zero where there is none (socket cookies start at 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tag {
    /// Socket cookie (`sock_gen_cookie`), never reused while the kernel runs.
    pub cookie: u64,
    /// Raw receive offset of the turn's first byte, as in [`Data::offset`].
    pub offset: u64,
}

/// Who acted, and every tag that may say on whose behalf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Actor {
    /// Process id (`task_struct.tgid`) in the initial pid namespace.
    pub tgid: u32,
    /// Thread id (`task_struct.pid`) in the initial pid namespace.
    pub tid: u32,
    /// `task_struct.start_boottime` of the thread group's leader: with `tgid` it names a process for good.
    pub start: u64,
    /// Number of this thread's record; a jump means that records of this thread were lost.
    pub seq: u32,
    /// The process's lossy epoch: raised at every failed update of state; nothing stamped under a raised one is exact.
    pub lossy: u32,
    /// The turn this thread last received bytes of, on whatever stream connection.
    pub turn: Tag,
    /// The turn this thread last received bytes of, on a connection it does not call over.
    pub own: Tag,
    /// `own` of the creating thread at the moment this thread was created.
    pub birth: Tag,
    /// `birth` of the creating thread at that moment, or its `ancestor` where it had none.
    pub ancestor: Tag,
}

/// First sight of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Open {
    /// `kind` is [`kind::OPEN`].
    pub header: Header,
    /// Who moved the first bytes.
    pub actor: Actor,
    /// The socket.
    pub cookie: u64,
    /// Socket cookie of the other end: unix sockets only, 0 while the other end never acted.
    pub peer_cookie: u64,
    /// `net.ns.inum` of the socket's network namespace.
    pub netns: u32,
    /// `AF_INET` (2), `AF_INET6` (10) or `AF_UNIX` (1).
    pub family: u16,
    /// Who opened the connection: a value of [`opened`].
    pub opened: u8,
    /// 1 if bytes moved on it that were never seen: it is older than the agent, or than the tracing of its process.
    pub old: u8,
    /// Local port, host byte order; 0 on unix sockets.
    pub local_port: u16,
    /// Remote port, host byte order; 0 on unix sockets.
    pub remote_port: u16,
    /// Length of `path` in use.
    pub path_len: u16,
    /// 1 if the connection belongs to the agent itself: no data follows, the other end is to be left out.
    pub agent: u8,
    /// Zero.
    pub pad: u8,
    /// Local address: IPv6, or IPv4 in the first four bytes, network byte order.
    pub local: [u8; 16],
    /// Remote address, likewise.
    pub remote: [u8; 16],
    /// Initial send base at establishment (sequence number before the first payload byte), with `base_known`.
    pub send_base: u32,
    /// Initial receive base, likewise.
    pub recv_base: u32,
    /// 1 if the two bases were read when the connection was established.
    pub base_known: u32,
    /// Thread that called `connect()`; 0 if unknown.
    pub connect_tid: u32,
    /// `turn` of the thread that called `connect()`, at that moment.
    pub connect_turn: Tag,
    /// Path (or abstract name, with its leading NUL) of the bound end of a unix socket.
    pub path: [u8; 108],
    /// 1 if the connecting thread had received something unseen since `connect_turn`.
    pub connect_stale: u32,
    /// `task_struct.comm` of the acting process's leader: its program, where the process is gone before it is asked.
    pub comm: [u8; 16],
}

/// Values of [`Open::opened`].
pub mod opened {
    /// Older than the hooks, or a unix socket.
    pub const UNKNOWN: u8 = 0;
    /// This end called `connect()`.
    pub const ACTIVE: u8 = 1;
    /// This end was accepted.
    pub const PASSIVE: u8 = 2;
    /// Older than the hooks, on a port that was listened on when the agent started.
    pub const LISTENING_PORT: u8 = 3;
}

/// Bytes moved by one call; the captured ones follow this layout.
///
/// Offsets are *raw*: on TCP the receive offset is `bytes_received - (rcv_nxt - copied_seq)` and the send offset is
/// `bytes_acked + (write_seq - snd_una)`, which counts the SYN at the end that opened the connection
/// (`struct tcp_sock`, Linux 6.18). On unix sockets both count from the first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Data {
    /// `kind` is [`kind::DATA`].
    pub header: Header,
    /// Who moved the bytes. `own` is already this turn's if the bytes were received.
    pub actor: Actor,
    /// The socket.
    pub cookie: u64,
    /// Raw offset of the first byte moved, in its direction.
    pub offset: u64,
    /// Bytes moved by the call.
    pub len: u32,
    /// Bytes captured: a prefix of those moved. What is missing is a gap.
    pub captured: u32,
    /// TCP: `snd_una - bytes_acked`, low 32 bits. Unix: low half of the other end's cookie.
    pub link_low: u32,
    /// TCP: `rcv_nxt - bytes_received`, low 32 bits. Unix: high half of the other end's cookie.
    pub link_high: u32,
    /// A value of [`direction`].
    pub direction: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Why bytes are unseen: a number of [`super::loss`], or 0.
    pub unseen: u16,
    /// Number of the direction's turn on this connection, counted by the kernel half.
    pub turn: u32,
}

/// Values of [`Data::direction`].
pub mod direction {
    /// Bytes left the process.
    pub const SEND: u8 = 0;
    /// Bytes entered the process.
    pub const RECV: u8 = 1;
}

/// Bits of [`Data::flags`].
pub mod flag {
    /// The descriptor was in blocking mode: `O_NONBLOCK` clear, and for a receive no `MSG_DONTWAIT` (the hook of sends is
    /// told no flags).
    pub const BLOCKING: u8 = 1;
    /// The turn was shed: it is counted, never captured.
    pub const SHED: u8 = 2;
    /// `link_low` and `link_high` come from two equal samples.
    pub const LINK: u8 = 4;
    /// Since `turn` was read the thread received something the records do not show (a datagram).
    pub const STALE: u8 = 8;
    /// The descriptor was proven to be the hook's socket.
    pub const PROVEN: u8 = 16;
    /// These bytes are the first of a turn of their direction.
    pub const TURN_START: u8 = 32;
    /// A unix socket: the link words are its other end's cookie.
    pub const UNIX: u8 = 64;
}

/// A direction came further without data records: bytes beyond the captured head, merged over calls.
///
/// The header's time is that of the last byte, so it is older than the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Count {
    /// `kind` is [`kind::COUNT`].
    pub header: Header,
    /// The socket.
    pub cookie: u64,
    /// Raw offset behind the last byte moved.
    pub end: u64,
    /// A value of [`direction`].
    pub direction: u64,
}

/// A direction, or a connection, is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct End {
    /// `kind` is [`kind::END`].
    pub header: Header,
    /// The socket.
    pub cookie: u64,
    /// A value of [`end`].
    pub what: u32,
    /// Positive errno for [`end::ERROR`], else 0.
    pub errno: u32,
}

/// Values of [`End::what`].
pub mod end {
    /// A receive returned 0: the other end will send no more.
    pub const RECV_EOF: u32 = 1;
    /// This end sent its FIN, and may go on receiving (`shutdown`, or the other end's came first).
    pub const SEND_FIN: u32 = 2;
    /// This end was closed, or the socket reached `TCP_CLOSE`.
    pub const CLOSED: u32 = 3;
    /// A call failed for good (`ECONNRESET`, `EPIPE`, `ETIMEDOUT`).
    pub const ERROR: u32 = 4;
}

/// A thread or a process was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fork {
    /// `kind` is [`kind::FORK`].
    pub header: Header,
    /// The creating thread.
    pub actor: Actor,
    /// Process id of the created thread: the creator's own where it is a thread of the same process.
    pub child_tgid: u32,
    /// Thread id of the created thread.
    pub child_tid: u32,
    /// `start_boottime` of the created thread's group leader.
    pub child_start: u64,
}

/// A process replaced its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exec {
    /// `kind` is [`kind::EXEC`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Thread id (the leader's, after an exec).
    pub tid: u32,
    /// `start_boottime` of the group leader: unchanged by an exec.
    pub start: u64,
}

/// A thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exit {
    /// `kind` is [`kind::EXIT`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// 1 if this was the process's last thread.
    pub last: u32,
    /// 1 if the thread was ended by the end of its whole process (exit_group, a fatal signal, exec), not by itself.
    pub group: u32,
}

/// A socket began to accept TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Listen {
    /// `kind` is [`kind::LISTEN`].
    pub header: Header,
    /// Process id of the caller of `listen()`.
    pub tgid: u32,
    /// Local port, host byte order.
    pub port: u16,
    /// Zero.
    pub pad: u16,
    /// `start_boottime` of the group leader.
    pub start: u64,
}

/// What a unit may work for without having read it: carried by value, from unit to unit and through queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Claim {
    /// The turn that the unit at its beginning had received bytes of.
    pub inherited: Tag,
    /// Socket that a unit answers on; 0 if unknown.
    pub answers: u64,
    /// When the line left the unit that answers; 0 if it is that one's own.
    pub since: u64,
    /// The unit that read `inherited`, or that answers; 0 if there is neither.
    pub via: u64,
}

/// Bit of [`Unit::id`]: the unit is a thread, which runs none of the runtime's own.
pub const THREAD_UNIT: u64 = 0x80;

/// A unit of a runtime (a Python context), and the tags that it carries by value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Unit {
    /// Its number, never used again in its process.
    pub id: u64,
    /// The turn it last received bytes of, on a connection it does not call over.
    pub own: Tag,
    /// What it answers, or was created in.
    pub claim: Claim,
}

/// What a runtime ran on a thread as it moved bytes; right before the record of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Running {
    /// `kind` is [`kind::RUNNING`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// [`Actor::seq`] of the record that follows.
    pub seq: u32,
    /// Zero.
    pub pad: u32,
    /// The unit.
    pub unit: Unit,
}

/// A unit was created by one that carried no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UnitBorn {
    /// `kind` is [`kind::UNIT_BORN`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Zero.
    pub pad: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The created unit.
    pub unit: u64,
    /// The unit that created it.
    pub creator: u64,
}

/// A unit that was told of is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UnitEnded {
    /// `kind` is [`kind::UNIT_ENDED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Zero.
    pub pad: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit.
    pub unit: u64,
}

const _: () = {
    assert!(size_of::<Claim>() == 40);
    assert!(size_of::<Unit>() == 64);
    assert!(size_of::<Running>() == 104);
    assert!(size_of::<UnitBorn>() == 48);
    assert!(size_of::<UnitEnded>() == 40);
    assert!(size_of::<Header>() == 16);
    assert!(size_of::<Tag>() == 16);
    assert!(size_of::<Actor>() == 88);
    assert!(size_of::<Open>() == 328);
    assert!(size_of::<Data>() == 144);
    assert!(size_of::<Count>() == 40);
    assert!(size_of::<End>() == 32);
    assert!(size_of::<Fork>() == 120);
    assert!(size_of::<Exec>() == 32);
    assert!(size_of::<Exit>() == 40);
    assert!(size_of::<Listen>() == 32);
};
