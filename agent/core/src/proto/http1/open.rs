//! An exchange between its request's head and its end.

use super::head::Cut;
use super::requests::Asked;
use super::turns::Turn;
use crate::ids::BootNanos;
use crate::proto::exchange::{End, HalfKey, Outcome};
use crate::stream::Piece;

/// What a method does to the framing of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Its response has no body (RFC 9110, section 9.3.2).
    Head,
    /// A successful response makes the connection a tunnel (RFC 9110, section 9.3.6).
    Connect,
    /// Nothing.
    Other,
}

/// An open exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) key: HalfKey,
    pub(super) method: Method,
    /// What follows its answer may be none of HTTP, and the answer's status was not seen yet.
    pub(super) may_switch: bool,
    /// The end of its head was not seen.
    pub(super) cut: Option<Cut>,
    /// Turn of the request's latest byte.
    pub(super) turn: Turn,
    pub(super) request_end: u64,
    pub(super) request_body_bytes: Option<u64>,
    /// Bytes moved that answer it, interim responses aside.
    pub(super) answered: bool,
    /// Bytes moved that may answer it, or be the rest of an earlier answer.
    pub(super) touched: bool,
    pub(super) response_body_bytes: Option<u64>,
    /// When its first byte moved.
    pub(super) start: BootNanos,
    /// Raw offset behind the response's last byte so far.
    pub(super) response_end: u64,
    /// When the latest byte of its response moved.
    last_answer: BootNanos,
    /// When the latest byte of it moved, or its connection ended.
    pub(super) last: BootNanos,
    unseen_bytes: u64,
}

impl Open {
    pub(super) fn new(key: HalfKey, asked: &Asked, turn: Turn) -> Self {
        Self {
            key,
            method: match asked.head.method.as_str() {
                "HEAD" => Method::Head,
                "CONNECT" => Method::Connect,
                _ => Method::Other,
            },
            may_switch: asked.head.upgrade || asked.head.method == "CONNECT",
            cut: asked.cut,
            turn,
            request_end: asked.end,
            request_body_bytes: asked.body_bytes,
            answered: false,
            touched: false,
            response_body_bytes: None,
            start: asked.start.mark.time,
            response_end: 0,
            last_answer: asked.start.mark.time,
            last: asked.start.mark.time,
            unseen_bytes: 0,
        }
    }

    /// `moved` bytes of the request moved, up to where `piece` goes on.
    pub(super) fn note_request(&mut self, piece: &Piece<'_>, moved: u64) {
        if moved > 0 {
            self.request_end = self.request_end.max(piece.offset);
            self.last = self.last.max(piece.time);
            self.note_unseen(piece, moved);
        }
    }

    /// `moved` bytes of the response moved, up to where `piece` goes on; without `answering` they may belong to an
    /// earlier response.
    pub(super) fn note_response(&mut self, piece: &Piece<'_>, moved: u64, answering: bool) {
        if moved > 0 {
            self.answered |= answering;
            self.touched = true;
            self.response_end = piece.offset;
            self.last_answer = piece.time;
            self.last = self.last.max(piece.time);
            self.note_unseen(piece, moved);
        }
    }

    /// What is told at its end.
    pub(super) const fn end(&self, outcome: Outcome) -> End {
        End {
            key: self.key,
            outcome,
            time: match outcome {
                Outcome::Complete | Outcome::Upgraded => self.last_answer,
                Outcome::Closed | Outcome::Error(_) | Outcome::Void => self.last,
            },
            request_end: self.request_end,
            request_body_bytes: self.request_body_bytes,
            response_body_bytes: self.response_body_bytes,
            unseen_bytes: self.unseen_bytes,
        }
    }

    fn note_unseen(&mut self, piece: &Piece<'_>, moved: u64) {
        if piece.is_gap() {
            self.unseen_bytes = self.unseen_bytes.saturating_add(moved);
        }
    }
}
