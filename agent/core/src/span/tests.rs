use std::net::IpAddr;
use std::sync::Arc;

use super::{Confidence, Decision, Evidence, Half, Kind, OrphanReason, Span, Status, Value, build, names};
use crate::decode::{Actor, Address, Endpoint, Process};
use crate::ids::{BootNanos, SockCookie, SpanId, TraceId};
use crate::limits::SPAN_VALUE_BYTES_MAX;
use crate::proto::exchange::{End, Ending, HalfKey, Outcome, Request, Response, Role};
use crate::proto::trace_context::{AnswerIds, WireContext};

const KEY: HalfKey = HalfKey { cookie: SockCookie(7), offset: 1 };

/// One half of `GET /pay?card=4711` to `api:8080`, answered 200 after 40 ns, over after 90.
struct Case {
    request: Request,
    response: Option<Response>,
    end: End,
    endpoint: Endpoint,
    unix: bool,
    decision: Decision,
}

/// A whole answer.
fn answered(status: u16) -> Response {
    Response { status, start: BootNanos(1040), ending: Ending::Framed, ids: AnswerIds::default() }
}

impl Case {
    fn new(role: Role) -> Self {
        let inet = |ip: [u8; 4], port| Address::Inet(IpAddr::from(ip), port);
        let (server, client) = (inet([10, 0, 0, 1], 8000), inet([10, 0, 0, 2], 40000));
        let (local, peer) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Self {
            request: Request {
                key: KEY,
                role,
                method: "GET".into(),
                target: "/pay?card=4711".into(),
                version: "1.1",
                host: Some("api:8080".into()),
                user_agent: Some("curl/8".into()),
                context: WireContext::default(),
                start: BootNanos(1010),
                actor: Actor::default(),
                blocking: true,
                stale: false,
            },
            response: Some(answered(200)),
            end: End {
                key: KEY,
                outcome: Outcome::Complete,
                time: BootNanos(1090),
                request_end: 100,
                request_body_bytes: Some(0),
                response_body_bytes: Some(12),
                unseen_bytes: 0,
            },
            endpoint: Endpoint { local, peer },
            unix: false,
            decision: Decision {
                trace_id: TraceId([1; 16]),
                span_id: SpanId([2; 8]),
                parent: Some(SpanId([3; 8])),
                evidence: Evidence::Thread,
                confidence: Confidence::Exact,
                orphan_reason: None,
                conflict: false,
                links: Vec::new(),
                start: BootNanos(1000),
                tracestate: Some("a=b".into()),
                sampled: Some(true),
            },
        }
    }

    fn span(&self) -> Span {
        let half = Half {
            request: &self.request,
            response: self.response.as_ref(),
            end: &self.end,
            ends: &self.endpoint.clone().into(),
            unix: self.unix,
            process: &Arc::new(Process::default()),
        };
        build(half, self.decision.clone())
    }
}

fn value<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    let mut found = span.attributes.iter().filter(|(key, _)| *key == name);
    let value = found.next().map(|(_, value)| value);
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    value(span, name).map(|value| match value {
        Value::String(text) => text.as_ref(),
        other => panic!("{name} is no text but {other:?}"),
    })
}

fn int(span: &Span, name: &str) -> Option<i64> {
    value(span, name).map(|value| match value {
        Value::Int(number) => *number,
        other => panic!("{name} is no number but {other:?}"),
    })
}

fn failure(span: &Span) -> (Status, Option<&str>) {
    (span.status, text(span, names::ERROR_TYPE))
}

