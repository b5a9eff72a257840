//! Which fields of a head keep their values.

/// What spans are made of, what frames a message, and what names a trace; in lower case.
const KEPT: [&str; 19] = [
    "b3",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "user-agent",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-request-id",
    "x-trace-id",
];

/// Whether the value of a field stays. `name` in any case.
pub(super) fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|kept| kept.as_bytes().eq_ignore_ascii_case(name))
}
