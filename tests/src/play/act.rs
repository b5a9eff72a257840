//! What the two ends of a connection do, one act after the other.

use std::time::Duration;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that connects.
    Client,
    /// The one that is connected to.
    Server,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What joins the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// TCP over IPv4.
    Ipv4,
    /// TCP over IPv6.
    Ipv6,
    /// TCP over IPv4, by sockets that speak of it as IPv6 (`::ffff:127.0.0.1`).
    Mapped,
    /// A unix socket bound to a path.
    UnixPath,
    /// A unix socket bound to a name that is no path.
    UnixAbstract,
    /// A pair of unix sockets without a name (`socketpair`).
    UnixPair,
    /// Multipath TCP at both ends.
    Mptcp,
    /// A listener for multipath TCP that a plain TCP client connects to.
    MptcpListener,
    /// A port that parties 1 and 2 both listen on (`SO_REUSEPORT`): who serves is the kernel's choice.
    ReusePort,
}

impl Link {
    /// True if it is a unix socket.
    #[must_use]
    pub const fn is_unix(self) -> bool {
        matches!(self, Self::UnixPath | Self::UnixAbstract | Self::UnixPair)
    }
}

/// A connection between two parties, which are processes.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// What joins its ends.
    pub link: Link,
    /// The party that connects.
    pub caller: usize,
    /// The party that is connected to.
    pub callee: usize,
}

impl Wire {
    /// The party at an end.
    #[must_use]
    pub const fn party(&self, side: Side) -> usize {
        match side {
            Side::Client => self.caller,
            Side::Server => self.callee,
        }
    }
}

/// The call that takes bytes out of a process. Sizes are those of its buffers, or of its messages; the last takes the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// `sendto` without an address, as `send` is.
    Send,
    /// `write`.
    Write,
    /// `writev`.
    Writev(Vec<usize>),
    /// `pwritev2`.
    Pwritev2(Vec<usize>),
    /// `sendmsg`.
    Sendmsg(Vec<usize>),
    /// A `send` for each size, all but the last with `MSG_MORE`.
    More(Vec<usize>),
    /// `send` without blocking into a small buffer, again and again.
    Partial,
    /// `send` with `MSG_ZEROCOPY`, and its completion read from the error queue.
    ZeroCopy,
    /// `sendmmsg`.
    Sendmmsg(Vec<usize>),
    /// `sendfile`.
    Sendfile,
    /// `splice` from a pipe.
    Splice,
    /// io_uring, done in the call that submits.
    Ring,
    /// io_uring, done by a worker thread.
    RingWorker,
    /// io_uring, submitted by a thread of the kernel.
    RingPolled,
}

/// The call that takes bytes into a process. Sizes as of [`Sending`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// `recvfrom` without an address, as `recv` is.
    Recv,
    /// `read`.
    Read,
    /// `readv`.
    Readv(Vec<usize>),
    /// `preadv2`.
    Preadv2(Vec<usize>),
    /// `recvmsg`.
    Recvmsg(Vec<usize>),
    /// `recv` after two looks with `MSG_PEEK`.
    Peeked,
    /// `recv` with `MSG_WAITALL`.
    WaitAll,
    /// `recv` without blocking, when it is ready.
    NonBlocking,
    /// `recv` with `MSG_TRUNC`, which drops the bytes.
    Dropped,
    /// `recvmmsg`.
    Recvmmsg(Vec<usize>),
    /// `splice` into a pipe.
    Splice,
    /// io_uring, done in the call that submits.
    Ring,
    /// io_uring, done by a worker thread.
    RingWorker,
}

/// What one end does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Sends these bytes.
    Say(Vec<u8>, Sending),
    /// Receives exactly so many bytes.
    Hear(usize, Receiving),
    /// Reads the end of the stream.
    HearEnd,
    /// A read fails with this errno.
    Fail(i32),
    /// Will send no more (`shutdown`).
    Finish,
    /// Closes its end.
    Close,
    /// Closes its end with a reset (`SO_LINGER` of zero).
    Reset,
    /// Goes on by a duplicate of its descriptor, and closes the first one.
    Duplicate,
    /// Hands its descriptor to another party (`SCM_RIGHTS`), which goes on.
    Pass(usize),
    /// Goes on in a forked process, while the one that forked waits.
    Fork,
    /// Goes on in another program, which inherits the descriptor over `exec`.
    Exec,
}

/// An act.
#[derive(Clone, Debug)]
pub enum Act {
    /// A connection is made; the later ones take place on it and on those before.
    Connect,
    /// One end does something.
    Do {
        /// On which connection.
        wire: usize,
        /// Which end.
        side: Side,
        /// By which thread of its process; 0 is the first.
        thread: usize,
        /// What.
        what: What,
    },
    /// Nothing happens for a while.
    Pause(Duration),
}

impl Act {
    /// True if an end of this connection moves bytes in this way.
    pub(super) const fn moves(&self, on: usize, by: Side, out: bool) -> bool {
        match self {
            Self::Do { wire, side, what: What::Say(..), .. } => {
                *wire == on && matches!((*side, by), (Side::Client, Side::Client) | (Side::Server, Side::Server)) && out
            }
            Self::Do { wire, side, what: What::Hear(..), .. } => {
                *wire == on
                    && matches!((*side, by), (Side::Client, Side::Client) | (Side::Server, Side::Server))
                    && !out
            }
            Self::Do { .. } | Self::Connect | Self::Pause(_) => false,
        }
    }
}
