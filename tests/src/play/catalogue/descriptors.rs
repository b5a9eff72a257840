//! Descriptors that change hands, and threads that share one.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Link, Play, Receiving, Sending, What, exchange};

fn one_exchange(play: Play, path: &str) -> Play {
    play.client(get(path)).server(answer(200, "")).told(exchange("GET", path, 200))
}

/// Both ends go on by duplicates, between exchanges and inside one.
#[must_use]
pub fn duplicated_descriptors() -> Play {
    let play =
        one_exchange(Play::over(Link::Ipv4), "/first").does(Client, What::Duplicate).does(Server, What::Duplicate);
    one_exchange(play, "/duplicated")
        .client(get("/during"))
        .does(Server, What::Duplicate)
        .server(answer(200, ""))
        .told(exchange("GET", "/during", 200))
}

/// A server hands a connection on before its first byte, and again inside an exchange.
#[must_use]
pub fn a_descriptor_that_is_passed_on() -> Play {
    let play = one_exchange(Play::over(Link::Ipv4).does(Server, What::Pass(2)), "/passed");
    play.client(get("/during"))
        .does(Server, What::Pass(1))
        .server(answer(200, ""))
        .told(exchange("GET", "/during", 200))
}

/// The same of a unix socket.
#[must_use]
pub fn a_unix_socket_that_is_passed_on() -> Play {
    let play = one_exchange(Play::over(Link::UnixPath), "/first").does(Server, What::Pass(2));
    one_exchange(play, "/passed")
}

/// A forked process goes on with what its parent had open.
#[must_use]
pub fn a_descriptor_inherited_over_fork() -> Play {
    let play = one_exchange(Play::over(Link::Ipv4), "/parent").does(Server, What::Fork);
    one_exchange(play, "/child").client(get("/caller")).server(answer(200, "")).told(exchange("GET", "/caller", 200))
}

/// A client that forks between a request and its answer.
#[must_use]
pub fn a_client_that_forks_inside_an_exchange() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .does(Client, What::Fork)
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .client(get("/b"))
        .server(answer(200, ""))
        .told(exchange("GET", "/b", 200))
}

/// Another program goes on with what the one before it had open.
#[must_use]
pub fn a_descriptor_inherited_over_exec() -> Play {
    let play = one_exchange(Play::over(Link::Ipv4), "/before").does(Server, What::Exec);
    one_exchange(play, "/behind")
}

/// A descriptor's number is used again at once; the connections have nothing in common.
#[must_use]
pub fn descriptors_closed_and_reused() -> Play {
    (0..5).fold(Play::over(Link::UnixPath), |play, number| {
        let link = if number % 2 == 0 { Link::Ipv4 } else { Link::UnixPath };
        let play = play.does(Client, What::Close).does(Server, What::Close).connect(0, 1, link);
        one_exchange(play, &format!("/{number}"))
    })
}

/// A thread asks, another one hears; at the server one reads, another one answers.
#[must_use]
pub fn two_threads_on_one_connection() -> Play {
    let both = |play: Play, client, server| play.thread(Client, client).thread(Server, server);
    let play = both(Play::over(Link::Ipv4), 1, 1).client(get("/a"));
    let play = both(play, 2, 2).server(answer(200, "ok")).told(exchange("GET", "/a", 200).bodies(0, 2));
    // A head and a body by turns of both.
    let asked = ask("POST /b", "Content-Length: 6\r\n");
    let (first, rest) = asked.split_at(12);
    let play = both(play, 1, 2).says(Client, first, Sending::Send).hears(Server, first.len(), Receiving::Recv);
    let play = both(play, 2, 1).says(Client, rest, Sending::Send).hears(Server, rest.len(), Receiving::Recv);
    let play = both(play, 1, 2).client("abcdef");
    let play = both(play, 2, 1).server(head(200, "Content-Length: 3\r\n"));
    both(play, 1, 2).server("end").told(exchange("POST", "/b", 200).bodies(6, 3).asked(3).first_byte(2))
}
