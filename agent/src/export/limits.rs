//! Every bound of the export stage, with its reason and what happens at the limit.

use std::time::Duration;

/// Spans waiting for the collector: about 20 s of a busy host. At the limit the oldest are dropped and counted.
pub const QUEUE_SPANS_MAX: usize = 100_000;

/// Memory of the waiting spans, as estimated. At the limit the oldest are dropped and counted.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Spans of one request, the size OpenTelemetry's SDKs send. A larger batch becomes several.
pub const BATCH_SPANS_MAX: usize = 512;

/// Estimated bytes of one request. Servers refuse messages over 4 MiB for good (OTLP specification, "Request"), and the
/// estimate is above what is encoded. A larger batch becomes several.
pub const BATCH_BYTES_MAX: usize = 2 << 20;

/// A span waits this long for its request to the collector to fill up.
pub const BATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The same for the file and the terminal, where a small batch costs nothing.
pub const LOCAL_INTERVAL: Duration = Duration::from_millis(200);

/// Requests under way to the collector: enough to fill a slow line (4 x 512 spans a round trip). At the limit batches
/// wait in the queue.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 4;

/// First wait before a request is tried again; it doubles with each try.
pub const RETRY_WAIT_MIN: Duration = Duration::from_millis(500);

/// Longest wait of our own choosing, so that a collector that is back is noticed soon.
pub const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// A collector that asks for time gets at most so much before the next try, so that a wrong answer cannot silence the
/// agent.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// A request is tried for so long, as the Collector's exporters do. At the limit its spans are dropped and counted.
pub const RETRY_ELAPSED_MAX: Duration = Duration::from_secs(300);

/// Bytes of a collector's answer that are read. At the limit the answer counts as empty.
pub const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// Establishing a connection to the collector; at the limit the try has failed.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What was sent to the collector may stay unacknowledged for so long; at the limit the connection is given up and the
/// next try opens a new one. Without it a collector that vanished is noticed after a quarter of an hour.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);

/// Characters of a collector's message that are logged; the rest is cut.
pub const MESSAGE_CHARS_MAX: usize = 300;

/// Traces whose sampling and clock offset are remembered, so that all spans of a trace agree. At the limit the oldest
/// half is forgotten: a later span of such a trace is decided anew, the same unless its flag or the clock changed.
pub const TRACES_REMEMBERED_MAX: usize = 65_536;

/// A trace is drawn on the terminal when nothing came for so long: links settle within 1 s of an exchange's end.
pub const TRACE_QUIET: Duration = Duration::from_millis(1500);

/// Rows held for the terminal. At the limit the traces quiet for longest are drawn early.
pub const ROWS_HELD_MAX: usize = 20_000;
