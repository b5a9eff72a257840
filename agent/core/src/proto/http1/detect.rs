//! Who sends the requests, before it is known.
//!
//! The side whose turn begins with a valid request line does. On a connection seen from its first byte this is the
//! first turn or none; a connection joined later is believed at a turn's beginning only, and only after what looks
//! like an answer (see [`Witness`]).

use super::head::{Grown, Head, Kind};
use super::turns::{Order, Turns};
use super::witness::Witness;
use crate::decode::Direction;
use crate::ids::BootNanos;
use crate::limits::{HTTP1_DETECT_TURNS_MAX, HTTP1_HEAD_BYTES_MAX};
use crate::stream::Piece;

/// What a client of HTTP/2 begins with (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Looks for a request line in both directions.
#[derive(Debug)]
pub(super) struct Detector {
    /// The connection began before it was seen.
    old: bool,
    /// No byte moved yet on a connection seen from its beginning.
    fresh: bool,
    sent: Witness,
    received: Witness,
    /// Directions that moved bytes.
    moved: [bool; 2],
    /// When each direction last moved bytes.
    latest: [BootNanos; 2],
    order: Order,
    candidate: Option<Candidate>,
    turns: u32,
}

/// A turn that may begin with a request line.
#[derive(Debug)]
struct Candidate {
    direction: Direction,
    head: Head,
    turn: u32,
    /// It is the connection's first turn.
    first: bool,
}

/// What a piece told.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing yet.
    Nothing,
    /// A valid request line.
    Requests(Box<Opening>),
    /// The connection does not speak HTTP/1.
    Foreign,
}

/// A request line that was found.
#[derive(Debug)]
pub(super) struct Opening {
    /// Who sends requests.
    pub(super) direction: Direction,
    /// The head it begins; the piece goes on behind it.
    pub(super) head: Head,
    /// The connection was seen from its first byte, so that the first response begins with the first byte of the
    /// other direction.
    pub(super) first: bool,
    /// What the other direction told.
    pub(super) witness: Witness,
    /// Which turns were seen; the head's is the latest of its direction.
    pub(super) turns: Turns,
    /// When the other direction last moved bytes.
    pub(super) answering: BootNanos,
}

impl Detector {
    /// A connection of which nothing was seen yet; `old` if its beginning never will be.
    pub(super) fn new(old: bool) -> Self {
        Self {
            old,
            fresh: !old,
            sent: Witness::default(),
            received: Witness::default(),
            moved: [false; 2],
            latest: [BootNanos(0); 2],
            order: Order::unknown(),
            candidate: None,
            turns: 0,
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.candidate.as_ref().map_or(0, |candidate| candidate.head.held())
    }

    /// Takes the next piece of a direction, as far as it tells something.
    pub(super) fn see(&mut self, direction: Direction, piece: &mut Piece<'_>) -> Found {
        let after_other = self.moved[direction.opposite() as usize];
        let other = self.witness(direction.opposite());
        let told = piece.turn_start && other.take().lets_request_begin();
        let witness = self.witness(direction);
        witness.see(piece, after_other);
        if witness.has_switched() {
            return Found::Foreign;
        }
        let may_ask = !witness.has_answered();
        self.moved[direction as usize] = true;
        let latest = &mut self.latest[direction as usize];
        *latest = piece.time.max(*latest);
        let first = std::mem::take(&mut self.fresh) && piece.turn_start && piece.turn == 1;
        if first {
            self.order.begins_with(direction);
        }
        let late = piece.time < self.latest[direction.opposite() as usize];
        // What was seen first was an answer to it, of which not even the beginning came.
        let overtaken =
            late && !self.old && piece.turn_start && piece.turn == 1 && self.order.is_unseen(direction.opposite());
        if !piece.is_lost() {
            if late && piece.turn_start && piece.turn == 1 && self.order.is_in_first_turn(direction.opposite()) {
                // What was seen first was not the first: its record overtook this one.
                self.order.begins_with(direction);
            }
            self.order.see(direction, piece.turn, late);
        }
        // What the other direction says meanwhile may have overtaken the rest of it.
        let cut_short =
            |candidate: &mut Candidate| candidate.direction == direction && (piece.is_gap() || piece.turn_start);
        self.candidate.take_if(cut_short);
        if piece.is_gap() {
            return Found::Nothing;
        }
        if piece.turn_start && piece.bytes().starts_with(HTTP2_PREFACE) {
            return Found::Foreign;
        }
        if piece.turn_start {
            self.turns += 1;
            let answered = told && !self.order.may_miss_before(direction, piece.turn);
            if may_ask && (first || overtaken || answered) {
                let head = Head::new(Kind::Request);
                self.candidate = Some(Candidate { direction, head, turn: piece.turn, first });
            }
        }
        self.try_candidate(direction, piece)
    }

    fn try_candidate(&mut self, direction: Direction, piece: &mut Piece<'_>) -> Found {
        if let Some(mut candidate) = self.candidate.take_if(|candidate| candidate.direction == direction) {
            match candidate.head.grow(piece, HTTP1_HEAD_BYTES_MAX) {
                Grown::More => self.candidate = Some(candidate),
                Grown::Line | Grown::Whole | Grown::Full => {
                    return Found::Requests(Box::new(Opening {
                        direction: candidate.direction,
                        head: candidate.head,
                        first: candidate.first && !self.moved[direction.opposite() as usize],
                        witness: *self.witness(candidate.direction.opposite()),
                        turns: Turns::first(self.order, candidate.direction, candidate.turn),
                        answering: self.latest[candidate.direction.opposite() as usize],
                    }));
                }
                // A server may answer before it was asked (408, 503).
                Grown::Refused if candidate.first && !candidate.head.resembles_status_line() => {
                    return Found::Foreign;
                }
                Grown::Refused | Grown::Endless => {}
            }
        }
        if self.candidate.is_none() && self.turns >= HTTP1_DETECT_TURNS_MAX {
            return Found::Foreign;
        }
        Found::Nothing
    }

    const fn witness(&mut self, direction: Direction) -> &mut Witness {
        match direction {
            Direction::Send => &mut self.sent,
            Direction::Recv => &mut self.received,
        }
    }
}
