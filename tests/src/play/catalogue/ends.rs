//! How exchanges end with their connection: each end tells its own truth.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Half, Link, Play, Receiving, Sending, What, exchange, unanswered};

const ECONNRESET: i32 = 104;

/// A request with a body of five bytes, of which two were heard.
fn half_a_request() -> Play {
    Play::over(Link::Ipv4).client(ask("POST /p", "Content-Length: 5\r\n") + "he")
}

/// What a client tells that asked `POST /p` and had no answer; the server the same.
fn no_answer(error: &'static str) -> crate::play::Told {
    unanswered("POST", "/p", error).framed(Some(5), None)
}

/// A whole request, and the head of an answer of nine bytes with three of them.
fn half_an_answer() -> Play {
    Play::over(Link::Ipv4).client(get("/a")).server(head(200, "Content-Length: 9\r\n") + "abc")
}

/// Nothing was asked yet: there is no exchange.
#[must_use]
pub fn a_reset_in_a_requests_head() -> Play {
    Play::over(Link::Ipv4)
        .client("GET /a HTTP/1.1\r\nHos")
        .does(Client, What::Reset)
        .does(Server, What::Fail(ECONNRESET))
}

/// The client resets in the middle of its own body.
#[must_use]
pub fn a_reset_in_a_requests_body() -> Play {
    half_a_request()
        .does(Client, What::Reset)
        .told(no_answer("closed").at_server(|half| half.error = Some("ECONNRESET")))
        .does(Server, What::Fail(ECONNRESET))
}

/// The server resets while the client waits for the answer.
#[must_use]
pub fn a_reset_before_the_answer() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .pause(200)
        .does(Server, What::Reset)
        .told(unanswered("GET", "/a", "closed").at_client(|half| half.error = Some("ECONNRESET")))
        .does(Client, What::Fail(ECONNRESET))
}

/// The status line is not whole: there is no status.
#[must_use]
pub fn a_reset_in_a_status_line() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server("HTTP/1.1 20")
        .does(Server, What::Reset)
        .told(unanswered("GET", "/a", "closed").at_client(|half| half.error = Some("ECONNRESET")))
        .does(Client, What::Fail(ECONNRESET))
}

/// The status line is whole, the head is not: the status stands.
#[must_use]
pub fn a_reset_in_an_answers_head() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server("HTTP/1.1 200 OK\r\nServ")
        .does(Server, What::Reset)
        .told(
            exchange("GET", "/a", 200)
                .framed(Some(0), None)
                .failed("closed")
                .at_client(|half| half.error = Some("ECONNRESET")),
        )
        .does(Client, What::Fail(ECONNRESET))
        .loses("cut_heads", 2)
}

/// The server resets in the middle of its body.
#[must_use]
pub fn a_reset_in_an_answers_body() -> Play {
    half_an_answer()
        .does(Server, What::Reset)
        .told(
            exchange("GET", "/a", 200).bodies(0, 9).failed("closed").at_client(|half| half.error = Some("ECONNRESET")),
        )
        .does(Client, What::Fail(ECONNRESET))
}

/// The client has enough, and resets while the server answers.
#[must_use]
pub fn a_client_that_resets_in_an_answers_body() -> Play {
    half_an_answer()
        .does(Client, What::Reset)
        .told(
            exchange("GET", "/a", 200).bodies(0, 9).failed("closed").at_server(|half| half.error = Some("ECONNRESET")),
        )
        .does(Server, What::Fail(ECONNRESET))
}

/// A server that answers and closes with a body unread resets the connection; the answer can be read all the same.
#[must_use]
pub fn an_answer_that_is_read_after_a_reset() -> Play {
    Play::over(Link::Ipv4)
        .client(ask("POST /p", "Content-Length: 5\r\n"))
        .says(Client, "hello", Sending::Send)
        .says(Server, answer(413, ""), Sending::Send)
        .does(Server, What::Close)
        .pause(200)
        .hears(Client, answer(413, "").len(), Receiving::Recv)
        .told(exchange("POST", "/p", 413).bodies(5, 0).asked(2))
        .does(Client, What::Fail(ECONNRESET))
}

/// The client asked and half-closed; its socket is gone when the server closes, and the answer still to be read.
#[must_use]
pub fn an_answer_that_is_read_after_both_ends_closed() -> Play {
    let answered = answer(200, "all of it");
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .does(Client, What::Finish)
        .does(Server, What::HearEnd)
        .says(Server, &answered, Sending::Send)
        .does(Server, What::Close)
        .pause(200)
        .hears(Client, answered.len(), Receiving::Recv)
        .told(exchange("GET", "/a", 200).bodies(0, 9))
        .does(Client, What::HearEnd)
}

/// The client was gone before its request was read: the server reads it, and cannot answer.
#[must_use]
pub fn a_request_that_is_read_after_a_reset() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/1"))
        .server(answer(200, ""))
        .told(exchange("GET", "/1", 200))
        .says(Client, get("/2"), Sending::Send)
        .does(Client, What::Reset)
        .pause(200)
        .hears(Server, get("/2").len(), Receiving::Recv)
        .told(
            unanswered("GET", "/2", "closed")
                .at_client(|half| half.until(6))
                .at_server(|half| half.error = Some("ECONNRESET")),
        )
        .does(Server, What::Fail(ECONNRESET))
}

