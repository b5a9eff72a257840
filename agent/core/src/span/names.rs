//! Attribute names: OpenTelemetry's stable HTTP and network conventions, and the few of our own.

/// Request method, `_OTHER` if unknown.
pub const REQUEST_METHOD: &str = "http.request.method";
/// Request method as on the wire, where it is unknown.
pub const REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
/// `x-request-id` of the request.
pub const REQUEST_ID: &str = "http.request.header.x-request-id";
/// `x-trace-id` of the request.
pub const REQUEST_TRACE_ID: &str = "http.request.header.x-trace-id";
/// `x-request-id` of the response.
pub const RESPONSE_REQUEST_ID: &str = "http.response.header.x-request-id";
/// `x-trace-id` of the response.
pub const RESPONSE_TRACE_ID: &str = "http.response.header.x-trace-id";
/// Bytes of the request's body.
pub const REQUEST_BODY_SIZE: &str = "http.request.body.size";
/// Bytes of the response's body.
pub const RESPONSE_BODY_SIZE: &str = "http.response.body.size";
/// Status code of the response.
pub const STATUS_CODE: &str = "http.response.status_code";
/// Path of a served request.
pub const URL_PATH: &str = "url.path";
/// Scheme of a served request.
pub const URL_SCHEME: &str = "url.scheme";
/// Whole URL of a call, without credentials and query.
pub const URL_FULL: &str = "url.full";
/// Host the request names.
pub const SERVER_ADDRESS: &str = "server.address";
/// Port the request names.
pub const SERVER_PORT: &str = "server.port";
/// Who a served request came from.
pub const CLIENT_ADDRESS: &str = "client.address";
/// `User-Agent` of a served request.
pub const USER_AGENT: &str = "user_agent.original";
/// Version of HTTP.
pub const PROTOCOL_VERSION: &str = "network.protocol.version";
/// `tcp` or `unix`.
pub const TRANSPORT: &str = "network.transport";
/// Address of this end.
pub const LOCAL_ADDRESS: &str = "network.local.address";
/// Port of this end.
pub const LOCAL_PORT: &str = "network.local.port";
/// Address of the other end.
pub const PEER_ADDRESS: &str = "network.peer.address";
/// Port of the other end.
pub const PEER_PORT: &str = "network.peer.port";
/// Class of a failure.
pub const ERROR_TYPE: &str = "error.type";

/// From the span's start to the response's first byte, in nanoseconds.
pub const TIME_TO_FIRST_BYTE: &str = "tracemend.http.time_to_first_byte_ns";
/// How the cause is known.
pub const EVIDENCE: &str = "tracemend.link.evidence";
/// How sure that is.
pub const CONFIDENCE: &str = "tracemend.link.confidence";
/// Why an orphan has no parent.
pub const ORPHAN_REASON: &str = "tracemend.link.orphan_reason";
/// True where two kinds of evidence disagreed.
pub const CONFLICT: &str = "tracemend.link.conflict";
/// Bytes of the exchange that were counted but not seen.
pub const UNSEEN_BYTES: &str = "tracemend.unseen_bytes";
