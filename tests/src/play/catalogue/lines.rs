//! Start lines and field lines as they are sent in the field.

use super::{answer, ask, get};
use crate::play::act::Side::Server;
use crate::play::{Link, Play, exchange};

/// Origin, absolute, asterisk and authority.
#[must_use]
pub fn targets_of_all_four_forms() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /origin?secret=1#f", ""))
        .server(answer(200, ""))
        .told(exchange("GET", "/origin", 200).has("server.address", "play"))
        .client("GET http://user:secret@up.example:8080/absolute?b HTTP/1.1\r\nHost: proxy\r\n\r\n")
        .server(answer(200, ""))
        .told(exchange("GET", "/absolute", 200).has("server.address", "up.example").has("server.port", "8080"))
        .client(ask("OPTIONS *", ""))
        .server(answer(200, ""))
        .told(exchange("OPTIONS", "*", 200).client_path(""))
        .client("CONNECT tunnel.example:443 HTTP/1.1\r\nHost: tunnel.example\r\n\r\n")
        .server(answer(403, ""))
        .told(exchange("CONNECT", "", 403).client_path("//tunnel.example:443").has("server.address", "tunnel.example"))
}

/// Unknown ones are `_OTHER` in the span, with the original beside it.
#[must_use]
pub fn any_token_is_a_method() -> Play {
    ["PROPFIND", "get", "M-SEARCH", "!#$%&'*+-.^_`|~09"].into_iter().fold(Play::over(Link::Ipv4), |play, method| {
        play.client(ask(&format!("{method} /m"), ""))
            .server(answer(200, ""))
            .told(exchange(method, "/m", 200).has("http.request.method", "_OTHER"))
    })
}

/// Of both kinds, in calls of their own and in the request's.
#[must_use]
pub fn blank_lines_before_a_request() -> Play {
    Play::over(Link::Ipv4)
        .client("\r\n")
        .client("\r\n\n".to_owned() + &get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .client("\r\n")
        .client(get("/b"))
        .server(answer(200, ""))
        .told(exchange("GET", "/b", 200))
}

/// Line feeds alone, in heads and in chunks.
#[must_use]
pub fn bare_line_feeds() -> Play {
    Play::over(Link::Ipv4)
        .client("POST /a HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n2\nab\n0\n\n")
        .server("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
        .told(exchange("POST", "/a", 200).bodies(2, 2))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// A folded value is one value; half an id is no id.
#[must_use]
pub fn folded_fields() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /a", "X-Request-Id: r1\r\n more\r\nContent-Length:\r\n\t0\r\n"))
        .server("HTTP/1.1 200 OK\r\nServer: a\r\n b\r\nContent-Length:\r\n 2\r\n\r\nok")
        .told(exchange("GET", "/a", 200).bodies(0, 2).has_no("http.request.header.x-request-id"))
}

/// Round values, between words, before a response's colons.
#[must_use]
pub fn odd_white_space() -> Play {
    Play::over(Link::Ipv4)
        .client("GET   /a  HTTP/1.1\r\nHost:\t play \t\r\nX-Request-Id:r1\t \r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok")
        .told(
            exchange("GET", "/a", 200)
                .bodies(0, 2)
                .has("server.address", "play")
                .has("http.request.header.x-request-id", "r1"),
        )
}

/// With its space and without.
#[must_use]
pub fn a_status_line_without_a_reason() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n")
        .told(exchange("GET", "/a", 404))
        .client(get("/b"))
        .server("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n")
        .told(exchange("GET", "/b", 404))
}

/// As long as a head may be; the span has the beginning of it.
#[must_use]
pub fn a_long_target() -> Play {
    let target = format!("/{}", "x".repeat(8000));
    Play::over(Link::Ipv4)
        .client(get(&target))
        .server(answer(200, ""))
        .told(exchange("GET", &target[..2048], 200).client_path(&target[..2048 - "http://play".len()]))
}

/// Nothing says that it is HTTP; the next turn is read.
#[must_use]
pub fn a_target_beyond_the_capture() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .client(get(&format!("/{}", "x".repeat(9000))))
        .server(answer(414, ""))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses("unseen_heads", 2)
        .loses("unasked_responses", 2)
}

/// The exchange is told by what was seen of its head, and the next turn is read.
#[must_use]
pub fn a_head_beyond_the_capture() -> Play {
    let cookie = format!("X-Request-Id: seen\r\nCookie: {}\r\nX-Trace-Id: unseen\r\n", "c".repeat(9000));
    let asked = ask("GET /big", &cookie);
    let unseen = asked.len() as u64 - 8192;
    Play::over(Link::Ipv4)
        .client(asked)
        .server(answer(200, ""))
        .told(
            exchange("GET", "/big", 200)
                .framed(None, Some(0))
                .unseen(unseen, unseen)
                .has("http.request.header.x-request-id", "seen"),
        )
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .closes(Server)
        .loses("cut_heads", 2)
}
