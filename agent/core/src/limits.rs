//! Every bound of the core, with its reason and what happens at the limit.

/// Bytes of one text value of a span. Request heads are captured up to 8 KiB, so a longer one is an unusual URL or
/// user agent; it is cut.
pub const SPAN_VALUE_BYTES_MAX: usize = 2048;
