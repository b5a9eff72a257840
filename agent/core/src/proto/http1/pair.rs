//! Requests with their responses.
//!
//! Responses come in the order of their requests (RFC 9112, section 9.3.2), so the oldest open exchange is the one
//! that is answered. Where the response direction lost its place, turns help: what answers a turn's first request is
//! the next response turn, and exchanges of earlier turns are over by then.

use std::collections::VecDeque;

use super::body::Body;
use super::detect::Opening;
use super::head::Cut;
use super::open::{Method, Open};
use super::parse::Framing;
use super::requests::{self, Asked, Requests};
use super::responses::{self, Answered, Responses, Rest};
use super::turns::{Turn, Turns};
use super::types::Losses;
use super::witness::Witness;
use crate::decode::Closing;
use crate::ids::{BootNanos, SockCookie};
use crate::limits::{HTTP1_HEADS_BYTES_MAX, HTTP1_OPEN_EXCHANGES_MAX};
use crate::proto::exchange::{Ending, HalfKey, Outcome, Request, Response, Role, Update};
use crate::stream::Piece;

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub(super) struct Dialogue {
    cookie: SockCookie,
    role: Role,
    requests: Requests,
    responses: Responses,
    /// Requests without the end of their response, oldest first.
    open: VecDeque<Open>,
    /// Watches the response direction.
    witness: Witness,
    turns: Turns,
    /// Latest turn of the request direction that went on with a body: an answer or an interim response came before it.
    resumed: Turn,
    /// In this turn a lost request direction may find its place again.
    may_begin: bool,
    /// The rest of a head came behind the answer to it, and was not read: a body may follow.
    overtaken: bool,
    /// The request whose body goes on.
    current: Option<HalfKey>,
    /// A request was told: the verdict stands.
    asked: bool,
    /// A final response was seen.
    answered: bool,
    /// When the request direction last moved bytes.
    asking: BootNanos,
    /// When the response direction last moved bytes.
    answering: BootNanos,
    /// The request direction is over.
    no_more_requests: bool,
    /// An answer to CONNECT was missed: what follows may be anything.
    tunnel: bool,
    losses: Losses,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It goes on.
    Continue,
    /// It was never HTTP/1, and nothing was said.
    NotHttp,
    /// Nothing of HTTP/1 will follow.
    Over,
}

impl Dialogue {
    /// Begins with the head whose request line was found.
    pub(super) fn new(cookie: SockCookie, role: Role, opening: Opening) -> Self {
        Self {
            cookie,
            role,
            requests: Requests::with(opening.head),
            responses: if opening.first { Responses::in_place() } else { Responses::lost() },
            // Most connections have one open at a time: room for more is made when more come.
            open: VecDeque::with_capacity(1),
            witness: opening.witness,
            turns: opening.turns,
            resumed: 0,
            may_begin: false,
            overtaken: false,
            current: None,
            asked: false,
            answered: false,
            asking: BootNanos(0),
            answering: opening.answering,
            no_more_requests: false,
            tunnel: false,
            losses: Losses::default(),
        }
    }

    /// Which end this is.
    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Exchanges that were told and are not over.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Bytes held of heads and open exchanges.
    pub(super) fn held(&self) -> usize {
        self.requests.held() + self.responses.held() + self.open.len() * size_of::<Open>()
    }

