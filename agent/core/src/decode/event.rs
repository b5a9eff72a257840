//! What a record says, in types.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{BootNanos, ProcessId, SockCookie, ThreadId, Tid, UnitId};

/// Everything the pipeline reacts to, in order of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// First sight of a connection. In a place of its own, since it is the largest by far and not the most frequent: events
    /// are moved from stage to stage.
    Open(Box<Open>),
    /// Bytes moved by a call.
    Data(Data),
    /// A direction came further without data records (bytes beyond the captured head).
    Count(Count),
    /// A direction, or a connection, is over.
    Closing {
        /// The socket.
        cookie: SockCookie,
        /// What is over.
        what: Closing,
        /// When.
        time: BootNanos,
    },
    /// A thread or a process was created.
    Fork(Fork),
    /// A process replaced its program: what is known of it is void.
    Exec {
        /// The process.
        process: ProcessId,
        /// When.
        time: BootNanos,
    },
    /// A thread ended.
    Exit(Exit),
    /// A process began to accept TCP connections.
    Listen(Listen),
    /// What the host knows of a process: precedes the first event that names it, and follows each exec.
    Process(Arc<Process>),
    /// The unit that a thread's next record is of.
    Running(Running),
    /// A unit was created by one that carried no tag.
    UnitBorn(UnitBorn),
    /// A unit that was told of is no more.
    UnitEnded {
        /// The unit's process.
        process: ProcessId,
        /// The unit.
        unit: UnitId,
        /// When.
        time: BootNanos,
    },
    /// What a unit took from queues; told right before it acts.
    Took {
        /// The unit's process.
        process: ProcessId,
        /// The unit.
        unit: UnitId,
        /// [`Running::seq`] of the act.
        seq: u32,
        /// What it took last, from the queue that it took from first and from another.
        takes: Box<Takes>,
        /// When it acted.
        time: BootNanos,
    },
    /// A unit put something into a queue that it takes from too.
    Returned {
        /// The unit's process.
        process: ProcessId,
        /// Address of the queue.
        queue: u64,
        /// When.
        time: BootNanos,
    },
    /// Who wrote what a unit read from a pipe last; told right before what it took.
    Piped {
        /// The unit's process.
        process: ProcessId,
        /// The unit.
        unit: UnitId,
        /// [`Running::seq`] of the act.
        seq: u32,
        /// Who wrote it.
        writer: Writer,
        /// When the unit acted.
        time: BootNanos,
    },
    /// A unit that works for nobody known, and called, woke one that has a request.
    Answered(Answered),
    /// One of the things that a unit took for several.
    Gathered(Box<Gathered>),
    /// A unit that took things for several created one that works for all of them.
    Handed {
        /// The process of both.
        process: ProcessId,
        /// The unit that took them.
        unit: UnitId,
        /// The created unit.
        child: UnitId,
        /// When.
        time: BootNanos,
    },
    /// How what a unit read from a pipe last begins; told right before who wrote it, of pools that may name their jobs.
    Job {
        /// The unit's process.
        process: ProcessId,
        /// The unit.
        unit: UnitId,
        /// [`Running::seq`] of the act.
        seq: u32,
        /// Its first bytes.
        head: Bytes,
        /// When the unit acted.
        time: BootNanos,
    },
    /// A unit that has no request of its own calls with a request's context.
    Passed(Passed),
}

/// The bytes that started a turn. It names bytes, not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// The socket the bytes were received on.
    pub cookie: SockCookie,
    /// Raw receive offset of the first of them.
    pub offset: u64,
}

/// Who acted, and every tag that may say on whose behalf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The thread.
    pub thread: ThreadId,
    /// Number of this thread's record: a jump means lost records.
    pub seq: u32,
    /// The process's lossy epoch.
    pub lossy: u32,
    /// The turn this thread last received bytes of, on whatever stream connection.
    pub turn: Option<Tag>,
    /// The turn this thread last received bytes of, on a connection it does not call over.
    pub own: Option<Tag>,
    /// `own` of the creating thread when this thread was created.
    pub birth: Option<Tag>,
    /// The tag the creating thread itself was born with.
    pub ancestor: Option<Tag>,
}

/// One end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// Nothing is known, or a unix socket without a name.
    #[default]
    Unknown,
    /// An address and port.
    Inet(IpAddr, u16),
    /// The path (or `@name` of an abstract socket) a unix socket is bound to.
    Unix(String),
}

/// The two ends of a connection as its socket has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// This end.
    pub local: Address,
    /// The other end.
    pub peer: Address,
}

/// Who opened a connection, as far as the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opened {
    /// Unknown: older than the agent, or a unix socket.
    Unknown,
    /// This end called `connect()`.
    Active,
    /// This end was accepted.
    Passive,
    /// Older than the agent, on a port that was listened on when it started.
    ListeningPort,
}

/// Where the byte counts of a TCP connection start, in sequence numbers. `send` is raw: it is one less than the other
/// end's `recv` at the end that opened the connection, whose acknowledged bytes count its SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bases {
    /// Of bytes sent.
    pub send: u32,
    /// Of bytes received.
    pub recv: u32,
}

