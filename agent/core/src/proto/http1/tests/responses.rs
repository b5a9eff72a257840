//! Responses that are seen whole, and what their order means.

use super::*;

#[test]
fn interim_responses_do_not_start_the_response() {
    let mut talk = Talk::server_end();
    talk.client(GET);
    talk.server(answer(100, "")).server(answer(102, "")).server(answer(103, "Link: x\r\n")).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t50", "complete @0 t50"]);
}

#[test]
fn interim_and_final_heads_in_one_chunk_are_told_apart() {
    let mut talk = Talk::client_end();
    talk.client(GET).server([&answer(103, ""), OK].concat());
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
}

#[test]
fn a_body_after_100_continue_is_no_request_though_it_begins_a_turn_like_one() {
    let mut talk = Talk::server_end();
    let post = ask("POST /p", &format!("Expect: 100-continue\r\nContent-Length: {}\r\n", GET.len()));
    talk.client(post).server(answer(100, "")).client(GET).server(OK).client(GET);
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t40", "complete @0 t40", "GET /a @99 t50",]);
}

#[test]
fn an_early_answer_ends_its_exchange_and_the_body_is_still_skipped() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 38\r\n")).client(b"0123456789");
    talk.server(answer(413, "Content-Length: 0\r\n")).client(GET).client(ask("GET /n", "")).server(OK);
    assert_eq!(
        talk.told(),
        ["POST /p @0 t10", "413 @0 t30", "complete @0 t30", "GET /n @87 t50", "200 @87 t60", "complete @87 t60",]
    );
}

#[test]
fn an_early_answer_tells_the_end_its_requests_framing_told() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 38\r\n")).server(OK);
    let end = talk.ends()[0];
    assert_eq!((end.request_end, end.request_body_bytes), (1087, Some(38)));
    assert_eq!(end.response_body_bytes, Some(2));
}

#[test]
fn a_response_to_an_unfinished_head_ends_that_head() {
    let mut talk = Talk::server_end();
    talk.client(b"GET /slow HTTP/1.1\r\nX-Request-Id: r\r\nHos").server(answer(408, "Content-Length: 0\r\n"));
    assert_eq!(talk.told(), ["GET /slow @0 t10", "408 @0 t20", "complete @0 t20"]);
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let mut talk = Talk::server_end();
        talk.client(ask(&format!("{method} /a"), "")).server(answer(status, "Content-Length: 5\r\n"));
        talk.client(GET).server(OK);
        let ends = talk.ends();
        assert_eq!(ends.len(), 2, "{method} {status}");
        assert_eq!(ends[0].response_body_bytes, Some(0));
    }
}

#[test]
fn a_chunked_response_ends_with_its_last_chunk() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(answer(200, "Transfer-Encoding: chunked\r\n"));
    talk.server(b"5\r\nhello\r\n").server(b"0\r\nt: 1\r\n\r").server(b"\n");
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t50"]);
    talk.client(GET).server(answer(200, "Transfer-Encoding: chunked\r\n")).server(b"3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(talk.ends()[0].response_body_bytes, Some(3));
}

#[test]
fn nonsense_in_place_of_a_chunk_makes_the_body_end_with_its_turn() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(answer(200, "Transfer-Encoding: chunked\r\n")).server(b"hello").client(GET);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t30", "GET /a @28 t40"]);
    assert_eq!(talk.http.take_losses().lost_framings, 1);
}

#[test]
fn http_1_0_keep_alive_goes_on_and_without_a_length_the_connection_ends_the_body() {
    let mut talk = Talk::server_end();
    talk.client(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    talk.server(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx");
    talk.client(b"GET /b HTTP/1.0\r\n\r\n").server(b"HTTP/1.0 200 OK\r\n\r\nabc").server(b"def");
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20", "GET /b @43 t30", "200 @43 t40",]);
    talk.closing(Closing::SendFin);
    let end = talk.ends()[0];
    assert_eq!((end.outcome, end.time), (Outcome::Complete, BootNanos(50)));
    assert_eq!(end.response_body_bytes, Some(6));
}

#[test]
fn switching_protocols_ends_http_on_the_connection() {
    let mut talk = Talk::client_end();
    talk.client(ask("GET /chat", "Connection: upgrade\r\nUpgrade: websocket\r\n"));
    talk.server(answer(101, "Upgrade: websocket\r\n"));
    talk.client(GET).server(OK).closing(Closing::Closed);
    assert_eq!(talk.told(), ["GET /chat @0 t10", "101 @0 t20", "upgraded @0 t20"]);
    assert!(talk.http.is_over());
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Client));
}

#[test]
fn a_successful_connect_makes_a_tunnel_and_a_refused_one_does_not() {
    let mut talk = Talk::client_end();
    talk.client(ask("CONNECT h:443", "")).server(answer(407, "Content-Length: 0\r\n"));
    talk.client(ask("CONNECT h:443", "Proxy-Authorization: x\r\n")).server(answer(200, "Content-Length: 9\r\n"));
    talk.client(GET).server(OK);
    assert_eq!(
        talk.told(),
        [
            "CONNECT h:443 @0 t10",
            "407 @0 t20",
            "complete @0 t20",
            "CONNECT h:443 @35 t30",
            "200 @35 t40",
            "upgraded @35 t40",
        ]
    );
}

#[test]
fn bytes_sent_into_a_tunnel_before_it_stands_are_no_request() {
    let mut talk = Talk::client_end();
    talk.client(ask("CONNECT h:80", "")).client(GET).server(answer(200, "")).client(GET);
    assert_eq!(talk.told(), ["CONNECT h:80 @0 t10", "200 @0 t30", "upgraded @0 t30"]);
}

#[test]
fn an_unanswered_connect_is_taken_for_a_tunnel() {
    let mut talk = Talk::client_end();
    talk.client(ask("CONNECT h:80", "")).lost(Side::Server, 40).client(GET).server(OK).client(GET);
    assert_eq!(talk.requests().len(), 1);
}

#[test]
fn an_unasked_response_is_counted_and_changes_nothing() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(b"\r\n").server(OK).client(GET).server(OK);
    assert_eq!(talk.ends().len(), 2);
    assert_eq!(talk.http.take_losses().unasked_responses, 1);
}

#[test]
fn a_first_answer_that_is_no_http_voids_the_exchange_and_ends_the_reading() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(b"220 smtp.example ESMTP\r\n").client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "void @0 t20"]);
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Server));
}

#[test]
fn a_length_that_is_no_number_leaves_the_end_to_the_turn() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(answer(200, "Content-Length: 2x\r\n")).server(b"ok").client(GET);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t30", "GET /a @28 t40"]);
}