    /// What was lost since the last call.
    pub(super) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Takes a piece of the request direction; `shed` if it is of a turn the kernel half shed.
    pub(super) fn request_piece(&mut self, mut piece: Piece<'_>, shed: bool, out: &mut Vec<Update>) -> Flow {
        // A record that comes behind those of a later answer: whose that was is not known.
        let late = piece.time < self.answering;
        self.asking = self.asking.max(piece.time);
        let begun_unseen = Turn::from(piece.turn) > self.turns.asked();
        if piece.turn_start {
            self.begin_request_turn(piece.turn, late, out);
        } else if !piece.is_lost() {
            self.turns.ask(piece.turn, late);
            let read = self.requests.is_in_head() || self.requests.is_in_body();
            self.overtaken |= late && !piece.is_gap() && !read;
        }
        if shed {
            self.losses.shed_turns += u64::from(piece.turn_start);
            if self.requests.drop_head() {
                self.begin_request(out);
            }
        }
        while !piece.is_empty() && !self.tunnel {
            let begins = piece.turn_start || piece.is_lost();
            let (before, in_body, in_head) = (piece.offset, self.requests.is_in_body(), self.requests.is_in_head());
            let said = self.requests.step(&mut piece, self.may_begin);
            let moved = piece.offset - before;
            // A request whose framing is lost may go on until the next one begins.
            let goes_on = !in_head && said.is_none() && !self.requests.is_in_head();
            if in_body || goes_on {
                self.note_current(&piece, moved, in_body);
            }
            if in_body && (begins || begun_unseen) {
                self.resumed = piece.turn.into();
            }
            let begun = matches!(said, Some(requests::Said::Head(_)));
            let followed = in_body && !matches!(said, Some(requests::Said::BodyLost));
            let flow = said.map_or(Flow::Continue, |said| self.on_request(said, &piece, moved, out));
            if begun && late {
                self.void_all(out);
            }
            if piece.is_lost() {
                // What ended in the gap was asked before the turns that began in it.
                let missed = self.turns.ask_unseen(piece.turn);
                self.miss_answer_turn(missed, out);
                if !followed {
                    self.begin_request(out);
                }
            }
            if flow != Flow::Continue {
                return flow;
            }
        }
        self.flow()
    }

    /// Takes a piece of the response direction; `shed` if it is of a turn the kernel half shed.
    pub(super) fn response_piece(&mut self, mut piece: Piece<'_>, shed: bool, out: &mut Vec<Update>) -> Flow {
        self.witness.see(&piece, true);
        self.answering = self.answering.max(piece.time);
        let late = piece.time < self.asking;
        if late && piece.turn_start && piece.turn == 1 && !self.answered && self.witness.is_foreign() {
            // What was asked next overtook it: the first answer is none of HTTP all the same.
            self.void_all(out);
            return Flow::Over;
        }
        if piece.turn_start {
            let told = self.turns.answer(piece.turn, late);
            self.answer_turn(told, out);
        } else if !piece.is_lost() {
            self.turns.hear(piece.turn, late);
        }
        while !piece.is_empty() && !self.tunnel {
            if shed && !self.responses.is_in_body() {
                self.void_all(out);
            }
            if self.open.is_empty()
                && !piece.is_gap()
                && let Some(said) = self.requests.answered()
            {
                let flow = self.on_request(said, &piece, 0, out);
                if flow != Flow::Continue {
                    return flow;
                }
            }
            // What moved before it was asked is no answer to it: a record that comes late, of an exchange that was given up.
            let answers = |open: &&mut Open| piece.is_gap() || piece.time >= open.start;
            let Some(open) = self.open.front_mut().filter(answers) else {
                self.note_unseen_answers(&piece, out);
                let begins = piece.turn_start || (self.responses.is_in_place() && !piece.is_gap());
                self.losses.unasked_responses += u64::from(begins && !shed);
                self.responses.give_up();
                break;
            };
            let before = piece.offset;
            let limit = HTTP1_HEADS_BYTES_MAX - self.requests.held();
            // Bytes that were counted where an answer is awaited are one, though no record told that its turn began.
            let counted = piece.is_gap() && !piece.is_lost() && self.responses.is_in_head();
            let answering = counted || self.turns.is_answered(open.turn);
            let said = self.responses.step(&mut piece, limit);
            open.note_response(&piece, piece.offset - before, answering);
            let flow = said.map_or(Flow::Continue, |said| self.on_response(said, &piece, out));
            if flow != Flow::Continue {
                return flow;
            }
            self.note_unseen_answers(&piece, out);
        }
        self.flow()
    }