#[test]
fn a_server_span_says_what_the_conventions_ask_for() {
    let span = Case::new(Role::Server).span();
    assert_eq!((span.kind, span.name, span.status), (Kind::Server, "GET", Status::Unset));
    assert_eq!((span.start, span.end), (BootNanos(1000), BootNanos(1090)));
    assert_eq!((span.tracestate.as_str(), span.sampled), ("a=b", Some(true)));
    let string = |text: &str| Value::String(text.to_owned().into());
    let expected = [
        ("http.request.method", string("GET")),
        ("url.scheme", string("http")),
        ("url.path", string("/pay")),
        ("client.address", string("10.0.0.2")),
        ("user_agent.original", string("curl/8")),
        ("server.address", string("api")),
        ("server.port", Value::Int(8080)),
        ("http.request.body.size", Value::Int(0)),
        ("http.response.status_code", Value::Int(200)),
        ("tracemend.http.time_to_first_byte_ns", Value::Int(40)),
        ("http.response.body.size", Value::Int(12)),
        ("network.protocol.version", string("1.1")),
        ("network.transport", string("tcp")),
        ("network.local.address", string("10.0.0.1")),
        ("network.local.port", Value::Int(8000)),
        ("network.peer.address", string("10.0.0.2")),
        ("network.peer.port", Value::Int(40000)),
        ("tracemend.link.evidence", string("thread")),
        ("tracemend.link.confidence", string("exact")),
    ];
    assert_eq!(span.attributes, expected);
}

#[test]
fn a_client_span_has_the_url_without_its_query() {
    let span = Case::new(Role::Client).span();
    assert_eq!(span.kind, Kind::Client);
    assert_eq!(text(&span, names::URL_FULL), Some("http://api:8080/pay"));
    assert_eq!(text(&span, names::PEER_ADDRESS), Some("10.0.0.1"));
    for absent in [names::URL_PATH, names::CLIENT_ADDRESS, names::USER_AGENT] {
        assert_eq!(value(&span, absent), None);
    }
}

#[test]
fn no_secret_of_a_target_enters_a_span() {
    for role in [Role::Client, Role::Server] {
        let mut case = Case::new(role);
        case.request.target = "http://bob:hunter2@api/a;jsessionid=hunter2?x=hunter2#hunter2".into();
        case.request.host = Some("bob:hunter2@api".into());
        let span = case.span();
        assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
        assert_eq!(text(&span, names::SERVER_ADDRESS), Some("api"));
    }
}

#[test]
fn an_unknown_method_is_other_and_keeps_its_original() {
    let mut case = Case::new(Role::Server);
    case.request.method = "get".into();
    let span = case.span();
    assert_eq!(span.name, "HTTP");
    assert_eq!(text(&span, names::REQUEST_METHOD), Some("_OTHER"));
    assert_eq!(text(&span, names::REQUEST_METHOD_ORIGINAL), Some("get"));
}

#[test]
fn without_a_host_field_the_server_is_its_end_of_the_connection() {
    let mut case = Case::new(Role::Client);
    case.request.host = None;
    let span = case.span();
    assert_eq!(text(&span, names::SERVER_ADDRESS), Some("10.0.0.1"));
    assert_eq!(int(&span, names::SERVER_PORT), Some(8000));
    assert_eq!(text(&span, names::URL_FULL), Some("http://10.0.0.1/pay"));
}

#[test]
fn an_ipv6_host_keeps_its_brackets_in_the_url_alone() {
    let mut case = Case::new(Role::Client);
    case.request.host = Some("[::1]:9".into());
    let span = case.span();
    assert_eq!(text(&span, names::SERVER_ADDRESS), Some("::1"));
    assert_eq!(text(&span, names::URL_FULL), Some("http://[::1]:9/pay"));
}

#[test]
fn the_url_of_a_tunnel_is_its_authority() {
    let mut case = Case::new(Role::Client);
    case.request.method = "CONNECT".into();
    case.request.target = "db:5432".into();
    assert_eq!(text(&case.span(), names::URL_FULL), Some("//db:5432"));
}

#[test]
fn a_unix_socket_has_paths_and_no_ports() {
    let mut case = Case::new(Role::Client);
    case.unix = true;
    case.request.host = Some("localhost".into());
    case.endpoint = Endpoint { local: Address::Unknown, peer: Address::Unix("/run/api.sock".into()) };
    let span = case.span();
    assert_eq!(text(&span, names::TRANSPORT), Some("unix"));
    assert_eq!(text(&span, names::PEER_ADDRESS), Some("/run/api.sock"));
    let ports = [names::LOCAL_ADDRESS, names::LOCAL_PORT, names::PEER_PORT, names::SERVER_PORT];
    assert!(ports.iter().all(|name| value(&span, name).is_none()), "{span:?}");
    assert_eq!(text(&span, names::URL_FULL), Some("http://localhost/pay"));
    case.request.host = None;
    assert_eq!(text(&case.span(), names::URL_FULL), Some("http://%2Frun%2Fapi.sock/pay"));
}