/// The client gives up waiting.
#[must_use]
pub fn a_client_that_gives_up_waiting() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/slow"))
        .pause(300)
        .does(Client, What::Close)
        .does(Server, What::HearEnd)
        .pause(200)
        .does(Server, What::Close)
        .told(unanswered("GET", "/slow", "closed").at_client(|half| half.until(4)))
}

/// The server closes without an answer.
#[must_use]
pub fn a_server_that_closes_without_an_answer() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .pause(200)
        .does(Server, What::Close)
        .told(unanswered("GET", "/a", "closed").at_client(Half::until_next))
        .does(Client, What::HearEnd)
}

/// The server closes before its body is whole: no length tells it so to itself, but the one it announced does.
#[must_use]
pub fn a_server_that_closes_in_its_body() -> Play {
    half_an_answer()
        .does(Server, What::Close)
        .told(exchange("GET", "/a", 200).bodies(0, 9).failed("closed").at_client(Half::until_next))
        .does(Client, What::HearEnd)
}

/// The same of chunks: the last one is missing.
#[must_use]
pub fn a_server_that_closes_between_chunks() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(head(200, "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n")
        .does(Server, What::Close)
        .told(exchange("GET", "/a", 200).framed(Some(0), None).failed("closed").at_client(Half::until_next))
        .does(Client, What::HearEnd)
}

/// The client will send no more, and reads its answer: nothing is wrong.
#[must_use]
pub fn a_client_that_half_closes_is_answered() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .does(Client, What::Finish)
        .does(Server, What::HearEnd)
        .pause(200)
        .server(answer(200, "ok"))
        .told(exchange("GET", "/a", 200).bodies(0, 2))
        .does(Server, What::Close)
        .does(Client, What::HearEnd)
}

/// The client half-closes before its body is whole; it is answered all the same.
#[must_use]
pub fn a_client_that_half_closes_in_its_body_is_answered() -> Play {
    half_a_request()
        .does(Client, What::Finish)
        .does(Server, What::HearEnd)
        .server(answer(400, ""))
        .told(exchange("POST", "/p", 400).bodies(5, 0))
        .does(Server, What::Close)
        .does(Client, What::HearEnd)
}

/// The server half-closes in the middle of its answer, and reads on.
#[must_use]
pub fn a_server_that_half_closes_in_its_body() -> Play {
    half_an_answer()
        .does(Server, What::Finish)
        .told(exchange("GET", "/a", 200).bodies(0, 9).failed("closed").at_client(Half::until_next))
        .does(Client, What::HearEnd)
        .does(Client, What::Close)
        .does(Server, What::HearEnd)
}

/// All that are open end, each as it stands.
#[must_use]
pub fn pipelined_requests_that_a_close_leaves_unanswered() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/1") + &get("/2") + &get("/3"))
        .server(answer(200, "") + &head(200, "Content-Length: 9\r\n") + "abc")
        .told(exchange("GET", "/1", 200))
        .does(Server, What::Close)
        .told(exchange("GET", "/2", 200).bodies(0, 9).failed("closed").at_client(Half::until_next))
        .told(unanswered("GET", "/3", "closed").at_client(Half::until_next))
        .does(Client, What::HearEnd)
}

/// A whole answer is complete, however rudely the connection ends.
#[must_use]
pub fn a_reset_after_the_answer_changes_nothing() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, "ok"))
        .told(exchange("GET", "/a", 200).bodies(0, 2))
        .does(Server, What::Reset)
        .does(Client, What::Fail(ECONNRESET))
}

/// Its last bytes were never read, but the server sent them all: only the client fails.
#[must_use]
pub fn a_body_ended_by_a_close_that_the_client_does_not_read_to_its_end() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(head(200, "") + "abc")
        .does(Client, What::Close)
        .told(exchange("GET", "/a", 200).bodies(0, 3).at_client(|half| {
            half.bodies[1] = None;
            half.fail("closed");
        }))
        .does(Server, What::HearEnd)
        .does(Server, What::Close)
}

/// Over a unix socket nothing tells of an end but the next call.
#[must_use]
pub fn a_unix_socket_that_closes_without_an_answer() -> Play {
    Play::over(Link::UnixPath)
        .client(get("/a"))
        .does(Server, What::Close)
        .does(Client, What::HearEnd)
        .told(unanswered("GET", "/a", "closed"))
}

/// Half of an answer is said and heard without a pause: what the server wrote is whole to it.
#[must_use]
pub fn an_answer_said_whole_and_heard_in_part() -> Play {
    let page = head(200, "Content-Length: 6\r\n");
    let heard = page.len() + 3;
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .says(Server, page + "abcdef", Sending::Send)
        .hears(Client, heard, Receiving::Recv)
        .does(Client, What::Reset)
        .told(exchange("GET", "/a", 200).bodies(0, 6).at_client(|half| half.fail("closed")))
        .does(Server, What::Fail(ECONNRESET))
}