    /// A direction or the connection is over.
    pub(super) fn closing(&mut self, what: Closing, time: BootNanos, out: &mut Vec<Update>) -> Flow {
        let no_more_responses = match what {
            Closing::RecvEof => self.role == Role::Client,
            Closing::SendFin => self.role == Role::Server,
            Closing::Closed | Closing::Error(_) => true,
        };
        if !no_more_responses {
            self.no_more_requests = true;
            return self.flow();
        }
        let outcome = match what {
            Closing::Error(errno) => Outcome::Error(errno),
            Closing::RecvEof | Closing::SendFin | Closing::Closed => Outcome::Closed,
        };
        // Where the answers lost their place, what came may have answered the oldest request, and more than that one.
        let lost = self.responses.is_lost() || self.responses.rest() == Some(Rest::Unframed);
        let complete = outcome == Outcome::Closed && self.ends_with_its_connection(what);
        if let Some(responses::Said::Head(head)) = self.responses.cut_head(Cut::Loss)
            && !self.open.is_empty()
            && self.on_head(head, None, out) == Flow::Over
        {
            return Flow::Over;
        }
        let front = self.open.front().filter(|_| lost);
        let later = if front.is_some_and(|open| open.touched) { Outcome::Void } else { outcome };
        let first = if self.responses.rest().is_none() { later } else { outcome };
        let mut outcome = if complete { Outcome::Complete } else { first };
        while let Some(open) = self.open.front_mut() {
            if outcome != Outcome::Complete {
                open.last = open.last.max(time);
            }
            self.finish(outcome, out);
            outcome = later;
        }
        Flow::Over
    }

    /// This end can send no more answers: what is open ends. Requests may yet be read.
    pub(super) fn unanswerable(&mut self, what: Closing, time: BootNanos, out: &mut Vec<Update>) -> Flow {
        if self.open.is_empty() {
            return self.flow();
        }
        let flow = self.closing(what, time, out);
        if self.no_more_requests { flow } else { self.flow() }
    }

    /// A turn of the request direction begins.
    fn begin_request_turn(&mut self, turn: u32, late: bool, out: &mut Vec<Update>) {
        let missed = self.turns.ask(turn, late);
        self.miss_answer_turn(missed, out);
        let connecting = self.open.iter().any(|open| open.method == Method::Connect);
        if self.witness.has_switched() {
            // To a request that was not seen, since an answer to one that was would have ended the reading.
            self.void_all(out);
            self.tunnel = true;
        }
        let overtaken = std::mem::take(&mut self.overtaken);
        // What was seen of an earlier turn says nothing of one that vanished.
        self.may_begin = self.witness.take().lets_request_begin() && !missed && !connecting && !overtaken;
    }

    /// A turn of the request direction began. If the one of the other direction before it was `missed`, that was an
    /// interim response at most where a body goes on, else an answer.
    fn miss_answer_turn(&mut self, missed: bool, out: &mut Vec<Update>) {
        let missed = missed && self.responses.miss_turn();
        self.losses.unseen_heads += u64::from(missed);
        if missed && !self.requests.is_in_body() {
            self.begin_request(out);
        }
    }

    /// A turn of the response direction begins. If that lost its place, it answers the latest turn of the other one,
    /// `told` or not, and nothing before it.
    fn answer_turn(&mut self, told: bool, out: &mut Vec<Update>) {
        self.losses.unseen_heads += u64::from(!told);
        if !told && self.requests.drop_head() {
            // An unfinished head is of a turn before.
            self.current = None;
        }
        if self.responses.is_in_place() {
            return;
        }
        self.turns.begin_request();
        self.end_earlier_turns(out);
        if self.resumed == self.turns.asked() {
            // What came before the rest of the body may have been the answer, and this one be the next request's.
            self.requests.drop_head();
            self.void_all(out);
        }
    }

    /// Turns of the response direction that began in a gap tell of turns of the other one, too.
    fn note_unseen_answers(&mut self, piece: &Piece<'_>, out: &mut Vec<Update>) {
        if piece.is_lost() && !self.turns.answer_unseen(piece.turn) {
            self.answer_turn(false, out);
        }
    }

    /// A request begins in this turn, seen or not.
    fn begin_request(&mut self, out: &mut Vec<Update>) {
        self.current = None;
        self.turns.begin_request();
        self.end_earlier_turns(out);
    }

    fn flow(&self) -> Flow {
        let all_answered = self.no_more_requests && self.open.is_empty();
        if self.tunnel || all_answered { Flow::Over } else { Flow::Continue }
    }

