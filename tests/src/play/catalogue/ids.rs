//! Correlation ids.

use super::{answer, ask, head};
use crate::play::act::Side::Server;
use crate::play::{Link, Play, exchange};

const ASKED: &str = "http.request.header.x-request-id";
const ASKED_TRACE: &str = "http.request.header.x-trace-id";
const ANSWERED: &str = "http.response.header.x-request-id";
const ANSWERED_TRACE: &str = "http.response.header.x-trace-id";

/// Of the request, of its answer, and of both.
#[must_use]
pub fn ids_of_both_messages_are_on_the_span() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /asked", "X-Request-ID: r-1\r\nX-Trace-Id: \tt-1 \r\n"))
        .server(answer(200, ""))
        .told(exchange("GET", "/asked", 200).has(ASKED, "r-1").has(ASKED_TRACE, "t-1").has_no(ANSWERED))
        .client(ask("GET /answered", ""))
        .server(head(200, "x-trace-id: t-2\r\nX-REQUEST-ID: r-2\r\nContent-Length: 0\r\n"))
        .told(exchange("GET", "/answered", 200).has(ANSWERED, "r-2").has(ANSWERED_TRACE, "t-2").has_no(ASKED))
        .client(ask("GET /both", "X-Request-Id: r-3\r\n"))
        .server(head(500, "X-Request-Id: r-4\r\nContent-Length: 0\r\n"))
        .told(exchange("GET", "/both", 500).has(ASKED, "r-3").has(ANSWERED, "r-4"))
}

/// Of the pipelined ones each has its own.
#[must_use]
pub fn ids_stay_with_their_messages() -> Play {
    let answered = |id: &str| head(200, &format!("X-Request-Id: {id}\r\nContent-Length: 0\r\n"));
    Play::over(Link::Ipv4)
        .client(ask("GET /1", "X-Request-Id: a\r\n") + &ask("GET /2", "") + &ask("GET /3", "X-Request-Id: c\r\n"))
        .server(answered("1") + &head(103, "X-Request-Id: early\r\n") + &answered("2"))
        .told(exchange("GET", "/1", 200).has(ASKED, "a").has(ANSWERED, "1"))
        .told(exchange("GET", "/2", 200).has_no(ASKED).has(ANSWERED, "2"))
        .server(answer(204, ""))
        .told(exchange("GET", "/3", 204).has(ASKED, "c").has_no(ANSWERED))
}

/// Too long, empty, not visible, twice, in a body, in a trailer.
#[must_use]
pub fn what_is_no_id_is_left_out() -> Play {
    let (long, longest) = ("x".repeat(257), "y".repeat(256));
    let fields = |value: &str| format!("X-Request-Id: {value}\r\n");
    let mut play = Play::over(Link::Ipv4);
    for value in [long.as_str(), "", "two words", "caf\u{e9}"] {
        play = play
            .client(ask("GET /bad", &fields(value)))
            .server(head(200, &(fields(value) + "Content-Length: 0\r\n")))
            .told(exchange("GET", "/bad", 200).has_no(ASKED).has_no(ANSWERED));
    }
    let twice = fields("one") + &fields("one") + "Content-Length: 0\r\n";
    let body = fields("in-body");
    let length = format!("Content-Length: {}\r\n", body.len());
    play.client(ask("GET /longest", &fields(&longest)))
        .server(head(200, &(fields(&longest) + "Content-Length: 0\r\n")))
        .told(exchange("GET", "/longest", 200).has(ASKED, longest.as_str()).has(ANSWERED, longest.as_str()))
        .client(ask("GET /twice", &twice))
        .server(head(200, &twice))
        .told(exchange("GET", "/twice", 200).has_no(ASKED).has_no(ANSWERED))
        .client(ask("POST /body", &length) + &body)
        .server(head(200, &length) + &body)
        .told(
            exchange("POST", "/body", 200).bodies(body.len() as u64, body.len() as u64).has_no(ASKED).has_no(ANSWERED),
        )
        .client(ask("POST /trailer", "Transfer-Encoding: chunked\r\n") + "0\r\n" + &fields("t") + "\r\n")
        .server(head(200, "Transfer-Encoding: chunked\r\n") + "0\r\n" + &fields("t") + "\r\n")
        .told(exchange("POST", "/trailer", 200).has_no(ASKED).has_no(ANSWERED))
}

/// An answer's head is captured up to 1 KiB: an id before that is told, one behind it is not.
#[must_use]
pub fn an_id_beyond_the_captured_head_of_an_answer_is_unseen() -> Play {
    let cookie = format!("Set-Cookie: {}\r\n", "c".repeat(1200));
    let answered = head(200, &format!("X-Trace-Id: seen\r\n{cookie}X-Request-Id: unseen\r\nContent-Length: 0\r\n"));
    let unseen = answered.len() as u64 - 1024;
    Play::over(Link::Ipv4)
        .client(ask("GET /a", ""))
        .server(answered)
        .told(
            exchange("GET", "/a", 200)
                .framed(Some(0), None)
                .unseen(unseen, unseen)
                .has(ANSWERED_TRACE, "seen")
                .has_no(ANSWERED),
        )
        .closes(Server)
        .loses("cut_heads", 2)
}
