//! From a finished half and what was decided about it to its span, by OpenTelemetry's stable HTTP conventions.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::target::{Authority, Target};
use super::{Attribute, Decision, Kind, Span, Status, Value, errno, names};
use crate::decode::{Address, Endpoint, Process};
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
    pub endpoint: &'a Endpoint,
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
        name: method.unwrap_or("HTTP").to_owned(),
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
        attributes.text(names::REQUEST_METHOD_ORIGINAL, &request.method);
    }
    let target = Target::parse(&request.method, &request.target, request.host.as_deref());
    let (address, port) = server(half, target.authority);
    match request.role {
        Role::Server => {
            attributes.known(names::URL_SCHEME, target.scheme);
            attributes.text(names::URL_PATH, &target.path);
            if let Some(client) = address_text(&half.endpoint.peer) {
                attributes.address(names::CLIENT_ADDRESS, client);
            }
            if let Some(agent) = &request.user_agent {
                attributes.text(names::USER_AGENT, agent);
            }
        }
        Role::Client => {
            let host = address.as_deref().unwrap_or("unknown");
            attributes.text(names::URL_FULL, &url(&target, host));
        }
    }
    if let Some(address) = &address {
        attributes.text(names::SERVER_ADDRESS, address);
        if let Some(port) = port {
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
        (&half.endpoint.local, names::LOCAL_ADDRESS, names::LOCAL_PORT),
        (&half.endpoint.peer, names::PEER_ADDRESS, names::PEER_PORT),
    ];
    for (end, address, port) in ends {
        if let Some(text) = address_text(end) {
            attributes.address(address, text);
        }
        if let Some(number) = port_number(end) {
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

/// Host and port of the server: as the request names them, else of the server's end of the connection. A port that is
/// not named is the connection's too; a unix socket has none.
fn server<'a>(half: Half<'a>, named: Option<Authority<'a>>) -> (Option<Cow<'a, str>>, Option<u16>) {
    let end = match half.request.role {
        Role::Client => &half.endpoint.peer,
        Role::Server => &half.endpoint.local,
    };
    match named {
        Some(Authority { host, port }) => (Some(Cow::Borrowed(host)), port.or(port_number(end))),
        None => (address_text(end), port_number(end)),
    }
}

/// The whole URL of a call. Only a port that the request names is in it, as the caller wrote it.
fn url(target: &Target<'_>, host: &str) -> String {
    let mut url = if target.path.is_empty() { "//".to_owned() } else { format!("{}://", target.scheme) };
    if host.contains('/') {
        // A unix socket's path, as the part of a URL that it stands for can hold it (RFC 3986, section 3.2.2).
        url.push_str(&host.replace('%', "%25").replace('/', "%2F"));
    } else if host.contains(':') {
        url.push_str(&format!("[{host}]"));
    } else {
        url.push_str(host);
    }
    if let Some(port) = target.authority.and_then(|authority| authority.port) {
        url.push_str(&format!(":{port}"));
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

fn address_text(address: &Address) -> Option<Cow<'_, str>> {
    match address {
        Address::Unknown => None,
        Address::Inet(ip, _) => Some(Cow::Owned(match ip.to_canonical() {
            IpAddr::V4(ip) => dotted(ip),
            IpAddr::V6(ip) => ip.to_string(),
        })),
        Address::Unix(path) => Some(Cow::Borrowed(path)),
    }
}

/// What `to_string` gives, in a tenth of its time: each span has three of them.
fn dotted(ip: Ipv4Addr) -> String {
    let mut text = String::with_capacity("255.255.255.255".len());
    for (place, number) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        let digits = [number / 100, number / 10 % 10, number % 10];
        let first = digits[..2].iter().position(|digit| *digit > 0).unwrap_or(2);
        text.extend(digits[first..].iter().map(|digit| char::from(b'0' + digit)));
    }
    text
}

const fn port_number(address: &Address) -> Option<u16> {
    match address {
        Address::Inet(_, port) => Some(*port),
        Address::Unknown | Address::Unix(_) => None,
    }
}

/// As many as most spans have.
const ATTRIBUTES: usize = 20;

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Value::String(clean(value).into())));
    }

    /// What [`address_text`] gives: numbers need no cleaning, paths do.
    fn address(&mut self, name: &'static str, value: Cow<'_, str>) {
        match value {
            Cow::Borrowed(path) => self.text(name, path),
            Cow::Owned(numbers) => self.0.push((name, Value::String(numbers.into()))),
        }
    }

    /// A value of a closed list.
    fn known(&mut self, name: &'static str, value: &'static str) {
        self.0.push((name, Value::String(value.into())));
    }

    /// A header field's value: a list by the conventions, since a field may come more than once.
    fn field(&mut self, name: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|value| (name, Value::Strings(vec![clean(value)]))));
    }

    fn int(&mut self, name: &'static str, value: u64) {
        self.0.push((name, Value::Int(i64::try_from(value).unwrap_or(i64::MAX))));
    }
}

/// Bytes of the wire end up in terminals and log lines, so control characters are replaced, and the length is bounded.
fn clean(value: &str) -> String {
    let end = value.floor_char_boundary(SPAN_VALUE_BYTES_MAX);
    // Without an early end it is many bytes at a time.
    if value[..end].bytes().fold(true, |clean, byte| clean & matches!(byte, b' '..=b'~')) {
        return value[..end].to_owned();
    }
    let replaced = |c: char| {
        if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
    };
    value[..end].chars().map(replaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_addresses_are_those_of_the_standard_library() {
        for octets in [[0, 0, 0, 0], [127, 0, 0, 1], [10, 100, 99, 9], [255, 255, 255, 255], [1, 20, 101, 110]] {
            let ip = Ipv4Addr::from(octets);
            assert_eq!(dotted(ip), ip.to_string());
        }
    }
}