    /// The request direction said something, by `moved` bytes up to where `piece` goes on.
    fn on_request(&mut self, said: requests::Said, piece: &Piece<'_>, moved: u64, out: &mut Vec<Update>) -> Flow {
        use requests::Said;
        match said {
            Said::Line => self.begin_request(out),
            Said::Head(asked) => {
                if asked.at_once {
                    self.begin_request(out);
                }
                if !self.tunnel {
                    self.on_asked(*asked, piece, moved, out);
                }
            }
            Said::BodyEnd(bytes) => {
                let current = self.current.take();
                if let Some(open) = current.and_then(|key| self.find(key)) {
                    open.request_body_bytes = Some(bytes);
                    open.request_end = piece.offset;
                }
            }
            Said::BodyLost => self.losses.lost_framings += 1,
            Said::Unseen => {
                self.losses.unseen_heads += 1;
                self.begin_request(out);
            }
            Said::Malformed if !self.asked => return Flow::NotHttp,
            Said::Malformed => self.losses.malformed_heads += 1,
        }
        Flow::Continue
    }

    fn on_asked(&mut self, asked: Asked, piece: &Piece<'_>, moved: u64, out: &mut Vec<Update>) {
        let start = asked.start;
        let key = HalfKey { cookie: self.cookie, offset: start.offset };
        if self.open.len() == HTTP1_OPEN_EXCHANGES_MAX {
            self.void_all(out);
            self.requests.give_up();
            self.current = None;
            return;
        }
        self.asked = true;
        self.current = asked.goes_on.then_some(key);
        self.losses.cut_heads += u64::from(asked.cut.is_some());
        let unframed = matches!(asked.head.framing, Framing::Coded | Framing::Invalid);
        self.losses.lost_framings += u64::from(unframed && asked.cut.is_none());
        let mut open = Open::new(key, &asked, self.turns.asked());
        open.note_request(piece, moved);
        self.open.push_back(open);
        let head = asked.head;
        out.push(Update::Request(Box::new(Request {
            key,
            role: self.role,
            method: head.method,
            target: head.target,
            version: head.version,
            host: head.host,
            user_agent: head.user_agent,
            context: head.context,
            start: start.mark.time,
            actor: start.mark.actor,
            blocking: start.mark.blocking,
            stale: start.mark.stale,
        })));
    }

    fn on_response(&mut self, said: responses::Said, piece: &Piece<'_>, out: &mut Vec<Update>) -> Flow {
        use responses::Said;
        match said {
            Said::Head(head) => return self.on_head(head, Some(piece.offset), out),
            Said::BodyEnd(bytes) => {
                self.set_body_bytes(Some(bytes));
                self.finish(Outcome::Complete, out);
            }
            Said::BodyLost => {
                self.losses.lost_framings += 1;
                self.end_earlier_turns(out);
            }
            Said::Unseen => {
                self.losses.unseen_heads += 1;
                self.end_earlier_turns(out);
            }
            Said::NoHead => self.end_earlier_turns(out),
            // The first answer is none of HTTP: then neither was the question, whatever it looked like.
            Said::Malformed if !self.answered => {
                self.void_all(out);
                return Flow::Over;
            }
            Said::Malformed => {
                self.losses.malformed_heads += 1;
                self.end_earlier_turns(out);
            }
        }
        Flow::Continue
    }

    /// A response head was parsed that ends at the raw offset `end`; none if its connection ended first.
    fn on_head(&mut self, Answered { head, start, cut }: Answered, end: Option<u64>, out: &mut Vec<Update>) -> Flow {
        let Some(open) = self.open.front_mut() else {
            return Flow::Continue;
        };
        self.losses.cut_heads += u64::from(cut);
        let interim = head.status < 200 && head.status != 101;
        if interim {
            open.answered = false;
            if cut {
                self.end_earlier_turns(out);
            } else {
                self.responses.expect_head();
            }
            return Flow::Continue;
        }
        self.answered = true;
        open.answered = true;
        open.may_switch = false;
        let (key, method) = (open.key, open.method);
        let framing =
            if method == Method::Head || matches!(head.status, 204 | 304) { Framing::Length(0) } else { head.framing };
        let ending = match framing {
            _ if cut => Ending::Unseen,
            Framing::Invalid => Ending::Unseen,
            Framing::Absent | Framing::Coded => Ending::Close,
            Framing::Length(_) | Framing::Chunked => Ending::Framed,
        };
        let response = Response { status: head.status, start, ending, ids: head.ids };
        out.push(Update::Response { key, response });
        let tunnel = method == Method::Connect && matches!(head.status, 200..300);
        if head.status == 101 || tunnel {
            self.finish(Outcome::Upgraded, out);
            self.void_all(out);
            return Flow::Over;
        }
        self.expect(framing, end.filter(|_| !cut), out);
        Flow::Continue
    }

