//! From a finished half and what was decided about it to its span, by OpenTelemetry's stable HTTP conventions.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use smol_str::SmolStr;

use super::target::Target;
use super::{Attribute, Decision, Kind, Span, Status, Value, errno, names};
use crate::conn::{End as Place, Ends};
use crate::decode::Process;
use crate::limits::SPAN_VALUE_BYTES_MAX;
use crate::proto::exchange::{End, Outcome, Request, Response, Role};

/// A finished half with the facts about its ends.
#[derive(Clone, Copy, Debug)]
pub struct Half<'a> {
    /// Its request.
    pub request: &'a Request,
    /// Its final response, if one was seen.
    pub response: Option<&'a Response>,
    /// How it ended.
    pub end: &'a End,
    /// Both addresses of its socket.
    pub ends: &'a Ends,
    /// Its socket is a unix socket.
    pub unix: bool,
    /// The process it belongs to.
    pub process: &'a Arc<Process>,
}

/// Builds the span of a half. What it says of the request is what the conventions ask for and no more: no query, no
/// credentials, no header field but `User-Agent` and the correlation ids.
#[must_use]
pub fn build(half: Half<'_>, decision: Decision) -> Span {
    let error = error_type(half);
    let mut attributes = Attributes(Vec::with_capacity(ATTRIBUTES));
    let method = known_method(&half.request.method);
    request(half, method, &mut attributes);
    answer(half, &decision, error, &mut attributes);
    network(half, &mut attributes);
    link(half.end, &decision, &mut attributes);
    Span {
        trace_id: decision.trace_id,
        span_id: decision.span_id,
        parent: decision.parent,
        tracestate: decision.tracestate.unwrap_or_default(),
        sampled: decision.sampled,
        kind: match half.request.role {
            Role::Client => Kind::Client,
            Role::Server => Kind::Server,
        },
        name: method.unwrap_or("HTTP"),
        start: decision.start,
        end: half.end.time.max(decision.start),
        status: if error.is_some() { Status::Error } else { Status::Unset },
        attributes: attributes.0,
        links: decision.links,
        process: Arc::clone(half.process),
    }
}

fn request(half: Half<'_>, method: Option<&'static str>, attributes: &mut Attributes) {
    let request = half.request;
    attributes.known(names::REQUEST_METHOD, method.unwrap_or("_OTHER"));
    if method.is_none() {
        attributes.shared(names::REQUEST_METHOD_ORIGINAL, &request.method);
    }
    let target = Target::parse(&request.method, &request.target, request.host.as_deref());
    let end = server_end(half);
    let unnamed = if target.authority.is_none() { address(end, half.unix) } else { None };
    let server = target.authority.map(|authority| authority.host).or(unnamed.as_deref());
    match request.role {
        Role::Server => {
            attributes.known(names::URL_SCHEME, target.scheme);
            attributes.text(names::URL_PATH, &target.path);
            if let Some(client) = address(&half.ends.peer, half.unix) {
                attributes.address(names::CLIENT_ADDRESS, client);
            }
            if let Some(agent) = &request.user_agent {
                attributes.shared(names::USER_AGENT, agent);
            }
        }
        Role::Client => {
            attributes.text(names::URL_FULL, &url(&target, server.unwrap_or("unknown")));
        }
    }
    if let Some(server) = server {
        attributes.text(names::SERVER_ADDRESS, server);
        // A port that is not named is the connection's; a unix socket has none.
        let named = target.authority.and_then(|authority| authority.port);
        if let Some(port) = named.or(end.port) {
            attributes.int(names::SERVER_PORT, port.into());
        }
    }
    if let Some(size) = half.end.request_body_bytes {
        attributes.int(names::REQUEST_BODY_SIZE, size);
    }
    attributes.field(names::REQUEST_ID, request.context.request_id.as_deref());
    attributes.field(names::REQUEST_TRACE_ID, request.context.x_trace_id.as_deref());
}

fn answer(half: Half<'_>, decision: &Decision, error: Option<ErrorType>, attributes: &mut Attributes) {
    if let Some(response) = half.response {
        attributes.int(names::STATUS_CODE, response.status.into());
        attributes.int(names::TIME_TO_FIRST_BYTE, response.start.since(decision.start));
        attributes.field(names::RESPONSE_REQUEST_ID, response.ids.request_id.as_deref());
        attributes.field(names::RESPONSE_TRACE_ID, response.ids.x_trace_id.as_deref());
    }
    if let Some(size) = half.end.response_body_bytes {
        attributes.int(names::RESPONSE_BODY_SIZE, size);
    }
    match error {
        Some(ErrorType::Status(status)) => attributes.text(names::ERROR_TYPE, &status.to_string()),
        Some(ErrorType::Name(name)) => attributes.known(names::ERROR_TYPE, name),
        None => {}
    }
}