/// What ties a socket to its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// Nothing was read, or two samples disagreed.
    None,
    /// TCP: a sample of the bases.
    Tcp(Bases),
    /// Unix: the other end's cookie.
    Unix(SockCookie),
}

/// First sight of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// When.
    pub time: BootNanos,
    /// The socket.
    pub cookie: SockCookie,
    /// Who moved the first bytes.
    pub actor: Actor,
    /// The name of its process as the kernel has it: at most 15 bytes of the program's.
    pub comm: String,
    /// Who opened it.
    pub opened: Opened,
    /// Older than the hooks: earlier bytes were never seen.
    pub old: bool,
    /// It is the agent's own: the other end is left out.
    pub agent: bool,
    /// True for a unix socket.
    pub unix: bool,
    /// Network namespace (`net.ns.inum`).
    pub netns: u32,
    /// Both addresses.
    pub endpoint: Endpoint,
    /// Bases read at establishment, or the other end's cookie.
    pub link: Link,
    /// The call of `connect()`, if it was seen.
    pub connect: Option<Connect>,
}

/// A call of `connect()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The calling thread.
    pub tid: Tid,
    /// The turn it had last received bytes of.
    pub turn: Option<Tag>,
    /// It had received something unseen since.
    pub stale: bool,
}

/// Direction of bytes, seen from the socket's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Out of the process.
    Send,
    /// Into the process.
    Recv,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }
}

/// Why a call's bytes are not all here, where the kernel half says so: the name of a loss reason.
pub type CaptureGap = &'static str;

/// Bytes moved by one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// When.
    pub time: BootNanos,
    /// The socket.
    pub cookie: SockCookie,
    /// Who moved them.
    pub actor: Actor,
    /// Direction.
    pub direction: Direction,
    /// Raw offset of the first byte moved.
    pub offset: u64,
    /// Bytes moved.
    pub len: u32,
    /// The captured prefix of them.
    pub bytes: Bytes,
    /// Why captured bytes fall short of the policy.
    #[serde(with = "crate::decode::gap")]
    pub unseen: Option<CaptureGap>,
    /// The descriptor was in blocking mode.
    pub blocking: bool,
    /// The turn was shed: its exchanges are void.
    pub shed: bool,
    /// First bytes of a turn of this direction, as the kernel half saw it.
    pub turn_start: bool,
    /// Number of this direction's turn, from 1: the kernel half counts every turn, so a jump tells of lost records.
    pub turn: u32,
    /// The thread received something unseen (a datagram) since `actor.turn`.
    pub stale: bool,
    /// A sample of what ties this socket to its other end.
    pub link: Link,
}

/// A direction came further without data records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The socket.
    pub cookie: SockCookie,
    /// Direction.
    pub direction: Direction,
    /// Raw offset behind the last byte moved.
    pub end: u64,
    /// When that byte moved.
    pub time: BootNanos,
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closing {
    /// The other end will send no more.
    RecvEof,
    /// This end will send no more.
    SendFin,
    /// Both directions.
    Closed,
    /// A call failed for good, with this errno.
    Error(i32),
}

/// A thread or a process was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// When.
    pub time: BootNanos,
    /// The creating thread.
    pub actor: Actor,
    /// The created thread; of the same process, or the first of a new one.
    pub child: ThreadId,
}

/// A thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When.
    pub time: BootNanos,
    /// The thread.
    pub thread: ThreadId,
    /// It was the process's last.
    pub last: bool,
    /// It was ended by the end of its whole process, not by itself.
    pub group: bool,
}

/// What the host knows of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process.
    pub id: ProcessId,
    /// Base name of its executable.
    pub executable: String,
    /// OpenTelemetry resource attributes, sorted by name; `service.name` among them.
    pub resource: Vec<(String, String)>,
}

/// A process began to accept TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// When.
    pub time: BootNanos,
    /// The process.
    pub process: ProcessId,
    /// Local port.
    pub port: u16,
}

/// What a runtime ran on a thread as it moved bytes: precedes the record of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// When.
    pub time: BootNanos,
    /// The thread.
    pub thread: ThreadId,
    /// [`Actor::seq`] of the record that it precedes.
    pub seq: u32,
    /// The unit.
    pub unit: Unit,
}

/// A unit, and every tag that may say on whose behalf it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The unit.
    pub id: UnitId,
    /// The turn it last received bytes of, on a connection it does not call over.
    pub own: Option<Tag>,
    /// `own` of the unit that created it, then; or what that one had inherited itself.
    pub inherited: Option<Tag>,
    /// The connection that it answers on; or, with `since`, that a unit it stems from does.
    pub answers: Option<SockCookie>,
    /// When the line of units it stems from left the one that answers: what was asked there then is what it was born in.
    pub since: Option<BootNanos>,
    /// The unit that read `inherited`, or that answers on `answers`.
    pub via: Option<UnitId>,
}

