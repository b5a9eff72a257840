//! Ids on the wire: W3C Trace Context and its kin.
//!
//! They are read from the header fields of a message's head, never from trailers or a body. A field that names one
//! thing but occurs twice names nothing: which of the two the next hop will believe is not known.

mod b3;
mod hex;
mod jaeger;
mod traceparent;
mod tracestate;

#[cfg(test)]
mod tests;

use smol_str::SmolStr;

use crate::ids::{SpanId, TraceId};
use crate::limits::CORRELATION_ID_BYTES_MAX;

/// Trace context and correlation ids found on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireContext {
    /// The parent named by `traceparent`, else by b3 or uber-trace-id.
    pub parent: Option<WireParent>,
    /// `tracestate`, combined from its fields, in its limits.
    pub tracestate: Option<SmolStr>,
    /// `x-request-id`.
    pub request_id: Option<SmolStr>,
    /// `x-trace-id`.
    pub x_trace_id: Option<SmolStr>,
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

/// Correlation ids of an answer: what its server calls the exchange, for people who search for it. They link nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerIds {
    /// `x-request-id`.
    pub request_id: Option<SmolStr>,
    /// `x-trace-id`.
    pub x_trace_id: Option<SmolStr>,
}

impl AnswerIds {
    /// Reads the header fields of one head, as [`WireContext::read`] does.
    pub fn read<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let WireContext { request_id, x_trace_id, .. } = WireContext::read(fields);
        Self { request_id, x_trace_id }
    }
}

impl WireContext {
    /// Reads the header fields of one head, in their order; names in any case, values without surrounding space.
    pub fn read<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Fields::default();
        for (name, value) in fields {
            found.note(name, value);
        }
        let traced = found.traceparent.get().and_then(traceparent::parse);
        Self {
            parent: traced.or_else(|| found.b3.parent()).or_else(|| found.uber_trace_id.get().and_then(jaeger::parse)),
            // Without a valid traceparent a tracestate must not be read (W3C Trace Context level 2, section 3.3).
            tracestate: traced.and_then(|_| tracestate::combine(&found.tracestate)),
            request_id: found.request_id.get().and_then(correlation_id),
            x_trace_id: found.x_trace_id.get().and_then(correlation_id),
        }
    }
}

/// A field that may occur once.
#[derive(Clone, Copy, Debug, Default)]
enum Once<'a> {
    #[default]
    Absent,
    Value(&'a [u8]),
    Repeated,
}

impl<'a> Once<'a> {
    const fn note(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Value(value),
            Self::Value(_) | Self::Repeated => Self::Repeated,
        };
    }

    const fn get(self) -> Option<&'a [u8]> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

#[derive(Default)]
struct Fields<'a> {
    traceparent: Once<'a>,
    tracestate: Vec<&'a [u8]>,
    b3: b3::Fields<'a>,
    uber_trace_id: Once<'a>,
    request_id: Once<'a>,
    x_trace_id: Once<'a>,
}

impl<'a> Fields<'a> {
    fn note(&mut self, name: &str, value: &'a [u8]) {
        if name.eq_ignore_ascii_case("traceparent") {
            self.traceparent.note(value);
        } else if name.eq_ignore_ascii_case("tracestate") {
            self.tracestate.push(value);
        } else if name.eq_ignore_ascii_case("uber-trace-id") {
            self.uber_trace_id.note(value);
        } else if name.eq_ignore_ascii_case("x-request-id") {
            self.request_id.note(value);
        } else if name.eq_ignore_ascii_case("x-trace-id") {
            self.x_trace_id.note(value);
        } else {
            self.b3.note(name, value);
        }
    }
}

/// An opaque id: visible ASCII, so that it can be compared and shown as it is.
fn correlation_id(value: &[u8]) -> Option<SmolStr> {
    let sound = (1..=CORRELATION_ID_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    sound.then(|| value.iter().copied().map(char::from).collect())
}
