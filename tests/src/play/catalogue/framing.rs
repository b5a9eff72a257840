//! Where a body ends.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Link, Play, exchange};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Extensions, a quoted semicolon, sizes with zeros before them, trailers; between the calls there is time.
#[must_use]
pub fn chunked_bodies_with_extensions_and_trailers() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("POST /chunks", "Transfer-Encoding: gzip, Chunked\r\n") + "5;a=\"b;c\"\r\nhello\r\n")
        .client("00A ;x\r\nGET /no HT\r\n")
        .client("0;last\r\nX-Request-Id: trailer\r\n\r\n")
        .server(head(200, CHUNKED) + "3\r\nyes\r\n")
        .pause(250)
        .server("3;x=y\r\nyes\r\n0\r\nDigest: 1\r\n\r\n")
        .told(
            exchange("POST", "/chunks", 200)
                .bodies(15, 6)
                .asked(3)
                .first_byte(2)
                .has_no("http.request.header.x-request-id"),
        )
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// One byte a call, both ways.
#[must_use]
pub fn chunk_lines_split_anywhere() -> Play {
    let coded = "1;e=\"\"\r\nx\r\n0a\r\nHTTP/1.1 2\r\n0\r\nt: 1\r\n\r\n";
    Play::over(Link::Ipv4)
        .client(ask("POST /split", CHUNKED))
        .in_pieces(Client, coded, 1)
        .server(head(200, CHUNKED))
        .in_pieces(Server, coded, 1)
        .told(exchange("POST", "/split", 200).bodies(11, 11).asked(1 + coded.len()).first_byte(1 + coded.len()))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// Whatever their heads announce: to HEAD, 204 and 304.
#[must_use]
pub fn answers_without_a_body() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("HEAD /head", ""))
        .server(head(200, "Content-Length: 1000\r\n"))
        .told(exchange("HEAD", "/head", 200))
        .client(ask("DELETE /none", ""))
        .server(head(204, "Content-Length: 9\r\n"))
        .told(exchange("DELETE", "/none", 204))
        .client(ask("GET /same", "If-None-Match: 1\r\n"))
        .server(head(304, CHUNKED))
        .told(exchange("GET", "/same", 304))
        .client(get("/after"))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/after", 200).bodies(0, 2))
}

/// No length, no chunks: the server closes.
#[must_use]
pub fn a_body_that_ends_with_the_connection() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/close"))
        .server(head(200, "Connection: close\r\n") + "one")
        .pause(250)
        .server("two")
        .server("HTTP/1.1 404 this is body\r\n\r\n")
        .told(exchange("GET", "/close", 200).bodies(0, 35).first_byte(3))
        .pause(200)
        .closes(Server)
}

/// `Connection: keep-alive` on both sides.
#[must_use]
pub fn http_1_0_is_kept_alive_if_both_want() -> Play {
    Play::over(Link::Ipv4)
        .client("GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .server("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        .told(exchange("GET", "/kept", 200).bodies(0, 2).has("network.protocol.version", "1.0"))
        .client("GET /again HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .server("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        .told(exchange("GET", "/again", 200).has("network.protocol.version", "1.0"))
}

/// As HTTP/1.0 does by itself.
#[must_use]
pub fn http_1_0_closes() -> Play {
    Play::over(Link::Ipv4)
        .client("GET /last HTTP/1.0\r\n\r\n")
        .server("HTTP/1.0 200 OK\r\n\r\nall the rest is body")
        .told(exchange("GET", "/last", 200).bodies(0, 20).has("network.protocol.version", "1.0"))
        .closes(Server)
}

/// Far beyond what is captured, both ways, and what follows is read.
#[must_use]
pub fn a_body_in_a_gap_is_skipped_by_its_length() -> Play {
    const BYTES: usize = 300_000;
    let body = "GET /no HTTP/1.1\r\n\r\n".repeat(BYTES / 20);
    let fields = format!("Content-Length: {BYTES}\r\n");
    let (asked, answered) = (ask("POST /big", &fields), head(200, &fields));
    let (up, down) = (asked.len() as u64, answered.len() as u64);
    let unseen = BYTES as u64 - (8192 - up) + (BYTES as u64 - (1024 - down));
    Play::over(Link::Ipv4)
        .client(asked + &body)
        .server(answered + &body)
        .told(exchange("POST", "/big", 200).bodies(BYTES as u64, BYTES as u64).unseen(unseen, unseen))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// Whole messages in the bodies of both directions.
#[must_use]
pub fn http_in_bodies_is_no_http() -> Play {
    let page = get("/in") + &answer(201, "x") + "\r\n\r\n" + &get("/in");
    let fields = format!("Content-Length: {}\r\n", page.len());
    let bytes = page.len() as u64;
    Play::over(Link::Ipv4)
        .client(ask("POST /page", &fields))
        .client(&page)
        .server(head(200, &fields))
        .server(&page)
        .told(exchange("POST", "/page", 200).bodies(bytes, bytes).asked(2).first_byte(2))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}