/// What a unit may work for without having read it, carried by value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// As [`Unit::inherited`].
    pub inherited: Option<Tag>,
    /// As [`Unit::answers`].
    pub answers: Option<SockCookie>,
    /// As [`Unit::since`].
    pub since: Option<BootNanos>,
    /// As [`Unit::via`].
    pub via: Option<UnitId>,
}

/// What a unit took last, from the queue that it took from first and from another.
pub type Takes = [Option<Taken>; 2];

/// What a unit took from a queue last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Address of the queue.
    pub queue: u64,
    /// When it was put there, if that was seen.
    pub put: Option<BootNanos>,
    /// The unit that put it there; none if several did.
    pub putter: Option<UnitId>,
    /// What that unit worked for.
    pub claim: Claim,
    /// How often the unit took from this queue.
    pub takes: u32,
    /// How many it took before for others, without having acted since it took those.
    pub others: u32,
}

/// Who wrote what was read from a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The pipe: a [`Taken::queue`].
    pub pipe: u64,
    /// The process that wrote.
    pub process: ProcessId,
    /// Its lossy epoch when it wrote.
    pub written: u32,
    /// The lossy epoch of the process that read, then.
    pub read: u32,
}

/// A unit was created by one that carried no tag: what that one answers may show later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitBorn {
    /// When.
    pub time: BootNanos,
    /// The process of both.
    pub process: ProcessId,
    /// The created unit.
    pub unit: UnitId,
    /// The unit that created it.
    pub creator: UnitId,
}

/// A unit that works for nobody known, and called, closed a channel that one waited for which has a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// When.
    pub time: BootNanos,
    /// The process of both.
    pub process: ProcessId,
    /// Its lossy epoch then.
    pub lossy: u32,
    /// The unit that closed it.
    pub unit: UnitId,
    /// What the one that waited had read.
    pub request: Tag,
    /// The socket that the first one called over last.
    pub called: SockCookie,
    /// How many it woke like this since that call, this one included.
    pub nth: u64,
}

/// A unit that has no request of its own calls, with a context of Go's that stems from a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// When.
    pub time: BootNanos,
    /// The process of both.
    pub process: ProcessId,
    /// Its lossy epoch then.
    pub lossy: u32,
    /// The unit that calls.
    pub unit: UnitId,
    /// What had been read that is served with that context.
    pub request: Tag,
    /// The socket that the unit calls over.
    pub called: SockCookie,
    /// The context is cancelled, as it is once its request's handler has returned.
    pub cancelled: bool,
}

/// One of the things that a unit took, for several, without having acted in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// When the unit took what made several of them.
    pub time: BootNanos,
    /// The unit's process.
    pub process: ProcessId,
    /// Its lossy epoch then.
    pub lossy: u32,
    /// The unit.
    pub unit: UnitId,
    /// Its place among them, from 0 on.
    pub nth: u64,
    /// What was taken; [`Taken::takes`] is the number of the batch among those of the unit (0 in recordings of before).
    pub taken: Taken,
}

impl Event {
    /// When it happened; none for facts of the host, which have no time of their own.
    #[must_use]
    pub const fn time(&self) -> Option<BootNanos> {
        match self {
            Self::Open(open) => Some(open.time),
            Self::Data(data) => Some(data.time),
            Self::Count(count) => Some(count.time),
            Self::Closing { time, .. }
            | Self::Exec { time, .. }
            | Self::UnitEnded { time, .. }
            | Self::Took { time, .. }
            | Self::Returned { time, .. }
            | Self::Handed { time, .. }
            | Self::Piped { time, .. }
            | Self::Job { time, .. } => Some(*time),
            Self::Fork(fork) => Some(fork.time),
            Self::Exit(exit) => Some(exit.time),
            Self::Listen(listen) => Some(listen.time),
            Self::Running(running) => Some(running.time),
            Self::UnitBorn(born) => Some(born.time),
            Self::Answered(answered) => Some(answered.time),
            Self::Passed(passed) => Some(passed.time),
            Self::Gathered(gathered) => Some(gathered.time),
            Self::Process(_) => None,
        }
    }

    /// The process it happened in, where it names one.
    #[must_use]
    pub const fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Open(open) => Some(open.actor.thread.process),
            Self::Data(data) => Some(data.actor.thread.process),
            Self::Fork(fork) => Some(fork.child.process),
            Self::Exec { process, .. } => Some(*process),
            Self::Exit(exit) => Some(exit.thread.process),
            Self::Listen(listen) => Some(listen.process),
            Self::Running(running) => Some(running.thread.process),
            Self::UnitBorn(born) => Some(born.process),
            Self::Answered(answered) => Some(answered.process),
            Self::Passed(passed) => Some(passed.process),
            Self::Gathered(gathered) => Some(gathered.process),
            Self::UnitEnded { process, .. }
            | Self::Took { process, .. }
            | Self::Returned { process, .. }
            | Self::Handed { process, .. }
            | Self::Piped { process, .. }
            | Self::Job { process, .. } => Some(*process),
            Self::Count(_) | Self::Closing { .. } | Self::Process(_) => None,
        }
    }
}
