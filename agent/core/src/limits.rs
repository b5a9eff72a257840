//! Every bound of the core, with its reason and what happens at the limit.

/// Bytes of one text value of a span. Request heads are captured up to 8 KiB, so a longer one is an unusual URL or
/// user agent; it is cut.
pub const SPAN_VALUE_BYTES_MAX: usize = 2048;

/// A half settles this long after its exchange ended: threads end and interleaving shows meanwhile. Evidence that comes
/// later is dropped.
pub const SETTLE_NS: u64 = 700_000_000;

/// A decision waits this long for a thread to end before the call becomes an orphan: descendants of a call that is still
/// open have ended before it.
pub const PENDING_NS: u64 = 30_000_000_000;

/// A thread that was created for one job ends when it is done; a worker waits for another job first, for as long as its
/// pool lets it (3 s in cpp-httplib, 10 s in tokio, 15 s in GLib, 20 s in .NET). So one that did nothing visible for
/// this long proves nothing.
pub const LINGER_NS: u64 = 1_000_000_000;

/// A settled half is kept this long as a possible cause of later calls (work that goes on after the answer).
pub const RETENTION_NS: u64 = 10_000_000_000;

/// An ended thread is remembered this long: its calls are judged with hindsight.
pub const EXITED_THREAD_NS: u64 = PENDING_NS + 5_000_000_000;

/// Bytes of halves kept, open and settled ones together (some 21,000 with short heads, so that those of 2,100 a second
/// stay for [`RETENTION_NS`]). Beyond it those that settled longest ago are forgotten, then those that are open longest,
/// and counted. Tests reach it with fewer.
pub const HALVES_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 24 << 20 };

/// Bytes of the halves that wait to settle. Beyond it those that wait longest settle early, and are counted.
pub const SETTLING_BYTES_MAX: usize = HALVES_BYTES_MAX / 5 * 4;

/// Threads remembered. Beyond it the eighth that has not acted longest is forgotten, and counted: their calls are
/// orphans.
pub const THREADS_MAX: usize = 65_536;

/// Units of runtimes remembered. Beyond it those known longest are forgotten, and counted: their calls are orphans.
pub const UNITS_MAX: usize = 65_536;

/// Tasks remembered by their names. Beyond it those put longest ago are forgotten, and counted: calls made for them are
/// orphans. So many are put in ten seconds at 1,600 a second. Tests reach it with fewer.
pub const TASKS_MAX: usize = if cfg!(test) { 64 } else { 16_384 };

/// How often one task may be put by others than what works for it. One that is put more often is nobody's.
pub const TASK_PUTS_MAX: usize = 4;

/// A task is remembered this long after it was put last, and so is the request that it may have been put for, as far as there is
/// room: it may wait in its queue for long after that was answered.
pub const TASK_NS: u64 = 60_000_000_000;

/// Tasks that are asked for on the way from one call to its request: each may be put by another one (a chain).
pub const TASK_DEPTH_MAX: usize = 64;

/// Turns of a connection to a broker without a task, before it is taken for another use of it (a cache), and no more of it is
/// copied.
pub const BROKER_TURNS_MAX: u32 = 64;

/// Queues that are known to lend what is in them. Beyond it all are forgotten, and counted: what is taken from them is
/// taken for work until something is put back again.
pub const LENDING_QUEUES_MAX: usize = 16_384;

/// Calls that must have been answered in a process, each for one request, before an answer tells whom a call was made for.
/// A worker that also answers without a call, or calls without an answer, shows itself in so many.
pub const ANSWERING_MIN: u32 = 16;

/// A process in which a unit answered several requests after one call is not believed for so long: the answers of such units are
/// told apart from others by nothing.
pub const ANSWERING_NS: u64 = 60_000_000_000;

/// A queue that nothing was put back into for so long may be another one at its address.
pub const LENDING_NS: u64 = 60_000_000_000;

/// Units whose records a thread may be ahead by: as many as connections it writes to between two parts of one head.
pub const RUNNING_MAX: usize = 8;

/// Processes whose facts are remembered. Beyond it those of the lowest process ids are forgotten, and counted: their
/// spans have no resource.
pub const PROCESSES_MAX: usize = 32_768;

