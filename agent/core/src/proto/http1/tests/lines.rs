//! Start lines and field lines as clients and servers in the field send them.

use super::*;
use crate::limits::HTTP1_HEAD_BYTES_MAX;

/// What is told of this head and an answer to it, at both ends.
fn told(head: &str) -> Vec<String> {
    let [server, client] = [Role::Server, Role::Client].map(|role| {
        let mut talk = Talk::new(role, false);
        talk.client(head).server(OK);
        assert_eq!(talk.http.verdict(), Verdict::Http1(role));
        talk.told()
    });
    assert_eq!(server, client);
    server
}

/// The one request with this head.
fn request(head: &str) -> Request {
    let mut talk = Talk::server_end();
    talk.client(head);
    let mut requests = talk.requests();
    assert_eq!(requests.len(), 1, "{head}");
    requests.remove(0)
}

#[test]
fn an_absolute_target_is_told_as_it_stands() {
    assert_eq!(
        told("GET http://up.example:8080/a?b=c HTTP/1.1\r\nHost: proxy\r\n\r\n"),
        ["GET http://up.example:8080/a?b=c @0 t10", "200 @0 t20", "complete @0 t20"]
    );
}

#[test]
fn an_asterisk_is_a_target_of_options_alone() {
    assert_eq!(told("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), ["OPTIONS * @0 t10", "200 @0 t20", "complete @0 t20"]);
    let mut talk = Talk::server_end();
    talk.client("GET * HTTP/1.1\r\nHost: h\r\n\r\n").server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn an_authority_is_a_target_of_connect_alone() {
    assert_eq!(
        told("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example\r\n\r\n"),
        ["CONNECT db.example:5432 @0 t10", "200 @0 t20", "upgraded @0 t20"]
    );
    let mut talk = Talk::server_end();
    talk.client("GET db.example:5432 HTTP/1.1\r\nHost: h\r\n\r\n").server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn any_token_is_a_method_and_its_case_is_kept() {
    for method in ["PROPFIND", "get", "M-SEARCH", "!#$%&'*+-.^_`|~09", "X"] {
        let line = format!("{method} /a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(told(&line), [&format!("{method} /a @0 t10"), "200 @0 t20", "complete @0 t20"]);
    }
    for method in ["G(T", "GE\u{e9}T", "a:b"] {
        let mut talk = Talk::server_end();
        talk.client(format!("{method} /a HTTP/1.1\r\nHost: h\r\n\r\n")).server(OK);
        assert_eq!(talk.told(), Vec::<String>::new(), "{method}");
    }
}

#[test]
fn a_long_target_is_whole_as_long_as_its_line_is() {
    let target = format!("/{}", "x".repeat(HTTP1_HEAD_BYTES_MAX - 100));
    let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(told(&head), [&format!("GET {target} @0 t10"), "200 @0 t20", "complete @0 t20"]);
}

#[test]
fn a_target_longer_than_the_capture_is_unseen_and_the_next_request_is_read() {
    let line = format!("GET /{}", "x".repeat(HTTP1_HEAD_BYTES_MAX - 5));
    let mut talk = Talk::server_end();
    talk.client_cut(&line, 900).server(answer(414, "Content-Length: 0\r\n")).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @9092 t30", "200 @9092 t40", "complete @9092 t40"]);
    talk.client_cut(&line, 900).server(answer(414, "Content-Length: 0\r\n")).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @18212 t70", "200 @18212 t80", "complete @18212 t80"]);
    let losses = talk.http.take_losses();
    assert_eq!((losses.unseen_heads, losses.malformed_heads), (1, 0));
}

#[test]
fn a_target_may_hold_bytes_beyond_ascii() {
    assert_eq!(request("GET /caf\u{e9}?q=\u{4e2d} HTTP/1.1\r\nHost: h\r\n\r\n").target, "/caf\u{e9}?q=\u{4e2d}");
}

#[test]
fn several_spaces_part_a_request_line_like_one_and_a_tab_parts_none() {
    assert_eq!(told("GET   /a  HTTP/1.1\r\nHost: h\r\n\r\n"), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    let mut talk = Talk::server_end();
    talk.client("GET\t/a\tHTTP/1.1\r\nHost: h\r\n\r\n").server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn white_space_round_a_value_is_not_part_of_it() {
    let request = request("GET /a HTTP/1.1\r\nHost:\t h \t\r\nUser-Agent:a b\r\nX-Request-Id:   r1\t\r\n\r\n");
    assert_eq!(request.host.as_deref(), Some("h"));
    assert_eq!(request.user_agent.as_deref(), Some("a b"));
    assert_eq!(request.context.request_id.as_deref(), Some("r1"));
}

#[test]
fn white_space_before_a_colon_makes_a_request_field_none_and_is_taken_off_a_response_field() {
    assert_eq!(request("GET /a HTTP/1.1\r\nHost : h\r\nX-Request-Id : r\r\n\r\n").host, None);
    let mut talk = Talk::server_end();
    talk.client(GET).server(b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok");
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
}

#[test]
fn a_folded_field_is_one_value_and_none_where_a_space_is_no_part_of_it() {
    let head = "GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: a\r\n  b\r\n\tc\r\nX-Request-Id: r1\r\n more\r\n\
                X-Trace-Id:\r\n t1\r\n\r\n";
    let folded = request(head);
    assert_eq!(folded.user_agent.as_deref(), Some("a    b  \tc"));
    assert_eq!(folded.context.request_id, None, "a part of an id is another id");
    assert_eq!(folded.context.x_trace_id.as_deref(), Some("t1"));
}

#[test]
fn a_folded_length_is_no_length_and_a_folded_response_field_is_read() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(b"HTTP/1.1 200 OK\r\nServer: a\r\n b\r\nContent-Length:\r\n\t2\r\n\r\nok");
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    talk.client(GET).server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n 0\r\n\r\nok");
    assert_eq!(talk.told(), ["GET /a @28 t30", "200 @28 t40"]);
    assert_eq!(talk.http.take_losses().lost_framings, 1);
}

#[test]
fn space_behind_the_request_line_belongs_to_no_field() {
    assert_eq!(request("GET /a HTTP/1.1\r\n X-Request-Id: r\r\nHost: h\r\n\r\n").context.request_id, None);
}

#[test]
fn a_status_line_may_go_without_its_reason() {
    for line in ["HTTP/1.1 404 ", "HTTP/1.1 404", "HTTP/1.0 404 Gone \u{e9}"] {
        let mut talk = Talk::client_end();
        talk.client(GET).server(format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(talk.told(), ["GET /a @0 t10", "404 @0 t20", "complete @0 t20"], "{line}");
    }
}

#[test]
fn http_in_a_body_of_either_direction_is_no_message() {
    let page = [GET, OK, b"\r\n\r\n", GET].concat();
    let fields = format!("Content-Length: {}\r\n", page.len());
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", &fields)).client(&page).server(answer(200, &fields)).server(&page);
    talk.client(GET).server(OK);
    assert_eq!(
        talk.told(),
        ["POST /p @0 t10", "200 @0 t30", "complete @0 t40", "GET /a @150 t50", "200 @150 t60", "complete @150 t60"]
    );
    assert_eq!(talk.http.take_losses(), Losses::default());
}

#[test]
fn the_first_host_and_user_agent_count() {
    let request = request("GET /a HTTP/1.1\r\nhOST: one\r\nHost: two\r\nUSER-AGENT: x\r\nuser-agent: y\r\n\r\n");
    assert_eq!((request.host.as_deref(), request.user_agent.as_deref()), (Some("one"), Some("x")));
}
