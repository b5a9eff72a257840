//! Connections that become something else, and those that do not.

use super::{answer, ask, get, head};
use crate::play::act::Side::Client;
use crate::play::{Link, Play, exchange};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";

/// 101; what looks like HTTP in its frames is none.
#[must_use]
pub fn a_websocket_is_no_http_any_more() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /chat", WEBSOCKET))
        .server(head(101, "Connection: Upgrade\r\nUpgrade: websocket\r\n") + "\u{81}\u{2}hi")
        .told(exchange("GET", "/chat", 101).framed(Some(0), None))
        .client(get("/frame"))
        .server(answer(200, ""))
        .closes(Client)
}

/// 101 to the upgrade that HTTP/2 once offered.
#[must_use]
pub fn h2c_is_no_http_1_any_more() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /h2c", H2C))
        .server(head(101, "Connection: Upgrade\r\nUpgrade: h2c\r\n"))
        .told(exchange("GET", "/h2c", 101).framed(Some(0), None))
        .client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .server(answer(200, ""))
        .client(get("/frame"))
}

/// The server answers as if nothing had been offered.
#[must_use]
pub fn an_offer_that_is_ignored() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /offer", H2C))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/offer", 200).bodies(0, 2))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// 426.
#[must_use]
pub fn an_offer_that_is_refused() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("GET /offer", WEBSOCKET))
        .server(head(426, "Upgrade: websocket\r\nContent-Length: 0\r\n"))
        .told(exchange("GET", "/offer", 426))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// 2xx to CONNECT; the HTTP inside is the tunnel's.
#[must_use]
pub fn a_tunnel_is_no_http_any_more() -> Play {
    Play::over(Link::Ipv4)
        .client("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example\r\n\r\n")
        .server(head(200, "Content-Length: 9\r\n"))
        .told(exchange("CONNECT", "", 200).client_path("//db.example:5432").framed(Some(0), None))
        .client(get("/inside"))
        .server(answer(200, ""))
        .client(get("/inside/2"))
        .server(answer(200, ""))
}

/// 407, and another request.
#[must_use]
pub fn a_refused_tunnel_is_none() -> Play {
    Play::over(Link::Ipv4)
        .client("CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example\r\n\r\n")
        .server(answer(407, ""))
        .told(exchange("CONNECT", "", 407).client_path("//db.example:5432"))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}
