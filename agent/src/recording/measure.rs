//! What the core alone costs: a recording replayed out of memory, its spans dropped.

use std::io::Read;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tracemend_core::engine::Output;
use tracemend_core::recording::Entry;

use super::Recording;
use super::replay::core;

/// Replays a recording on this thread, and tells `entries`, `spans` and the `seconds` of a
/// processor; reading the recording is not part of them.
///
/// # Errors
/// It cannot be read to its end.
pub fn measure<R: Read>(recording: Recording<R>) -> Result<Value> {
    let mut engine = core(recording.header(), false)?;
    let entries = recording.collect::<Result<Vec<Entry>, _>>()?;
    let (count, mut spans) = (entries.len(), 0);
    let mut out = Output::default();
    let start = processor_seconds();
    for entry in entries {
        entry.replay(&mut engine, &mut out);
        spans += out.spans.len();
        out.spans.clear();
        out.policies.clear();
    }
    Ok(json!({"entries": count, "spans": spans, "seconds": processor_seconds() - start}))
}

/// What this thread has had of a processor: other programs do not count.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