#[test]
fn a_client_fails_from_400_and_a_server_from_500() {
    for (role, status, expected) in [
        (Role::Client, 399, (Status::Unset, None)),
        (Role::Client, 400, (Status::Error, Some("400"))),
        (Role::Server, 499, (Status::Unset, None)),
        (Role::Server, 500, (Status::Error, Some("500"))),
    ] {
        let mut case = Case::new(role);
        case.response = Some(answered(status));
        assert_eq!(failure(&case.span()), expected, "{role:?} {status}");
    }
}

#[test]
fn an_exchange_that_broke_says_how() {
    let mut case = Case::new(Role::Client);
    case.response = None;
    for (outcome, expected) in [
        (Outcome::Closed, (Status::Error, Some("closed"))),
        (Outcome::Error(104), (Status::Error, Some("ECONNRESET"))),
        (Outcome::Error(9999), (Status::Error, Some("_OTHER"))),
        (Outcome::Upgraded, (Status::Unset, None)),
    ] {
        case.end.outcome = outcome;
        assert_eq!(failure(&case.span()), expected);
    }
    assert_eq!(int(&case.span(), names::STATUS_CODE), None);
}

#[test]
fn an_orphan_says_why_and_a_conflict_shows() {
    let mut case = Case::new(Role::Client);
    case.decision.parent = None;
    case.decision.evidence = Evidence::None;
    case.decision.confidence = Confidence::None;
    case.decision.orphan_reason = Some(OrphanReason::EventLoop);
    case.decision.conflict = true;
    case.end.unseen_bytes = 9;
    let span = case.span();
    assert_eq!(text(&span, names::EVIDENCE), Some("none"));
    assert_eq!(text(&span, names::ORPHAN_REASON), Some("event loop"));
    assert_eq!(value(&span, names::CONFLICT), Some(&Value::Bool(true)));
    assert_eq!(int(&span, names::UNSEEN_BYTES), Some(9));
}

#[test]
fn correlation_ids_of_both_messages_are_lists() {
    for role in [Role::Client, Role::Server] {
        let mut case = Case::new(role);
        case.request.context.request_id = Some("r-1".into());
        case.request.context.x_trace_id = Some("t-1".into());
        let ids = AnswerIds { request_id: Some("r-2".into()), x_trace_id: Some("t-2".into()) };
        case.response = Some(Response { ids, ..answered(200) });
        let span = case.span();
        for (name, id) in [
            (names::REQUEST_ID, "r-1"),
            (names::REQUEST_TRACE_ID, "t-1"),
            (names::RESPONSE_REQUEST_ID, "r-2"),
            (names::RESPONSE_TRACE_ID, "t-2"),
        ] {
            assert_eq!(value(&span, name), Some(&Value::Strings(vec![id.into()])), "{name}");
        }
    }
}

#[test]
fn control_characters_are_replaced_and_long_values_cut() {
    let mut case = Case::new(Role::Server);
    case.request.target = "/\u{1b}[31m\u{9b}x".into();
    case.request.user_agent = Some("ä".repeat(SPAN_VALUE_BYTES_MAX).into());
    let span = case.span();
    assert_eq!(text(&span, names::URL_PATH), Some("/\u{fffd}[31m\u{fffd}x"));
    assert_eq!(text(&span, names::USER_AGENT).map(str::len), Some(SPAN_VALUE_BYTES_MAX));
}

#[test]
fn a_span_never_ends_before_it_starts() {
    let mut case = Case::new(Role::Client);
    case.end.time = BootNanos(1);
    let span = case.span();
    assert_eq!(span.end, span.start);
}
