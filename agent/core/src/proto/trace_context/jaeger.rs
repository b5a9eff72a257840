//! `uber-trace-id`, the propagation format of the Jaeger client libraries.

use super::{WireParent, hex};

/// `sampled` and `debug` in the flags; a debug trace is sampled.
const SAMPLED: u8 = 1 | 2;

/// `{trace id}:{span id}:{parent span id}:{flags}`, ids with or without their leading zeros. Some clients escape the
/// colons as in a URL.
pub(super) fn parse(value: &[u8]) -> Option<WireParent> {
    let value = std::str::from_utf8(value).ok()?;
    let value = value.replace("%3A", ":").replace("%3a", ":");
    let mut parts = value.split(':').map(str::as_bytes);
    let trace_id = hex::padded(parts.next()?)?;
    let span_id = hex::padded(parts.next()?)?;
    // Deprecated: any value is accepted and ignored.
    parts.next()?;
    let [flags] = hex::padded(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    Some(WireParent {
        trace_id: hex::trace_id(trace_id)?,
        span_id: hex::span_id(span_id)?,
        sampled: flags & SAMPLED != 0,
    })
}