fn network(half: Half<'_>, attributes: &mut Attributes) {
    attributes.known(names::PROTOCOL_VERSION, half.request.version);
    attributes.known(names::TRANSPORT, if half.unix { "unix" } else { "tcp" });
    let ends = [
        (&half.ends.local, names::LOCAL_ADDRESS, names::LOCAL_PORT),
        (&half.ends.peer, names::PEER_ADDRESS, names::PEER_PORT),
    ];
    for (end, name, port) in ends {
        if let Some(text) = address(end, half.unix) {
            attributes.address(name, text);
        }
        if let Some(number) = end.port {
            attributes.int(port, number.into());
        }
    }
}

fn link(end: &End, decision: &Decision, attributes: &mut Attributes) {
    attributes.known(names::EVIDENCE, decision.evidence.name());
    attributes.known(names::CONFIDENCE, decision.confidence.name());
    if let Some(reason) = decision.orphan_reason {
        attributes.known(names::ORPHAN_REASON, reason.name());
    }
    if decision.conflict {
        attributes.0.push((names::CONFLICT, Value::Bool(true)));
    }
    if end.unseen_bytes > 0 {
        attributes.int(names::UNSEEN_BYTES, end.unseen_bytes);
    }
}

/// The server's end of the connection: where the request does not name the server, this does.
const fn server_end(half: Half<'_>) -> &Place {
    match half.request.role {
        Role::Client => &half.ends.peer,
        Role::Server => &half.ends.local,
    }
}

/// The whole URL of a call. Only a port that the request names is in it, as the caller wrote it.
fn url(target: &Target<'_>, host: &str) -> String {
    let mut url = String::with_capacity("https://[]:65535".len() + host.len() + target.path.len());
    if !target.path.is_empty() {
        url.push_str(target.scheme);
        url.push(':');
    }
    url.push_str("//");
    if host.contains('/') {
        // A unix socket's path, as the part of a URL that it stands for can hold it (RFC 3986, section 3.2.2).
        url.push_str(&host.replace('%', "%25").replace('/', "%2F"));
    } else if host.contains(':') {
        url.extend(["[", host, "]"]);
    } else {
        url.push_str(host);
    }
    if let Some(port) = target.authority.and_then(|authority| authority.port) {
        // Writing to a string does not fail.
        let _ = write!(url, ":{port}");
    }
    if target.path != "*" {
        url.push_str(&target.path);
    }
    url
}

/// Methods the conventions know: those of RFC 9110 and PATCH. Methods are case-sensitive.
fn known_method(method: &str) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method)
}

#[derive(Clone, Copy)]
enum ErrorType {
    Status(u16),
    Name(&'static str),
}

/// A status that the conventions call an error comes before how the exchange ended: it is what the other end knows too.
fn error_type(half: Half<'_>) -> Option<ErrorType> {
    let lowest = match half.request.role {
        Role::Client => 400,
        Role::Server => 500,
    };
    let status = half.response.map(|response| response.status);
    if let Some(status) = status.filter(|status| *status >= lowest) {
        return Some(ErrorType::Status(status));
    }
    match half.end.outcome {
        Outcome::Complete | Outcome::Upgraded => None,
        // A void exchange becomes no span.
        Outcome::Closed | Outcome::Void => Some(ErrorType::Name("closed")),
        Outcome::Error(number) => Some(ErrorType::Name(errno::name(number))),
    }
}

/// An address as it is shown: numbers need no cleaning, paths do.
fn address(end: &Place, unix: bool) -> Option<SmolStr> {
    end.text.as_ref().map(|text| if unix { clean(text).into() } else { text.clone() })
}

/// As many as most spans have.
const ATTRIBUTES: usize = 20;

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Value::String(clean(value).into())));
    }

    /// [`Self::text`] that may be shared with where it comes from.
    fn shared(&mut self, name: &'static str, value: &SmolStr) {
        let value = match clean(value) {
            Cow::Borrowed(whole) if whole.len() == value.len() => value.clone(),
            other => other.into(),
        };
        self.0.push((name, Value::String(value)));
    }

    /// What [`address`] gives.
    fn address(&mut self, name: &'static str, value: SmolStr) {
        self.0.push((name, Value::String(value)));
    }

    /// A value of a closed list.
    fn known(&mut self, name: &'static str, value: &'static str) {
        self.0.push((name, Value::String(SmolStr::new_static(value))));
    }

    /// A header field's value: a list by the conventions, since a field may come more than once.
    fn field(&mut self, name: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|value| (name, Value::Strings(vec![clean(value).into_owned()]))));
    }

    fn int(&mut self, name: &'static str, value: u64) {
        self.0.push((name, Value::Int(i64::try_from(value).unwrap_or(i64::MAX))));
    }
}

/// Bytes of the wire end up in terminals and log lines, so control characters are replaced, and the length is bounded.
fn clean(value: &str) -> Cow<'_, str> {
    let end = value.floor_char_boundary(SPAN_VALUE_BYTES_MAX);
    // Without an early end it is many bytes at a time.
    if value[..end].bytes().fold(true, |clean, byte| clean & matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(&value[..end]);
    }
    let replaced = |c: char| {
        if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
    };
    value[..end].chars().map(replaced).collect()
}
