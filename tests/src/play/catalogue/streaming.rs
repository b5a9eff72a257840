//! Long answers: one span, which ends with the last byte, and says when the first one came.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Link, Play, What, exchange};

const EVENTS: &str = "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n";

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Server-sent events in chunks, a pause between them; the last chunk ends it.
#[must_use]
pub fn server_sent_events_in_chunks() -> Play {
    let event = chunk("id: 1\ndata: {\"tick\":\"now\"}\n\n");
    Play::over(Link::Ipv4)
        .client(ask("GET /events", "Accept: text/event-stream\r\n"))
        .pause(200)
        .server(head(200, &(EVENTS.to_owned() + "Transfer-Encoding: chunked\r\n")))
        .pause(200)
        .server(&event)
        .pause(200)
        .server(&event)
        .pause(200)
        .server("0\r\n\r\n")
        .told(exchange("GET", "/events", 200).bodies(0, 56).first_byte(4))
        .pause(200)
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// Without a length: the server's close ends it.
#[must_use]
pub fn server_sent_events_until_the_server_closes() -> Play {
    let event = "data: tick\n\n";
    let play = Play::over(Link::Ipv4).client(get("/events")).server(head(200, EVENTS));
    let play = (0..4).fold(play, |play, _| play.pause(120).server(event));
    play.told(exchange("GET", "/events", 200).bodies(0, 48).first_byte(5)).pause(300).closes(Server)
}

/// The client has enough and closes, as browsers do: each end tells that the connection ended it.
#[must_use]
pub fn server_sent_events_until_the_client_closes() -> Play {
    let event = "data: tick\n\n";
    let play = Play::over(Link::Ipv4).client(get("/events")).server(head(200, EVENTS));
    (0..3)
        .fold(play, |play, _| play.pause(120).server(event))
        .pause(300)
        .does(Client, What::Close)
        .told(exchange("GET", "/events", 200).bodies(0, 36).first_byte(4).at_client(|half| {
            half.bodies[1] = None;
            half.fail("closed");
        }))
        .does(Server, What::HearEnd)
        .does(Server, What::Close)
}

/// Far more events than are captured, in chunks whose framing is unseen: the next request tells that it is over, and it
/// ended with its last byte.
#[must_use]
pub fn server_sent_events_beyond_the_capture() -> Play {
    let event = chunk(&format!("data: {}\n\n", "x".repeat(192)));
    let play = Play::over(Link::Ipv4)
        .client(get("/events"))
        .server(head(200, &(EVENTS.to_owned() + "Transfer-Encoding: chunked\r\n")));
    let play = (0..20).fold(play, |play, number| play.pause(if number % 5 == 0 { 100 } else { 0 }).server(&event));
    let told = 20 * event.len() as u64 + 5 + head(200, EVENTS).len() as u64 + 28;
    play.pause(100)
        .server("0\r\n\r\n")
        .told(exchange("GET", "/events", 200).framed(Some(0), None).first_byte(22).unseen(told - 1024, told - 1024))
        .pause(300)
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses("lost_framings", 2)
}

/// A body of a megabyte with a length, in pieces with pauses: it ends with its last byte, though only the first are read.
#[must_use]
pub fn a_download_with_pauses() -> Play {
    const PIECE: usize = 30_000;
    let answered = head(200, &format!("Content-Length: {}\r\n", 10 * PIECE));
    let unseen = 10 * PIECE as u64 - (1024 - answered.len() as u64);
    let play = Play::over(Link::Ipv4).client(get("/download")).pause(160).server(&answered);
    let play = (0..10).fold(play, |play, _| play.pause(60).server(".".repeat(PIECE)));
    play.told(exchange("GET", "/download", 200).bodies(0, 10 * PIECE as u64).first_byte(11).unseen(unseen, unseen))
        .pause(300)
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// The same upwards.
#[must_use]
pub fn an_upload_with_pauses() -> Play {
    const PIECE: usize = 30_000;
    let asked = ask("PUT /upload", &format!("Content-Length: {}\r\n", 10 * PIECE));
    let unseen = 10 * PIECE as u64 - (8192 - asked.len() as u64);
    let play = Play::over(Link::Ipv4).client(&asked);
    let play = (0..10).fold(play, |play, _| play.pause(60).client(".".repeat(PIECE)));
    play.pause(200).server(answer(201, "")).told(
        exchange("PUT", "/upload", 201).bodies(10 * PIECE as u64, 0).asked(11).first_byte(1).unseen(unseen, unseen),
    )
}
