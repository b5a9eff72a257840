//! What is HTTP/1, by evidence, and what is not.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Link, Play, exchange};

/// The client's first words are those of another protocol; HTTP that follows is not believed.
fn speaks(first: &[u8]) -> Play {
    Play::over(Link::Ipv4)
        .client(first)
        .server(b"\x15\x03\x01\x00\x02\x02\x28")
        .client(get("/no"))
        .server(answer(200, ""))
}

/// The beginning of a handshake.
#[must_use]
pub fn tls_is_no_http() -> Play {
    speaks(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\nGET / HTTP/1.1\r\n\r\n")
}

/// Its preface looks like a request.
#[must_use]
pub fn http_2_with_prior_knowledge_is_no_http_1() -> Play {
    speaks(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
}

/// Redis, Memcached, `PostgreSQL`, RTSP, SIP.
#[must_use]
pub fn other_protocols_are_no_http() -> Play {
    let first: [&[u8]; 5] = [
        b"*1\r\n$4\r\nPING\r\n",
        b"get key\r\n",
        b"\x00\x00\x00\x2a\x00\x03\x00\x00user\x00u\x00\x00",
        b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"INVITE sip:a@h SIP/2.0\r\nTo: b\r\n\r\n",
    ];
    let mut play = speaks(first[0]);
    for first in &first[1..] {
        play = play.connect(0, 1, Link::Ipv4).client(first).server("OK\r\n").client(get("/no")).server(answer(200, ""));
    }
    play
}

/// SMTP and SSH: the server speaks first.
#[must_use]
pub fn a_server_that_speaks_first_is_no_http_server() -> Play {
    Play::over(Link::Ipv4)
        .server("220 mail ESMTP\r\n")
        .client(get("/no"))
        .server(answer(200, ""))
        .connect(0, 1, Link::Ipv4)
        .server("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        .client(get("/no"))
        .server(answer(200, ""))
}

/// Text that begins like a request, and goes on as none; a version that there is not; a target of no form.
#[must_use]
pub fn text_that_looks_like_http_is_none() -> Play {
    [
        "I love HTTP/1.1\r\nreally\r\n\r\n",
        "GET /a HTTP/1.1 is how it begins\r\n\r\n",
        "GET /a HTTP/1.1\r\nas they say in the RFC\r\n\r\n",
        "GET /a HTTP/3.0\r\nHost: h\r\n\r\n",
        "GET /a\r\n",
        "GET no-form HTTP/1.1\r\nHost: h\r\n\r\n",
    ]
    .into_iter()
    .fold(Play::over(Link::UnixPath), |play, text| {
        play.connect(0, 1, Link::Ipv4).client(text).server(answer(200, "")).client(get("/no")).server(answer(200, ""))
    })
}

/// A whole request; but its answer is none, so neither was the question: what was told of it is taken back.
#[must_use]
pub fn a_request_whose_answer_is_no_http_is_none() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server("220 smtp.example ESMTP\r\n")
        .client(get("/no"))
        .server(answer(200, ""))
        .loses("void_exchanges", 2)
}

/// A verdict stands from the first exchange on: what is none of HTTP later costs its turn and no more.
#[must_use]
pub fn a_verdict_is_not_revised_after_the_first_exchange() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .client("\x16\x03\x01 no request")
        .server(answer(400, ""))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses("malformed_heads", 2)
        .loses("unasked_responses", 2)
}

/// Whole requests and answers in the bodies of an exchange, each in a call of its own.
#[must_use]
pub fn messages_in_bodies_are_none() -> Play {
    let (request, reply) = (get("/in"), answer(500, "x"));
    let fields = |bytes: usize| format!("Content-Length: {bytes}\r\n");
    Play::over(Link::Ipv4)
        .client(ask("POST /page", &fields(2 * request.len())))
        .client(&request)
        .server(head(102, ""))
        .client(&request)
        .server(head(200, &fields(2 * reply.len())))
        .server(&reply)
        .server(&reply)
        .told(
            exchange("POST", "/page", 200)
                .bodies(2 * request.len() as u64, 2 * reply.len() as u64)
                .asked(3)
                .first_byte(3),
        )
        .closes(Client)
        .does(Server, crate::play::What::Close)
}