    /// Gets ready for what follows a final response head that ends at the raw offset `end`, if its end was seen
    /// (RFC 9112, section 6.3).
    fn expect(&mut self, framing: Framing, end: Option<u64>, out: &mut Vec<Update>) {
        if let Framing::Length(length) = framing {
            self.set_body_bytes(Some(length));
        }
        let Some(end) = end else {
            self.responses.expect_rest(Rest::Unframed);
            self.end_earlier_turns(out);
            return;
        };
        match framing {
            Framing::Length(0) => {
                self.responses.expect_head();
                self.finish(Outcome::Complete, out);
            }
            Framing::Length(length) => self.responses.expect_body(Body::length(length)),
            Framing::Chunked => self.responses.expect_body(Body::chunked()),
            Framing::Absent | Framing::Coded => {
                self.responses.expect_rest(Rest::UntilClose(end));
                self.end_earlier_turns(out);
            }
            Framing::Invalid => {
                self.losses.lost_framings += 1;
                self.responses.expect_rest(Rest::Unframed);
                self.end_earlier_turns(out);
            }
        }
    }

    /// Ends exchanges of turns before the latest request's, if the response direction does not know its place: the
    /// oldest one was answered by what came, and how many more were is not known.
    fn end_earlier_turns(&mut self, out: &mut Vec<Update>) {
        while let Some(open) = self.open.front()
            && self.turns.is_past(open.turn)
            && !self.responses.is_in_place()
        {
            if open.may_switch {
                self.void_all(out);
                return;
            }
            let outcome = if open.answered { Outcome::Complete } else { Outcome::Void };
            self.finish(outcome, out);
            self.responses.give_up();
        }
    }

    /// True if the oldest exchange's response is whole because its connection is.
    fn ends_with_its_connection(&mut self, what: Closing) -> bool {
        let Some(open) = self.open.front_mut() else {
            return false;
        };
        match self.responses.rest() {
            Some(Rest::Unframed) => true,
            // A server ends such a body however it closes, a client only by reading up to the end.
            Some(Rest::UntilClose(start)) => {
                let whole = what != Closing::Closed || self.role == Role::Server;
                if whole {
                    open.response_body_bytes = Some(open.response_end.saturating_sub(start));
                }
                whole
            }
            None => self.responses.is_lost() && open.answered,
        }
    }

    fn set_body_bytes(&mut self, bytes: Option<u64>) {
        if let Some(open) = self.open.front_mut() {
            open.response_body_bytes = bytes;
        }
    }

    /// The request that goes on did. Without its framing (`framed`) it may as well be another one, which matters as long
    /// as no answer to it was seen: then it stays in its turn.
    fn note_current(&mut self, piece: &Piece<'_>, moved: u64, framed: bool) {
        let answered = self.responses.rest().and(self.open.front()).map(|open| open.key);
        let asked = self.turns.asked();
        let Some(open) = self.current.and_then(|key| self.find(key)) else { return };
        if moved > 0 && (framed || answered == Some(open.key)) {
            open.turn = asked;
        }
        open.note_request(piece, moved);
    }

    fn find(&mut self, key: HalfKey) -> Option<&mut Open> {
        self.open.iter_mut().rfind(|open| open.key == key)
    }

    /// Ends the oldest exchange.
    fn finish(&mut self, outcome: Outcome, out: &mut Vec<Update>) {
        if let Some(open) = self.open.pop_front() {
            let unasked =
                open.cut == Some(Cut::Loss) && !open.touched && matches!(outcome, Outcome::Closed | Outcome::Error(_));
            let outcome = if unasked { Outcome::Void } else { outcome };
            self.losses.void_exchanges += u64::from(outcome == Outcome::Void);
            out.push(Update::End(open.end(outcome)));
        }
    }

    /// Gives up all open exchanges, and both directions' places where they matter to them. Behind an answer that may have
    /// switched the protocol nothing more is read.
    pub(super) fn void_all(&mut self, out: &mut Vec<Update>) {
        self.tunnel |= self.open.iter().any(|open| open.may_switch);
        while !self.open.is_empty() {
            self.finish(Outcome::Void, out);
        }
        self.responses.give_up();
    }
}
