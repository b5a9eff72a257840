//! Header fields of one head: lines of `name: value`.

use tracemend_core::limits::{CORRELATION_ID_BYTES_MAX, TRACESTATE_CHARS_MAX, TRACESTATE_MEMBERS_MAX};
use tracemend_core::proto::trace_context::WireContext;

pub(crate) fn run(bytes: &[u8]) {
    let fields = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
    });
    let context = WireContext::read(fields);
    if let Some(parent) = context.parent {
        assert_ne!(parent.trace_id.0, [0; 16]);
        assert_ne!(parent.span_id.0, [0; 8]);
    }
    if let Some(state) = &context.tracestate {
        assert!(context.parent.is_some(), "a tracestate without its traceparent");
        assert!(state.len() <= TRACESTATE_CHARS_MAX && state.split(',').count() <= TRACESTATE_MEMBERS_MAX, "{state}");
        assert!(state.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{state:?}");
    }
    for id in [&context.request_id, &context.x_trace_id].into_iter().flatten() {
        assert!((1..=CORRELATION_ID_BYTES_MAX).contains(&id.len()), "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
    }
}
