//! A request with its response, as one end of the connection saw it: a half.

use smol_str::SmolStr;

use crate::decode::Actor;
use crate::ids::{BootNanos, SockCookie};
use crate::proto::trace_context::{AnswerIds, WireContext};

/// Which end of the exchange the half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It sent the request.
    Client,
    /// It received the request.
    Server,
}

/// Names a half: its socket, and the raw offset of the request's first byte in the request's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfKey {
    /// The socket.
    pub cookie: SockCookie,
    /// Raw send offset at a client, raw receive offset at a server.
    pub offset: u64,
}

/// The request of a half, known once its head was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which half.
    pub key: HalfKey,
    /// Which end.
    pub role: Role,
    /// Request method as on the wire.
    pub method: SmolStr,
    /// Request target as on the wire, query included (dropped before a span exists).
    pub target: SmolStr,
    /// `1.0` or `1.1`.
    pub version: &'static str,
    /// `Host` header field.
    pub host: Option<SmolStr>,
    /// `User-Agent` header field.
    pub user_agent: Option<SmolStr>,
    /// Trace context and correlation ids on the request.
    pub context: WireContext,
    /// When its first byte moved.
    pub start: BootNanos,
    /// Who moved its first byte.
    pub actor: Actor,
    /// The descriptor was in blocking mode when its first byte moved.
    pub blocking: bool,
    /// The acting thread had received something unseen since it read its own tag.
    pub stale: bool,
}

/// The response of a half, known once its final head was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// When its first byte moved.
    pub start: BootNanos,
    /// How its end will show.
    pub ending: Ending,
    /// Correlation ids on it.
    pub ids: AnswerIds,
}

/// How the end of a response shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its framing tells.
    Framed,
    /// Its sender closes the connection.
    Close,
    /// Its framing was not seen: it turns out to be over when the connection is used again, or ends.
    Unseen,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The whole response was seen or counted; if its head was not seen, no [`Update::Response`] told of it.
    Complete,
    /// The connection ended before the response did.
    Closed,
    /// A call on the connection failed with this errno.
    Error(i32),
    /// The connection was switched to another protocol (101, or 2xx to CONNECT).
    Upgraded,
    /// What became of it is not known: its turn was shed, the bytes that would tell were lost, or they were none of
    /// the protocol.
    Void,
}

/// What a connection's parser says, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// A request head was parsed: the half is open.
    Request(Box<Request>),
    /// The final response head of a half was parsed.
    Response {
        /// Which half.
        key: HalfKey,
        /// The response.
        response: Response,
    },
    /// A half is over.
    End(End),
}

/// A half is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Which half.
    pub key: HalfKey,
    /// How.
    pub outcome: Outcome,
    /// When the last byte of the exchange moved. An exchange that ended with its connection (`Closed`, `Error`) lasted
    /// until then, since its caller waited until then.
    pub time: BootNanos,
    /// Raw offset behind the request's last byte: as its framing told it, else as far as it was seen or counted.
    pub request_end: u64,
    /// Bytes of the request's body, if its framing told them.
    pub request_body_bytes: Option<u64>,
    /// Bytes of the response's body, if its framing told them.
    pub response_body_bytes: Option<u64>,
    /// Bytes of the exchange that were counted but not seen.
    pub unseen_bytes: u64,
}