/// An ended process's facts are kept this long: until all that it did has settled.
pub const ENDED_PROCESS_NS: u64 = EXITED_THREAD_NS;

/// Requests that must have been open beside another one, on threads that never interleaved, before a non-blocking
/// process's threads are believed: an event loop of one thread would have shown itself in the first of them.
pub const WITNESSES_MIN: u32 = 64;

/// Links followed from a call to its cause within one process, and halves from a span to its root.
pub const CAUSE_DEPTH_MAX: usize = 64;

/// Requests of a process that carry one context, as far as they are looked at. A context that more of them carry within
/// the retention is a constant: it names none of them.
pub const CARRIERS_MAX: usize = 64;

/// The hooks of the two ends of one message run this far apart at most, in either order.
pub const PEER_SKEW_NS: u64 = 50_000_000;

/// Connections kept: beyond it the longest idle are forgotten, and counted; their open exchanges are void, and their
/// later bytes belong to no connection. Tests reach it with fewer.
pub const CONNECTIONS_MAX: usize = if cfg!(test) { 512 } else { 65_536 };

/// Connections of the agent itself whose other ends are left out: beyond it the oldest are forgotten, which have closed.
pub const AGENT_CONNECTIONS_MAX: usize = 256;

/// Bytes that all parsers together hold of unfinished heads and open exchanges. Beyond it a connection that comes to hold
/// more is given up, and counted: clients that send their heads slowly, or requests without reading answers. Tests reach it
/// with fewer.
pub const PARSERS_BYTES_MAX: usize = if cfg!(test) { 256 << 10 } else { 32 << 20 };

/// Bytes that a parser may hold even then: an exchange whose heads come whole needs no more.
pub const PARSER_BYTES_MIN: usize = 1024;

/// Turn starts remembered per connection: one more than the exchanges whose turn may still be asked for.
pub const TURNS_MAX: usize = 64;

/// A closed connection is kept this long: counts of its last bytes may come late.
pub const CLOSED_CONNECTION_NS: u64 = 1_000_000_000;

// HTTP/1 (proto::http1) and ids on the wire (proto::trace_context).

/// Bytes of a request head that are kept: what the kernel half captures of a request turn. A longer head is cut there:
/// the exchange has the fields seen so far, and requests are read again from the next turn on.
pub const HTTP1_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Bytes of unfinished heads kept per connection, both directions together: a whole request head and the captured
/// head of a response. A response head that finds no more room is cut, as if the capture had ended there.
pub const HTTP1_HEADS_BYTES_MAX: usize = HTTP1_HEAD_BYTES_MAX + 1024;

/// Bytes of a request method: the longest registered one has 17 (`UPDATEREDIRECTREF`). A longer token is not taken for
/// a method, so that a connection of another protocol is known after a few bytes.
pub const HTTP1_METHOD_BYTES_MAX: usize = 32;

/// Requests without an answer on one connection. Pipelines are short (curl had 5, apt has 10), and 8 KiB hold few
/// heads. At the limit all of them are void and the connection is read again from its next turn on.
pub const HTTP1_OPEN_EXCHANGES_MAX: usize = 128;

/// Visible turn beginnings of a connection without a request line that could be trusted, before it is taken for
/// another protocol. An old HTTP connection shows one within two or three.
pub const HTTP1_DETECT_TURNS_MAX: u32 = 32;

/// List members of a `tracestate` (W3C Trace Context level 2, section 3.3.1). A longer list is invalid as a whole.
pub const TRACESTATE_MEMBERS_MAX: usize = 32;

/// Characters of a combined `tracestate`, commas included: as many as have to be propagated (section 3.3.1.5). Of a
/// longer one whole members are left out: first long ones, then from the end.
pub const TRACESTATE_CHARS_MAX: usize = 512;

/// Characters of a `tracestate` member that is not among the first to be left out (section 3.3.1.5).
pub const TRACESTATE_MEMBER_CHARS_MAX: usize = 128;

/// Bytes of an `x-request-id` or `x-trace-id`: a few UUIDs. A longer one is ignored, since a cut id names nothing.
pub const CORRELATION_ID_BYTES_MAX: usize = 256;
