//! The span, independent of any export format.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::decode::Process;
use crate::ids::{BootNanos, SpanId, TraceId};

/// Which end of an exchange a span describes (OpenTelemetry span kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The calling end.
    Client,
    /// The serving end.
    Server,
}

/// OpenTelemetry span status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Neither verdict: the default for answered requests.
    Unset,
    /// The exchange failed, as the HTTP conventions define it.
    Error,
}

/// How sure a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// No link.
    None,
    /// An edge or a time: never a parent.
    Weak,
    /// A discipline that was tested or calibrated.
    Strong,
    /// Identity.
    Exact,
}

impl Confidence {
    /// The value of `tracemend.link.confidence`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Weak => "weak",
            Self::Strong => "strong",
            Self::Exact => "exact",
        }
    }
}

/// An attribute value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; what the conventions fix, or is short, needs no memory of its own.
    String(SmolStr),
    /// A number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// Texts, in order.
    Strings(Vec<String>),
}

/// A named attribute.
pub type Attribute = (&'static str, Value);

/// An OTLP span link.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanLink {
    /// Trace of the linked span.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// Why it is linked.
    pub attributes: Vec<Attribute>,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace.
    pub trace_id: TraceId,
    /// This span.
    pub span_id: SpanId,
    /// Parent span, none at a root or an orphan.
    pub parent: Option<SpanId>,
    /// `tracestate` of the wire.
    pub tracestate: SmolStr,
    /// The sampled flag of the wire, if a context was on it.
    pub sampled: Option<bool>,
    /// Which end.
    pub kind: Kind,
    /// Low-cardinality name (HTTP conventions: the method, with a route where one is known).
    pub name: &'static str,
    /// Start.
    pub start: BootNanos,
    /// End; not before the start.
    pub end: BootNanos,
    /// Status.
    pub status: Status,
    /// Attributes, in a fixed order.
    pub attributes: Vec<Attribute>,
    /// Links to causes that are not the parent.
    pub links: Vec<SpanLink>,
    /// The process the span belongs to.
    pub process: Arc<Process>,
}
