//! One connection's bytes, in the order they move: a [`script`](crate::script) whose acts are calls.

use tracemend_core::decode::{Actor, Closing, Count, Data, Direction, Link};
use tracemend_core::ids::{BootNanos, SockCookie};
use tracemend_core::limits::HTTP1_OPEN_EXCHANGES_MAX;
use tracemend_core::proto::exchange::{End, Outcome, Update};
use tracemend_core::proto::http1::{Http1, Losses};

use crate::script::{Act, acts};

const COOKIE: SockCookie = SockCookie(7);
/// Bits of an act's number: who moves bytes, and what becomes of them.
const SENDS: u8 = 1;
const SHED: u8 = 2;
const COUNTED: u8 = 4;
const LOST: u8 = 8;
const AGAIN: u8 = 16;
const GAP: u8 = 32;
/// The connection is over instead.
const CLOSES: u8 = 64;

/// The kernel half's view of one socket.
struct Socket {
    http: Http1,
    next: [u64; 2],
    turns: [u32; 2],
    last: Option<Direction>,
    time: u64,
    updates: Vec<Update>,
}

pub(crate) fn run(bytes: &[u8]) {
    let Some((first, script)) = bytes.split_first() else { return };
    let mut whole = Socket::new(first & 1 != 0);
    let mut split = Socket::new(first & 1 != 0);
    let mut lossless = true;
    for act in acts(script) {
        whole.act(act, usize::MAX);
        split.act(act, 1 + usize::from(first >> 1));
        lossless &= act.code & !SENDS == 0;
        assert!(whole.http.open_exchanges() <= HTTP1_OPEN_EXCHANGES_MAX);
    }
    for socket in [&mut whole, &mut split] {
        // Where bytes are none of HTTP, that is found earlier or later, by how they are cut.
        lossless &= socket.http.take_losses() == Losses::default();
        socket.http.closing(Closing::Closed, BootNanos(socket.time + 1), &mut socket.updates);
        socket.http.abandon(&mut socket.updates);
        assert_eq!(socket.http.open_exchanges(), 0, "an exchange outlives its connection");
        in_order(&socket.updates);
    }
    if lossless && understood(&whole.updates) {
        assert_eq!(told(&whole.updates), told(&split.updates), "in other pieces the same bytes tell something else");
    }
}

impl Socket {
    fn new(old: bool) -> Self {
        let http = Http1::new(COOKIE, old);
        Self { http, next: [1, 0], turns: [0; 2], last: None, time: 0, updates: Vec::new() }
    }

    /// One call, or several that move at most so many bytes each.
    fn act(&mut self, act: Act<'_>, piece: usize) {
        if act.code & CLOSES != 0 {
            let what = [Closing::RecvEof, Closing::SendFin, Closing::Closed, Closing::Error(104)];
            self.time += 10;
            self.http.closing(what[usize::from(act.code & 3)], BootNanos(self.time), &mut self.updates);
            return;
        }
        let direction = if act.code & SENDS != 0 { Direction::Send } else { Direction::Recv };
        for bytes in act.bytes.chunks(piece.min(8 << 10)) {
            self.moves(direction, act.code, bytes);
        }
    }

    fn moves(&mut self, direction: Direction, code: u8, bytes: &[u8]) {
        self.time += 10;
        let index = usize::from(direction == Direction::Recv);
        let turn_start = self.last != Some(direction);
        self.turns[index] += u32::from(turn_start);
        self.last = Some(direction);
        let offset = self.next[index];
        let seen = if code & GAP != 0 { &bytes[..bytes.len() / 2] } else { bytes };
        let len = bytes.len() as u32;
        self.next[index] += u64::from(len);
        if code & LOST != 0 {
            return;
        }
        if code & COUNTED != 0 && !turn_start {
            let count = Count { cookie: COOKIE, direction, end: self.next[index], time: BootNanos(self.time) };
            return self.http.count(&count, &mut self.updates);
        }
        let data = Data {
            time: BootNanos(self.time),
            cookie: COOKIE,
            actor: Actor::default(),
            direction,
            offset,
            len,
            bytes: seen.to_vec().into(),
            unseen: None,
            blocking: true,
            shed: code & SHED != 0,
            turn_start,
            turn: self.turns[index],
            stale: false,
            link: Link::None,
        };
        for _ in 0..1 + usize::from(code & AGAIN != 0) {
            self.http.data(&data, &mut self.updates);
        }
    }
}

/// Each exchange is asked, answered at most once and ended, in the order of the requests.
fn in_order(updates: &[Update]) {
    let (mut asked, mut answered, mut ended) = (Vec::new(), None, 0);
    for update in updates {
        match update {
            Update::Request(request) => {
                assert!(asked.last().is_none_or(|last| *last < request.key), "requests out of order");
                asked.push(request.key);
            }
            Update::Response { key, .. } => {
                assert_eq!(Some(key), asked.get(ended), "an answer to another request");
                assert_ne!(answered.replace(*key), Some(*key), "two answers to one request");
            }
            Update::End(end) => {
                assert_eq!(Some(&end.key), asked.get(ended), "ends out of order");
                ended += 1;
            }
        }
    }
    assert_eq!(ended, asked.len(), "a request without an end");
}

/// True if something was told, and all of it to its end.
fn understood(updates: &[Update]) -> bool {
    let answers = updates.iter().filter(|update| matches!(update, Update::Response { .. })).count();
    let complete = |end: &End| matches!(end.outcome, Outcome::Complete | Outcome::Upgraded);
    let ends: Vec<_> =
        updates.iter().filter_map(|update| if let Update::End(end) = update { Some(end) } else { None }).collect();
    answers > 0 && answers == ends.len() && ends.into_iter().all(complete)
}

/// What must not depend on how bytes were cut: requests, answers, and what became of them. Where no answer was understood,
/// whether its bytes were the whole of it is a guess that may.
fn told(updates: &[Update]) -> Vec<(u64, String, Option<Outcome>)> {
    let mut answered = None;
    let tell = |update: &Update| match update {
        Update::Request(request) => {
            let text = format!("{} {} {:?} {:?}", request.method, request.target, request.host, request.context);
            (request.key.offset, text, None)
        }
        Update::Response { key, response } => {
            answered = Some(*key);
            (key.offset, response.status.to_string(), None)
        }
        Update::End(end) => {
            let known = answered == Some(end.key);
            let bodies = format!("{:?} {:?}", end.request_body_bytes, end.response_body_bytes.filter(|_| known));
            (end.key.offset, bodies, Some(end.outcome).filter(|_| known))
        }
    };
    updates.iter().map(tell).collect()
}
