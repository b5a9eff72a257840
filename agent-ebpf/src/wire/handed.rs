//! Records of what units hand over: what they take from queues, channels and pipes, and whom they answer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::record::{Claim, Header, Tag};
#[cfg(doc)]
use super::record::{Running, kind};

/// What a unit took last from one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Taken {
    /// Address of the queue in the process; 0 if there is none.
    pub queue: u64,
    /// When it was put there; 0 if nobody saw that.
    pub put: u64,
    /// The unit that put it there; 0 if several did, or nobody saw that.
    pub putter: u64,
    /// What that unit worked for.
    pub claim: Claim,
    /// How often the unit took from this queue.
    pub takes: u32,
    /// How many it took before for others, without having acted since it took those.
    pub others: u32,
}

/// What a unit took last, from the queue that it took from first and from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Takes {
    /// From the queue that it took from first: where it waits for its work.
    pub head: Taken,
    /// From the last other one.
    pub other: Taken,
}

/// Who wrote what was read from a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Writer {
    /// Inode of the pipe, which is also [`Taken::queue`]; 0 if there is none.
    pub pipe: u64,
    /// `start_boottime` of the group leader of the process that wrote.
    pub start: u64,
    /// Its process id.
    pub tgid: u32,
    /// Its lossy epoch when it wrote.
    pub written: u32,
    /// The lossy epoch of the process that read, then.
    pub read: u32,
    /// Zero.
    pub pad: u32,
}

/// Who wrote what a unit read from a pipe last; told right before each [`Took`] of a unit that read from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Piped {
    /// `kind` is [`kind::PIPED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// [`Running::seq`].
    pub seq: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that read it.
    pub unit: u64,
    /// Who wrote it.
    pub writer: Writer,
}

/// Bytes of a job that are told. Celery's name of its task ends some 100 bytes behind the beginning and what the task's function is
/// called; what comes behind it is longer than that.
pub const JOB_BYTES: usize = 256;

/// How what a unit read from a pipe last begins; told right before [`Piped`], of messages of at least so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Job {
    /// `kind` is [`kind::JOB`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// [`Running::seq`].
    pub seq: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that read it.
    pub unit: u64,
    /// Its first bytes.
    pub head: [u8; JOB_BYTES],
}

/// What a unit took from queues; told right before each [`Running`] of a unit that took something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Took {
    /// `kind` is [`kind::TOOK`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// [`Running::seq`].
    pub seq: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that took it.
    pub unit: u64,
    /// What it took.
    pub takes: Takes,
}

/// A unit put something into a queue that it also takes from: what is in there is lent, and nobody's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Returned {
    /// `kind` is [`kind::RETURNED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Zero.
    pub pad: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// Address of the queue in the process.
    pub queue: u64,
}

/// A unit that works for nobody known, and called, closed a channel that a unit waited for which has a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Answered {
    /// `kind` is [`kind::ANSWERED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// The process's lossy epoch.
    pub lossy: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that closed it.
    pub unit: u64,
    /// What the one that waited had read.
    pub request: Tag,
    /// Socket that the first one called over last.
    pub called: u64,
    /// How many it woke like this since it called, this one included.
    pub nth: u64,
}

/// A unit that has no request of its own called, with a context of Go's that stems from a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Passed {
    /// `kind` is [`kind::PASSED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// The process's lossy epoch.
    pub lossy: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that called.
    pub unit: u64,
    /// The request that was served with that context.
    pub request: Tag,
    /// Socket that the unit called over.
    pub called: u64,
    /// 1 if the context is cancelled, as it is once its request's handler has returned.
    pub cancelled: u64,
}

/// Things of one batch that are told of, and one more, which says that there are more.
pub const GATHERED_MAX: u64 = 8;

/// One of the things that a unit took, for several, without having acted in between: told when the second one is taken, of both,
/// and then of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Gathered {
    /// `kind` is [`kind::GATHERED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// The process's lossy epoch.
    pub lossy: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that took it.
    pub unit: u64,
    /// Its place in the batch, from 0 on.
    pub nth: u64,
    /// What was taken; `takes` is the number of the batch among those of the unit, from 1 on, and `others` is 0.
    pub taken: Taken,
}

/// A unit that took things for several, and has not acted since, created another one: that one works for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Handed {
    /// `kind` is [`kind::HANDED`].
    pub header: Header,
    /// Process id.
    pub tgid: u32,
    /// Zero.
    pub pad: u32,
    /// `start_boottime` of the group leader.
    pub start: u64,
    /// The unit that gathered.
    pub unit: u64,
    /// The created unit.
    pub child: u64,
}

const _: () = {
    assert!(size_of::<Gathered>() == 120);
    assert!(size_of::<Handed>() == 48);
    assert!(size_of::<Answered>() == 72);
    assert!(size_of::<Passed>() == 72);
    assert!(size_of::<Taken>() == 72);
    assert!(size_of::<Took>() == 184);
    assert!(size_of::<Writer>() == 32);
    assert!(size_of::<Piped>() == 72);
    assert!(size_of::<Job>() == 296);
    assert!(size_of::<Returned>() == 40);
};
