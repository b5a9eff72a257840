//! Heads and bodies of requests that are seen whole.

use super::*;

#[test]
fn keep_alive_exchanges_are_told_one_after_the_other() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(ask("GET /b", "")).server(OK);
    assert_eq!(
        talk.told(),
        ["GET /a @0 t10", "200 @0 t20", "complete @0 t20", "GET /b @28 t30", "200 @28 t40", "complete @28 t40",]
    );
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Server));
    assert_eq!(talk.http.open_exchanges(), 0);
}

#[test]
fn the_end_that_sends_the_request_line_is_the_client() {
    let mut talk = Talk::client_end();
    talk.client(GET);
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Client));
    assert_eq!(talk.http.open_exchanges(), 1);
    assert_eq!(talk.requests()[0].role, Role::Client);
}

#[test]
fn a_request_has_what_its_head_says() {
    let mut talk = Talk::server_end();
    let fields = "User-Agent: curl/8\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                  X-Request-Id: r1\r\n";
    talk.client(ask("PURGE-all /p?q=1", fields));
    let request = &talk.requests()[0];
    assert_eq!(request.key, HalfKey { cookie: COOKIE, offset: 1000 });
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PURGE-all", "/p?q=1"));
    assert_eq!(request.version, "1.1");
    assert_eq!(request.host.as_deref(), Some("h"));
    assert_eq!(request.user_agent.as_deref(), Some("curl/8"));
    assert_eq!(request.context.request_id.as_deref(), Some("r1"));
    assert!(request.context.parent.is_some_and(|parent| parent.sampled));
    assert!(request.blocking && !request.stale);
}

#[test]
fn a_head_in_many_chunks_starts_with_the_chunk_of_its_first_byte() {
    let mut talk = Talk::server_end();
    for byte in GET {
        talk.client([*byte]);
    }
    let request = &talk.requests()[0];
    assert_eq!((request.start, request.actor.thread.tid), (BootNanos(10), Tid(10)));
}

#[test]
fn empty_lines_before_a_request_are_not_part_of_it() {
    let mut talk = Talk::server_end();
    talk.client(b"\r\n").client(b"\r\n\n").client(GET).server(OK).client(b"\r\n").client(GET);
    assert_eq!(talk.told(), ["GET /a @5 t30", "200 @5 t40", "complete @5 t40", "GET /a @35 t60",]);
}

#[test]
fn bare_line_feeds_end_lines() {
    let mut talk = Talk::server_end();
    talk.client(b"GET /a HTTP/1.0\nHost: h\n\n").server(b"HTTP/1.0 204 No\n\n");
    assert_eq!(talk.told(), ["GET /a @0 t10", "204 @0 t20", "complete @0 t20"]);
}

#[test]
fn malformed_and_folded_fields_are_left_out_and_the_others_kept() {
    let mut talk = Talk::server_end();
    talk.client(ask("GET /a", "b\u{1}d: x\r\nfolded: 1\r\n  2\r\nX-Request-Id: r1\r\n"));
    assert_eq!(talk.requests()[0].context.request_id.as_deref(), Some("r1"));
}

#[test]
fn hundreds_of_fields_are_read_up_to_the_last() {
    let mut talk = Talk::server_end();
    talk.client(ask("GET /a", &format!("{}X-Request-Id: r1\r\n", "a:\r\n".repeat(1000))));
    assert_eq!(talk.requests()[0].context.request_id.as_deref(), Some("r1"));
}

#[test]
fn a_body_of_known_length_is_skipped_whatever_it_holds() {
    let mut talk = Talk::server_end();
    let post = ask("POST /p", &format!("Content-Length: {}\r\n", GET.len() * 2));
    talk.client(post).client(GET).client(GET).server(OK).client(GET);
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t40", "complete @0 t40", "GET /a @105 t50",]);
}

