//! The response direction, message by message.
//!
//! ```text
//!            final head               body over
//!   Head --------------> Body --------------------> Head
//!    |  \-- no length --> Rest (until the connection or the turn ends)
//!    | unseen, nonsense     ^ framing lost
//!    v                      |
//!   Lost                  Body            Lost, Rest --- the exchange ends; a turn begins ---> Head
//! ```

use super::body::{Body, Passed};
use super::head::{Cut, Grown, Head, Kind};
use super::parse::{self, ResponseHead};
use crate::ids::BootNanos;
use crate::proto::trace_context::AnswerIds;
use crate::stream::Piece;

/// The parser of the response direction.
#[derive(Debug)]
pub(super) struct Responses {
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Head),
    /// A head, if this turn begins with one.
    MaybeHead(Head),
    Body(Body),
    Rest(Rest),
    Lost,
}

/// A body that does not tell its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The sender ends it by closing; it began at this raw offset.
    UntilClose(u64),
    /// Its framing, or its head's end, was not seen.
    Unframed,
}

/// A response head.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) head: ResponseHead,
    /// When its first byte moved.
    pub(super) start: BootNanos,
    /// The end of the head was not seen.
    pub(super) cut: bool,
}

/// What the direction said next.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// A head, interim or final; the parser waits to be told what follows.
    Head(Answered),
    /// A body is over and had so many bytes.
    BodyEnd(u64),
    /// The end of a body cannot be found any more.
    BodyLost,
    /// A response may have begun among unseen bytes.
    Unseen,
    /// What should be a head is none.
    Malformed,
    /// The turn that was looked at does not begin with a head.
    NoHead,
}

impl Responses {
    /// A parser that takes the direction's next byte for a response's first one.
    pub(super) const fn in_place() -> Self {
        Self { state: State::Head(Head::new(Kind::Response)) }
    }

    /// A parser that waits for a turn to begin.
    pub(super) const fn lost() -> Self {
        Self { state: State::Lost }
    }

    /// Bytes held.
    pub(super) const fn held(&self) -> usize {
        match &self.state {
            State::Head(head) | State::MaybeHead(head) => head.held(),
            State::Body(_) | State::Rest(_) | State::Lost => 0,
        }
    }

    /// True if the next response's first byte will be known as such.
    pub(super) const fn is_in_place(&self) -> bool {
        matches!(self.state, State::Head(_) | State::MaybeHead(_) | State::Body(_))
    }

    /// True where the next byte, or the last one, is of a head that is known to begin there.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// True inside a body whose end is known or will be.
    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// The kind of body whose end only others tell.
    pub(super) const fn rest(&self) -> Option<Rest> {
        match self.state {
            State::Rest(rest) => Some(rest),
            State::Head(_) | State::MaybeHead(_) | State::Body(_) | State::Lost => None,
        }
    }

    /// True if it waits for a turn to begin.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// A framed body follows.
    pub(super) fn expect_body(&mut self, body: Body) {
        self.state = State::Body(body);
    }

    /// A body follows whose end others tell.
    pub(super) fn expect_rest(&mut self, rest: Rest) {
        self.state = State::Rest(rest);
    }

    /// The next byte is a response's first one.
    pub(super) fn expect_head(&mut self) {
        self.state = State::Head(Head::new(Kind::Response));
    }

    /// Gives up until a turn begins.
    pub(super) fn give_up(&mut self) {
        self.state = State::Lost;
    }

    /// A whole turn of this direction was missed. Gives up if a response was about to begin in it; true if that is
    /// so, or may be.
    pub(super) fn miss_turn(&mut self) -> bool {
        match &self.state {
            State::Head(head) | State::MaybeHead(head) if head.start().is_some() => false,
            State::Body(_) | State::Rest(_) => false,
            State::Head(_) | State::MaybeHead(_) | State::Lost => {
                self.give_up();
                true
            }
        }
    }

    /// Takes from `piece` up to the next thing worth saying; none once it is used up. A head holds `limit` bytes at
    /// most.
    pub(super) fn step(&mut self, piece: &mut Piece<'_>, limit: usize) -> Option<Said> {
        while !piece.is_empty() {
            let said = match &mut self.state {
                State::Lost if piece.turn_start && !piece.is_gap() => {
                    self.state = State::MaybeHead(Head::new(Kind::Response));
                    None
                }
                State::Lost | State::Rest(_) => {
                    piece.advance(piece.len());
                    None
                }
                State::Body(body) => match body.pass(piece) {
                    Passed::More => None,
                    Passed::End(bytes) => {
                        self.expect_head();
                        Some(Said::BodyEnd(bytes))
                    }
                    Passed::Lost => {
                        self.expect_rest(Rest::Unframed);
                        piece.advance(piece.len());
                        Some(Said::BodyLost)
                    }
                },
                State::Head(_) | State::MaybeHead(_) if piece.is_gap() => {
                    let cut = Cut::by(piece);
                    piece.advance(piece.len());
                    Some(self.cut_head(cut).unwrap_or(Said::Unseen))
                }
                State::Head(head) | State::MaybeHead(head)
                    if let Some((_, mark, head)) = head.at_once(piece, limit, parse::plain_response) =>
                {
                    self.give_up();
                    Some(Said::Head(Answered { head, start: mark.time, cut: false }))
                }
                State::Head(head) | State::MaybeHead(head) => match head.grow(piece, limit) {
                    Grown::More | Grown::Line => None,
                    Grown::Whole => Some(self.head(None)),
                    Grown::Full => self.cut_head(Cut::Capture),
                    Grown::Refused | Grown::Endless => Some(self.refuse(piece)),
                },
            };
            if said.is_some() {
                return said;
            }
        }
        None
    }

    /// Takes the head as far as it was seen, or gives up if that is less than its status line.
    pub(super) fn cut_head(&mut self, cut: Cut) -> Option<Said> {
        match &self.state {
            State::Head(head) | State::MaybeHead(head) if head.has_line() => Some(self.head(Some(cut))),
            State::Head(_) | State::MaybeHead(_) | State::Lost => {
                self.give_up();
                None
            }
            State::Body(_) | State::Rest(_) => None,
        }
    }

    fn refuse(&mut self, piece: &mut Piece<'_>) -> Said {
        piece.advance(piece.len());
        match std::mem::replace(&mut self.state, State::Lost) {
            State::MaybeHead(_) => Said::NoHead,
            State::Head(_) | State::Body(_) | State::Rest(_) | State::Lost => Said::Malformed,
        }
    }

    fn head(&mut self, cut: Option<Cut>) -> Said {
        let parsed = match &self.state {
            State::Head(head) | State::MaybeHead(head) => {
                let response = if cut.is_some() { parse::response(&head.cut()) } else { parse::response(head.whole()) };
                head.start().zip(response)
            }
            State::Body(_) | State::Rest(_) | State::Lost => None,
        };
        self.give_up();
        match parsed {
            None => Said::Malformed,
            Some((start, mut head)) => {
                if cut == Some(Cut::Loss) {
                    // The same field may come again in what was lost.
                    head.ids = AnswerIds::default();
                }
                Said::Head(Answered { head, start: start.mark.time, cut: cut.is_some() })
            }
        }
    }
}
