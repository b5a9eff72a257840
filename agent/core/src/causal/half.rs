//! A half of an exchange, with all that may decide its cause.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::causal::identity::ExchangeId;
use crate::causal::units::Message;
use crate::conn::Ends;
use crate::decode::{Connect, Passed, Tag, Taken, Takes, Unit};
use crate::ids::{BootNanos, ProcessId, SockCookie, SpanId, TraceId};
use crate::proto::exchange::{End, Ending, HalfKey, Request, Response};
use crate::span::Decision;

/// What the maps and sets that name a half take for it, about.
const INDEXED_BYTES: usize = 300;

/// A half with all that may decide its cause.
#[derive(Debug)]
pub struct Half {
    /// Its request.
    pub request: Request,
    /// The final response, once seen.
    pub response: Option<Response>,
    /// How it ended, once it did.
    pub end: Option<End>,
    /// The process of its first byte.
    pub process: ProcessId,
    /// Both addresses of its socket.
    pub ends: Arc<Ends>,
    /// Its socket is a unix socket.
    pub unix: bool,
    /// Cookie of the unix socket at the other end, once known.
    pub unix_peer: Option<SockCookie>,
    /// What both ends call this exchange, once known.
    pub identity: Option<ExchangeId>,
    /// Raw offset of the turn its request began in.
    pub turn: u64,
    /// The call of `connect()` that opened its connection, if it is the first exchange on it.
    pub connect: Option<Connect>,
    /// When the thread that read it first touched another server connection, while it was open as far as was known.
    pub elsewhere: Option<BootNanos>,
    /// It was open then, as its later bytes showed.
    pub interleaved: bool,
    /// The client half it met, at a server.
    pub met: Option<HalfKey>,
    /// Another request was open in its process at the same time.
    pub concurrent: bool,
    /// Records of the acting thread were lost while it was open.
    pub gap: bool,
    /// A request was open in its process when it started.
    pub serving: bool,
    /// The unit of a runtime that sent it, at a client, if it was told.
    pub unit: Option<Unit>,
    /// What that unit had taken from queues by then.
    pub takes: Option<Box<Takes>>,
    /// What it had read from a pipe last.
    pub message: Option<Box<Message>>,
    /// Whom its unit answered next, at a client, if it works for nobody known.
    pub answer: Option<Box<Answer>>,
    /// The context that it was given, if its unit has no request of its own.
    pub passed: Option<Box<Passed>>,
    /// What its unit took for several, or the one that created that did.
    pub batch: Option<Arc<Batch>>,
    /// It may be a task's cause, and is remembered until then.
    pub kept: BootNanos,
    /// Bytes of memory it takes, about, as they were counted: [`Self::size`] when it last changed.
    pub bytes: usize,
    /// What was decided, for good.
    pub decided: Option<Decided>,
}

/// A unit answered a request after a call of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the one that waited had read.
    pub request: Tag,
    /// When.
    pub time: BootNanos,
    /// The lossy epoch of its process then.
    pub lossy: u32,
    /// It answered others too before it called again, or may have.
    pub several: bool,
}

/// What a unit took for several without having acted in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Which one of the unit's.
    pub number: u32,
    /// Each of them.
    pub taken: Vec<Taken>,
    /// The lossy epoch of the process as it took the first one.
    pub lossy: u32,
    /// Not all of them are there.
    pub partial: bool,
}

/// A decision that spans were, or will be, built from: it never changes.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Ids, cause and evidence.
    pub decision: Decision,
    /// It is not exported, nor is what it caused.
    pub excluded: bool,
}

/// What a half hands on to what it caused.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its span.
    pub span_id: SpanId,
    /// [`Decision::tracestate`].
    pub tracestate: Option<SmolStr>,
    /// [`Decision::sampled`].
    pub sampled: Option<bool>,
    /// [`Decided::excluded`].
    pub excluded: bool,
}

impl Decided {
    /// What is handed on.
    #[must_use]
    pub fn legacy(&self) -> Legacy {
        let Decision { trace_id, span_id, tracestate, sampled, .. } = &self.decision;
        let (tracestate, sampled) = (tracestate.clone(), *sampled);
        Legacy { trace_id: *trace_id, span_id: *span_id, tracestate, sampled, excluded: self.excluded }
    }
}

impl Half {
    /// A half that has just begun, of which nothing else is known.
    #[must_use]
    pub const fn new(request: Request, ends: Arc<Ends>) -> Self {
        Self {
            response: None,
            end: None,
            process: request.actor.thread.process,
            ends,
            unix: false,
            unix_peer: None,
            identity: None,
            turn: request.key.offset,
            connect: None,
            elsewhere: None,
            interleaved: false,
            met: None,
            concurrent: false,
            gap: false,
            serving: false,
            unit: None,
            takes: None,
            message: None,
            answer: None,
            passed: None,
            batch: None,
            kept: BootNanos(0),
            bytes: 0,
            decided: None,
            request,
        }
    }

    /// When its first byte moved.
    #[must_use]
    pub fn start(&self) -> BootNanos {
        self.request.start
    }

    /// True if it was open at `time` as far as can be shown.
    #[must_use]
    pub fn open_at(&self, time: BootNanos) -> bool {
        self.start() <= time
            && match (self.end, &self.response) {
                (Some(end), _) => time <= end.time,
                (None, Some(response)) => time <= response.start || !self.ends_unseen(response),
                (None, None) => true,
            }
    }

    /// True if its answer may be over for long before that shows: a unix socket does not tell that it was closed, the
    /// other end's next read does.
    const fn ends_unseen(&self, response: &Response) -> bool {
        match response.ending {
            Ending::Framed => false,
            Ending::Close => self.unix,
            Ending::Unseen => true,
        }
    }

    /// What its request carries that names it.
    pub fn carried(&self) -> impl Iterator<Item = Carried> + use<> {
        let context = &self.request.context;
        let parent = context.parent.map(|parent| Carried::Context(parent.trace_id, parent.span_id));
        parent.into_iter().chain(context.request_id.clone().map(Carried::Id))
    }

    /// Bytes of memory it takes, about, now.
    #[must_use]
    pub fn size(&self) -> usize {
        let Request { method, target, host, user_agent, context, .. } = &self.request;
        let texts = [host, user_agent, &context.tracestate, &context.request_id, &context.x_trace_id];
        let answered = self.response.iter().flat_map(|response| [&response.ids.request_id, &response.ids.x_trace_id]);
        let text: usize = texts.into_iter().chain(answered).flatten().map(SmolStr::len).sum();
        INDEXED_BYTES
            + size_of::<Self>()
            + self.takes.as_deref().map_or(0, size_of_val)
            + self.message.as_deref().map_or(0, size_of_val)
            + self.answer.as_deref().map_or(0, size_of_val)
            + self.passed.as_deref().map_or(0, size_of_val)
            + method.len()
            + target.len()
            + text
    }

    /// True if the other half is, as far as is known, the other end of this exchange.
    #[must_use]
    pub fn is_same_exchange(&self, other: &Self) -> bool {
        (other.identity.is_some() && other.identity == self.identity)
            || self.unix_peer == Some(other.request.key.cookie)
    }

    /// True if both halves carry the same request line, as two ends of one exchange must.
    #[must_use]
    pub fn same_request(&self, other: &Self) -> bool {
        self.request.method == other.request.method && self.request.target == other.request.target
    }
}

/// What a request carries that a call may pass on: its context, or where it has none its correlation id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Trace and span named on the wire.
    Context(TraceId, SpanId),
    /// `x-request-id`.
    Id(SmolStr),
}
