//! The clock that truth and spans share.

use std::time::{SystemTime, UNIX_EPOCH};

/// How far a span's time may be from what the test measured: the agent merges byte counts for 10 ms, and two busy cores
/// may keep a program from noting the time it means.
pub const TOLERANCE_NS: u64 = 150_000_000;

/// Nanoseconds since the epoch, as OTLP counts them.
#[must_use]
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Whether two times are the same within [`TOLERANCE_NS`].
#[must_use]
pub const fn near(left_ns: u64, right_ns: u64) -> bool {
    left_ns.abs_diff(right_ns) <= TOLERANCE_NS
}
