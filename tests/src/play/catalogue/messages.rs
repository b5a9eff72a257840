//! Which answer belongs to which request.

use super::{answer, ask, get, head};
use crate::play::act::Side::Server;
use crate::play::{Link, Play, exchange};

/// Keep-alive.
#[must_use]
pub fn exchanges_follow_one_another() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/a", 200).bodies(0, 2))
        .client(ask("POST /b?q=1", "Content-Length: 5\r\n") + "hello")
        .server(answer(404, ""))
        .told(exchange("POST", "/b", 404).bodies(5, 0))
        .client(ask("GET /c", "User-Agent: player/1\r\n"))
        .server(answer(500, "no"))
        .told(exchange("GET", "/c", 500).bodies(0, 2))
}

/// Three requests in one call, answered in two.
#[must_use]
pub fn pipelined_requests_are_answered_in_order() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a") + &ask("HEAD /b", "") + &get("/c"))
        .server(answer(200, "ok") + &head(404, "Content-Length: 9\r\n"))
        .told(exchange("GET", "/a", 200).bodies(0, 2))
        .told(exchange("HEAD", "/b", 404))
        .server(answer(500, ""))
        .told(exchange("GET", "/c", 500))
}

/// Requests with bodies, the last of which is said in two calls, answered one by one.
#[must_use]
pub fn pipelined_requests_in_one_call_with_bodies() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("PUT /a", "Content-Length: 3\r\n") + "abc" + &ask("PUT /b", "Content-Length: 4\r\n") + "GE")
        .client("T ")
        .server(answer(201, ""))
        .told(exchange("PUT", "/a", 201).bodies(3, 0).asked(2))
        .server(answer(204, ""))
        .told(exchange("PUT", "/b", 204).bodies(4, 0).asked(2))
}

/// 100, 102 and 103, together and apart.
#[must_use]
pub fn interim_answers_come_before_the_answer() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/slow"))
        .server(head(102, "") + &head(103, "Link: </s>; rel=preload\r\n"))
        .pause(60)
        .server(head(103, ""))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/slow", 200).bodies(0, 2).first_byte(1))
        .client(get("/next"))
        .server(head(100, "") + &answer(204, ""))
        .told(exchange("GET", "/next", 204))
}

/// `Expect: 100-continue`, and a body that looks like a request.
#[must_use]
pub fn a_body_that_was_expected_follows_100_continue() -> Play {
    let body = get("/body");
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    Play::over(Link::Ipv4)
        .client(ask("POST /expected", &fields))
        .server(head(100, ""))
        .client(&body)
        .server(answer(201, ""))
        .told(exchange("POST", "/expected", 201).bodies(body.len() as u64, 0).asked(2))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// 417; the client sends the body all the same, as it announced.
#[must_use]
pub fn a_refused_expectation_leaves_the_body() -> Play {
    let body = get("/body");
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    Play::over(Link::Ipv4)
        .client(ask("POST /refused", &fields))
        .server(answer(417, ""))
        .told(exchange("POST", "/refused", 417).bodies(body.len() as u64, 0))
        .client(&body)
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// The answer comes while the body is still coming.
#[must_use]
pub fn an_early_answer_does_not_end_the_body() -> Play {
    let rest = get("/rest");
    Play::over(Link::Ipv4)
        .client(ask("POST /early", &format!("Content-Length: {}\r\n", 10 + rest.len())) + "0123456789")
        .server(answer(413, ""))
        .told(exchange("POST", "/early", 413).bodies(10 + rest.len() as u64, 0))
        .client(&rest)
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// A server that times an idle connection out says so.
#[must_use]
pub fn an_answer_to_nobody_is_no_exchange() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .server(answer(408, ""))
        .closes(Server)
        .loses("unasked_responses", 2)
}

/// A server that is full says so, and serves later.
#[must_use]
pub fn an_answer_before_any_request_is_no_exchange() -> Play {
    Play::over(Link::Ipv4)
        .server(answer(503, ""))
        .client(get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
}

/// 408, and the connection ends.
#[must_use]
pub fn an_answer_to_an_unfinished_head_ends_it() -> Play {
    Play::over(Link::Ipv4)
        .client("GET /slow HTTP/1.1\r\nHost: play\r\nX-Slo")
        .server(answer(408, ""))
        .told(exchange("GET", "/slow", 408).framed(None, Some(0)))
        .closes(Server)
        .loses("cut_heads", 2)
}
