//! A small language for dialogues: `Talk::server().client(b"GET ...").server(b"HTTP/1.1 200 ...")`.
//!
//! Each call is one record. The first record has time 10, each further one comes 10 later. Turns begin where the
//! direction changes, as the kernel half sees it. What is told reads `GET /a @0 t10`, `200 @0 t20`,
//! `complete @0 t20`: offsets count from the first byte of the request direction.

mod closing;
mod context;
mod detect;
mod gaps;
mod late;
mod lines;
mod properties;
mod requests;
mod responses;
mod upgrades;

use super::*;
use crate::decode::{Actor, Link};
use crate::ids::{ThreadId, Tid};
use crate::proto::exchange::{End, HalfKey, Outcome, Request};

const COOKIE: SockCookie = SockCookie(7);
/// Raw offsets of the first bytes of client and server: any will do.
const BASES: [u64; 2] = [1000, 5_000_000];

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// A connection as one end sees it.
struct Talk {
    http: Http1,
    role: Role,
    next: [u64; 2],
    turns: [u32; 2],
    last: Option<Side>,
    time: u64,
    updates: Vec<Update>,
}

impl Talk {
    fn new(role: Role, old: bool) -> Self {
        Self {
            http: Http1::new(COOKIE, old),
            role,
            next: BASES,
            turns: [0; 2],
            last: None,
            time: 0,
            updates: Vec::new(),
        }
    }

    /// A new connection, seen at its server.
    fn server_end() -> Self {
        Self::new(Role::Server, false)
    }

    /// A new connection, seen at its client.
    fn client_end() -> Self {
        Self::new(Role::Client, false)
    }

    /// A connection older than the agent, seen at its server.
    fn old() -> Self {
        Self::new(Role::Server, true)
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Side::Client, bytes.as_ref(), 0, false)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Side::Server, bytes.as_ref(), 0, false)
    }

    /// One call that moved `gap` bytes more than were captured.
    fn client_cut(&mut self, bytes: impl AsRef<[u8]>, gap: u32) -> &mut Self {
        self.data(Side::Client, bytes.as_ref(), gap, false)
    }

    /// One call that moved `gap` bytes more than were captured.
    fn server_cut(&mut self, bytes: impl AsRef<[u8]>, gap: u32) -> &mut Self {
        self.data(Side::Server, bytes.as_ref(), gap, false)
    }

    /// Bytes of a shed turn.
    fn shed(&mut self, side: Side, len: u32) -> &mut Self {
        self.data(side, b"", len, true)
    }

    /// Bytes that were only counted.
    fn count(&mut self, side: Side, len: u64) -> &mut Self {
        self.time += 10;
        self.next[side as usize] += len;
        let count = Count {
            cookie: COOKIE,
            direction: self.direction(side),
            end: self.next[side as usize],
            time: BootNanos(self.time),
        };
        self.http.count(&count, &mut self.updates);
        self
    }

    /// A record that was lost, or a count that comes late.
    fn lost(&mut self, side: Side, len: u64) -> &mut Self {
        self.time += 10;
        self.moved(side, len);
        self
    }

    /// A record that was lost, of bytes that were counted instead.
    fn counted(&mut self, side: Side, len: u64) -> &mut Self {
        self.lost(side, len);
        self.time -= 10;
        self.next[side as usize] -= len;
        self.count(side, len)
    }

    /// Bytes moved, as the kernel half notes it.
    fn moved(&mut self, side: Side, len: u64) {
        self.next[side as usize] += len;
        self.turns[side as usize] += u32::from(self.last != Some(side));
        self.last = Some(side);
    }

    /// A direction, or the connection, is over; what was not read by then never will be.
    fn closing(&mut self, what: Closing) -> &mut Self {
        self.ending(what);
        if matches!(what, Closing::Closed | Closing::Error(_)) {
            self.http.gone(&mut self.updates);
        }
        self
    }

    /// A direction, or the connection, is over; what came before may yet be read.
    fn ending(&mut self, what: Closing) -> &mut Self {
        self.time += 10;
        let time = BootNanos(self.time);
        self.http.closing(what, time, &mut self.updates);
        self
    }

    fn data(&mut self, side: Side, bytes: &[u8], gap: u32, shed: bool) -> &mut Self {
        let mut data = self.record(side, bytes);
        data.len += gap;
        data.shed = shed;
        self.moved(side, u64::from(data.len));
        self.http.data(&data, &mut self.updates);
        self
    }

    /// The next record of a side.
    fn record(&mut self, side: Side, bytes: &[u8]) -> Data {
        self.time += 10;
        Data {
            time: BootNanos(self.time),
            cookie: COOKIE,
            actor: Actor { thread: ThreadId { tid: Tid(self.time as u32), ..ThreadId::default() }, ..Actor::default() },
            direction: self.direction(side),
            offset: self.next[side as usize],
            len: bytes.len() as u32,
            bytes: bytes.to_vec().into(),
            unseen: None,
            blocking: true,
            shed: false,
            turn_start: self.last != Some(side),
            turn: self.turns[side as usize] + u32::from(self.last != Some(side)),
            stale: false,
            link: Link::None,
        }
    }

    fn direction(&self, side: Side) -> Direction {
        match (self.role, side) {
            (Role::Client, Side::Client) | (Role::Server, Side::Server) => Direction::Send,
            (Role::Client, Side::Server) | (Role::Server, Side::Client) => Direction::Recv,
        }
    }

    /// What was told since the last call.
    fn told(&mut self) -> Vec<String> {
        self.updates.drain(..).map(|update| line(&update)).collect()
    }

    /// The requests told since the last call.
    fn requests(&mut self) -> Vec<Request> {
        let updates = self.updates.drain(..);
        let requests = updates.filter_map(|update| match update {
            Update::Request(request) => Some(*request),
            Update::Response { .. } | Update::End(_) => None,
        });
        requests.collect()
    }

    /// The ends told since the last call.
    fn ends(&mut self) -> Vec<End> {
        let updates = self.updates.drain(..);
        let ends = updates.filter_map(|update| match update {
            Update::End(end) => Some(end),
            Update::Request(_) | Update::Response { .. } => None,
        });
        ends.collect()
    }
}

fn line(update: &Update) -> String {
    let place = |offset: u64| offset - BASES[0];
    match update {
        Update::Request(request) => {
            format!("{} {} @{} t{}", request.method, request.target, place(request.key.offset), request.start.0)
        }
        Update::Response { key, response } => {
            format!("{} @{} t{}", response.status, place(key.offset), response.start.0)
        }
        Update::End(end) => {
            let outcome = match end.outcome {
                Outcome::Complete => "complete".to_owned(),
                Outcome::Closed => "closed".to_owned(),
                Outcome::Error(errno) => format!("error {errno}"),
                Outcome::Upgraded => "upgraded".to_owned(),
                Outcome::Void => "void".to_owned(),
            };
            format!("{outcome} @{} t{}", place(end.key.offset), end.time.0)
        }
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request head with these fields.
fn ask(line: &str, fields: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

/// A response head with these fields.
fn answer(status: u16, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Reason\r\n{fields}\r\n").into_bytes()
}
