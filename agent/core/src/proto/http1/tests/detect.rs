//! Who asks, and whether this is HTTP at all.

use super::*;

#[test]
fn other_protocols_are_known_by_their_first_bytes() {
    let h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let long_method = format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(33));
    for first in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        h2,
        b"*1\r\n$4\r\nPING\r\n",
        b"get key\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"220 mail ESMTP\r\n",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\n\r\n",
        b"INVITE sip:a@h SIP/2.0\r\n\r\n",
        b"GET /a HTTP/2.0\r\n\r\n",
        b"GET /a\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x2a\x00\x03",
        long_method.as_bytes(),
    ] {
        let mut talk = Talk::server_end();
        talk.client(first).server(OK).client(GET).server(OK);
        assert_eq!(talk.http.verdict(), Verdict::Other, "{first:?}");
        assert_eq!(talk.told(), Vec::<String>::new());
    }
}

#[test]
fn text_that_looks_like_a_request_line_is_none() {
    for text in [
        "I love HTTP/1.1\r\nreally\r\n\r\n",
        "GET /a HTTP/1.1 is how it begins\r\n\r\n",
        "GET /a HTTP/1.1\r\nas they say in the RFC\r\n\r\n",
        "GET * HTTP/1.1\r\n\r\n",
        "CONNECT /a HTTP/1.1\r\n\r\n",
        "GET : HTTP/1.1\r\n\r\n",
    ] {
        let mut talk = Talk::server_end();
        talk.client(text).server(OK).client(GET).server(OK);
        assert_eq!(talk.told(), Vec::<String>::new(), "{text}");
        assert_eq!(talk.http.verdict(), Verdict::Other, "{text}");
    }
}

#[test]
fn all_forms_of_a_target_are_taken() {
    for line in ["GET /", "OPTIONS *", "GET http://h/a", "GET coap+tcp://h", "CONNECT [::1]:80"] {
        let mut talk = Talk::server_end();
        talk.client(ask(line, ""));
        assert_eq!(talk.requests().len(), 1, "{line}");
    }
}

#[test]
fn nothing_is_decided_before_the_request_line_is_whole() {
    let mut talk = Talk::server_end();
    talk.client(b"GET /a HTTP/1.1\r");
    assert_eq!(talk.http.verdict(), Verdict::Undecided);
    talk.client(b"\n");
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Server));
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn a_server_that_speaks_first_is_foreign_unless_it_speaks_http() {
    let mut talk = Talk::server_end();
    talk.server(b"220 ready\r\n").client(GET).server(OK);
    assert_eq!(talk.http.verdict(), Verdict::Other);

    let mut talk = Talk::server_end();
    talk.server(answer(503, "Content-Length: 0\r\n"));
    assert_eq!(talk.http.verdict(), Verdict::Undecided);
    talk.client(GET);
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Server));
}

#[test]
fn a_request_line_cut_by_a_gap_decides_nothing() {
    let mut talk = Talk::server_end();
    talk.client_cut(b"GET /a HTTP/1.1", 30).server(OK);
    assert_eq!(talk.http.verdict(), Verdict::Undecided);
    talk.client(GET);
    assert_eq!(talk.told(), ["GET /a @45 t30"]);
}

#[test]
fn a_request_after_a_first_turn_that_was_not_seen_is_found() {
    let mut talk = Talk::server_end();
    talk.client_cut(b"", 90).server(OK).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @90 t30", "200 @90 t40", "complete @90 t40"]);
}

#[test]
fn a_request_line_after_a_first_foreign_turn_is_not_believed() {
    let mut talk = Talk::server_end();
    talk.client(b"EHLO me\r\n").server(b"250 ok\r\n").client(GET).server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn a_connection_that_never_shows_a_request_line_is_given_up() {
    let mut talk = Talk::old();
    for _ in 0..crate::limits::HTTP1_DETECT_TURNS_MAX / 2 {
        assert_eq!(talk.http.verdict(), Verdict::Undecided);
        talk.client(b"query\r\n").server(b"result\r\n");
    }
    assert_eq!(talk.http.verdict(), Verdict::Other);
}