#[test]
fn a_chunked_body_is_followed_through_extensions_and_trailers() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Transfer-Encoding: gzip, Chunked\r\n"));
    talk.client("5;a=\"b;c\"\r\nGET /\r\n00A \r\n0123456789\r\n0;x\r\nX-Request-Id: no\r\n\r\n");
    talk.client(GET).server(OK).server(OK);
    let requests = talk.updates.clone();
    assert_eq!(
        talk.told(),
        ["POST /p @0 t10", "GET /a @124 t30", "200 @0 t40", "complete @0 t40", "200 @124 t50", "complete @124 t50",]
    );
    let Update::Request(post) = &requests[0] else { panic!("no request") };
    assert_eq!(post.context.request_id, None);
    let Update::End(end) = &requests[3] else { panic!("no end") };
    assert_eq!((end.request_body_bytes, end.request_end), (Some(15), 1124));
}

#[test]
fn chunk_lines_may_be_split_anywhere() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Transfer-Encoding: chunked\r\n"));
    for byte in b"a\r\n0123456789\r\n0\r\na: b\r\n\r\n" {
        talk.client([*byte]);
    }
    talk.client(GET);
    assert_eq!(talk.told(), ["POST /p @0 t10", "GET /a @83 t280"]);
}

#[test]
fn a_chunked_coding_overrides_a_length() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 9999\r\nTransfer-Encoding: chunked\r\n"));
    talk.client(b"0\r\n\r\n").client(GET);
    assert_eq!(talk.requests().len(), 2);
}

#[test]
fn equal_lengths_count_as_one_and_different_ones_as_none() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 2, 2\r\nContent-Length: 2\r\n")).client(b"xx").client(GET);
    assert_eq!(talk.requests().len(), 2);

    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 2\r\nContent-Length: 3\r\n")).client(b"xx").client(GET);
    assert_eq!(talk.requests().len(), 1);
    assert_eq!(talk.http.take_losses().lost_framings, 1);
    talk.server(answer(400, "Content-Length: 0\r\n")).client(GET);
    assert_eq!(talk.requests().len(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut talk = Talk::client_end();
    let three = [GET, &ask("HEAD /b", ""), &ask("GET /c", "")].concat();
    talk.client(three);
    assert_eq!(talk.http.open_exchanges(), 3);
    talk.server([OK, &answer(200, "Content-Length: 9\r\n"), OK].concat());
    assert_eq!(
        talk.told(),
        [
            "GET /a @0 t10",
            "HEAD /b @28 t10",
            "GET /c @57 t10",
            "200 @0 t20",
            "complete @0 t20",
            "200 @28 t20",
            "complete @28 t20",
            "200 @57 t20",
            "complete @57 t20",
        ]
    );
}

#[test]
fn more_open_requests_than_the_limit_void_them_all_until_the_next_turn() {
    let mut talk = Talk::server_end();
    for _ in 0..=crate::limits::HTTP1_OPEN_EXCHANGES_MAX {
        talk.client(GET);
    }
    let ends = talk.ends();
    assert_eq!(ends.len(), crate::limits::HTTP1_OPEN_EXCHANGES_MAX);
    assert!(ends.iter().all(|end| end.outcome == Outcome::Void));
    talk.server(OK).client(ask("GET /n", "")).server(OK);
    assert_eq!(talk.told().len(), 3);
}

#[test]
fn a_request_that_turns_out_malformed_later_costs_its_turn_only() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(b"\x16\x03\x01junk").client(GET).server(OK).client(GET);
    assert_eq!(talk.requests().len(), 2);
    assert_eq!(talk.http.take_losses().malformed_heads, 1);
}

#[test]
fn a_head_of_exactly_the_limit_is_whole_and_one_byte_more_is_cut() {
    let limit = crate::limits::HTTP1_HEAD_BYTES_MAX;
    let sized = |len: usize| {
        let fill = len - ask("GET /a", "f: \r\nX-Request-Id: r\r\n").len();
        ask("GET /a", &format!("f: {}\r\nX-Request-Id: r\r\n", "x".repeat(fill)))
    };
    let mut talk = Talk::server_end();
    talk.client(sized(limit)).client(GET);
    assert_eq!(talk.requests().len(), 2);

    let mut talk = Talk::server_end();
    talk.client(sized(limit + 1)).client(GET);
    let requests = talk.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].context.request_id.as_deref(), Some("r"));
    assert_eq!(talk.http.take_losses().cut_heads, 1);
}
