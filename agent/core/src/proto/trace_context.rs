//! Ids on the wire: W3C Trace Context and its kin.

use crate::ids::{SpanId, TraceId};

/// Trace context and correlation ids found on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireContext {
    /// The parent named by `traceparent`, else by b3 or uber-trace-id.
    pub parent: Option<WireParent>,
    /// `tracestate`, combined from its fields, in its limits.
    pub tracestate: Option<String>,
    /// `x-request-id`.
    pub request_id: Option<String>,
}

/// A parent named on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WireParent {
    /// Trace id.
    pub trace_id: TraceId,
    /// Span id of the caller.
    pub span_id: SpanId,
    /// The sampled flag.
    pub sampled: bool,
}
