//! What joins the ends.

use super::{answer, get};
use crate::play::act::Side::Client;
use crate::play::{Link, Play, exchange};

/// Two exchanges, whose ends must be named as they are.
fn two_exchanges(link: Link) -> Play {
    Play::over(link)
        .client(get("/a"))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/a", 200).bodies(0, 2).has("network.transport", transport(link)))
        .client(get("/b"))
        .server(answer(404, ""))
        .told(exchange("GET", "/b", 404).has("network.transport", transport(link)))
}

const fn transport(link: Link) -> &'static str {
    if link.is_unix() { "unix" } else { "tcp" }
}

/// 127.0.0.1.
#[must_use]
pub fn ipv4() -> Play {
    two_exchanges(Link::Ipv4)
}

/// `::1`.
#[must_use]
pub fn ipv6() -> Play {
    two_exchanges(Link::Ipv6)
}

/// IPv4 by IPv6 sockets: both ends are told as what they are.
#[must_use]
pub fn ipv4_by_ipv6_sockets() -> Play {
    two_exchanges(Link::Mapped)
}

/// A path.
#[must_use]
pub fn unix_sockets_with_a_path() -> Play {
    two_exchanges(Link::UnixPath)
}

/// A name that is no path.
#[must_use]
pub fn unix_sockets_with_an_abstract_name() -> Play {
    two_exchanges(Link::UnixAbstract)
}

/// No name; one end was handed to the other process.
#[must_use]
pub fn unix_sockets_without_a_name() -> Play {
    two_exchanges(Link::UnixPair)
}

/// Multipath TCP: its bytes are counted by call, and nothing is told.
#[must_use]
pub fn multipath_tcp_is_counted() -> Play {
    Play::over(Link::Mptcp).client(get("/a")).server(answer(200, "")).loses("other_protocol", 4)
}

/// Plain TCP to a listener for multipath TCP is TCP.
#[must_use]
pub fn tcp_to_a_multipath_listener() -> Play {
    two_exchanges(Link::MptcpListener)
}

/// Two processes listen on one port; each connection is served by one of them.
#[must_use]
pub fn two_processes_on_one_port() -> Play {
    (0..4).fold(
        Play::over(Link::ReusePort).client(get("/0")).server(answer(200, "")).told(exchange("GET", "/0", 200)),
        |play, number| {
            let path = format!("/port/{number}");
            play.connect(0, 1, Link::ReusePort)
                .client(get(&path))
                .server(answer(200, ""))
                .told(exchange("GET", &path, 200))
        },
    )
}

/// Several connections at a time between the same two, over which exchanges cross.
#[must_use]
pub fn exchanges_on_several_connections_at_a_time() -> Play {
    Play::over(Link::Ipv4)
        .connect(0, 1, Link::Ipv6)
        .connect(0, 1, Link::UnixPath)
        .client(get("/unix"))
        .on(0)
        .client(get("/4"))
        .on(1)
        .client(get("/6"))
        .server(answer(206, ""))
        .told(exchange("GET", "/6", 206))
        .on(2)
        .server(answer(201, ""))
        .told(exchange("GET", "/unix", 201))
        .on(0)
        .does(Client, crate::play::What::Finish)
        .server(answer(204, ""))
        .told(exchange("GET", "/4", 204))
}
