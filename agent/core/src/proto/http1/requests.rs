//! The request direction, message by message.
//!
//! ```text
//!            head whole                    body over
//!   Head ----------------> Body --------------------------> Head
//!    |  \--- no body --> Head                |
//!    | gap, nonsense, cut head, CONNECT      | framing lost
//!    v                                       v
//!   Lost <-----------------------------------+      Lost --- a turn begins where a request may ---> Head
//! ```

use super::body::{Body, Passed};
use super::head::{Cut, Grown, Head, Kind, Start};
use super::parse::{self, Framing, RequestHead};
use crate::limits::HTTP1_HEAD_BYTES_MAX;
use crate::proto::trace_context::WireContext;
use crate::stream::Piece;

/// The parser of the request direction.
#[derive(Debug)]
pub(super) struct Requests {
    state: State,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Body(Body),
    Lost,
}

/// A request whose head ended.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) start: Start,
    pub(super) head: RequestHead,
    /// Raw offset behind the request by its framing, else behind what was seen of it.
    pub(super) end: u64,
    /// Bytes of its body, if they are known now.
    pub(super) body_bytes: Option<u64>,
    /// Bytes of its body follow, or may follow.
    pub(super) goes_on: bool,
    /// The end of the head was not seen.
    pub(super) cut: Option<Cut>,
    /// Its head was read in one step: no [`Said::Line`] was said before.
    pub(super) at_once: bool,
}

/// What the direction said next.
#[derive(Debug)]
pub(super) enum Said {
    /// A valid request line, whose head did not come with it.
    Line,
    /// A head.
    Head(Box<Asked>),
    /// A body is over and had so many bytes.
    BodyEnd(u64),
    /// The end of a body cannot be found any more.
    BodyLost,
    /// A request may have begun among unseen bytes.
    Unseen,
    /// What should be a head is none.
    Malformed,
}

impl Requests {
    /// Goes on with a head whose request line was found.
    pub(super) const fn with(head: Head) -> Self {
        Self { state: State::Head(head) }
    }

    /// Bytes held.
    pub(super) const fn held(&self) -> usize {
        match &self.state {
            State::Head(head) => head.held(),
            State::Body(_) | State::Lost => 0,
        }
    }

    /// True inside a body whose end is known or will be.
    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// True where a head is read, or looked for.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Takes from `piece` up to the next thing worth saying; none once it is used up. `may_begin` says that a request
    /// may begin where a turn does.
    pub(super) fn step(&mut self, piece: &mut Piece<'_>, may_begin: bool) -> Option<Said> {
        while !piece.is_empty() {
            let said = match &mut self.state {
                State::Lost if piece.turn_start && may_begin => {
                    self.state = State::Head(Head::new(Kind::Request));
                    None
                }
                State::Lost => {
                    piece.advance(piece.len());
                    None
                }
                State::Body(body) => match body.pass(piece) {
                    Passed::More => None,
                    Passed::End(bytes) => {
                        self.state = State::Head(Head::new(Kind::Request));
                        Some(Said::BodyEnd(bytes))
                    }
                    Passed::Lost => {
                        self.lose(piece);
                        Some(Said::BodyLost)
                    }
                },
                State::Head(_) if piece.is_gap() => {
                    let cut = Cut::by(piece);
                    piece.advance(piece.len());
                    Some(self.cut_head(cut).unwrap_or(Said::Unseen))
                }
                State::Head(head)
                    if let Some((offset, mark, head)) =
                        head.at_once(piece, HTTP1_HEAD_BYTES_MAX, parse::plain_request) =>
                {
                    Some(self.asked(Start { offset, mark: *mark }, head, piece.offset, true))
                }
                State::Head(head) => match head.grow(piece, HTTP1_HEAD_BYTES_MAX) {
                    Grown::More => None,
                    Grown::Line => Some(Said::Line),
                    Grown::Whole => Some(self.whole_head(piece)),
                    Grown::Full => self.cut_head(Cut::Capture),
                    Grown::Endless => {
                        self.lose(piece);
                        Some(Said::Unseen)
                    }
                    Grown::Refused => {
                        self.lose(piece);
                        Some(Said::Malformed)
                    }
                },
            };
            if said.is_some() {
                return said;
            }
        }
        None
    }

    /// Ends a head that has its request line: the answer to it has begun, so no more of it is awaited.
    pub(super) fn answered(&mut self) -> Option<Said> {
        match &self.state {
            State::Head(head) if head.has_line() => self.cut_head(Cut::Loss),
            State::Head(_) | State::Body(_) | State::Lost => None,
        }
    }

    /// Drops an unfinished head, whose answer will not be known; true if there was one.
    pub(super) fn drop_head(&mut self) -> bool {
        let drops = matches!(&self.state, State::Head(head) if head.start().is_some());
        if drops {
            self.state = State::Lost;
        }
        drops
    }

    /// Gives up until a turn begins.
    pub(super) fn give_up(&mut self) {
        self.state = State::Lost;
    }

    fn lose(&mut self, piece: &mut Piece<'_>) {
        piece.advance(piece.len());
        self.state = State::Lost;
    }

    /// Takes the head as far as it was seen; none if that is less than its request line.
    fn cut_head(&mut self, cut: Cut) -> Option<Said> {
        let State::Head(head) = std::mem::replace(&mut self.state, State::Lost) else {
            return None;
        };
        let start = head.start().filter(|_| head.has_line())?;
        let end = start.offset.saturating_add(head.held() as u64);
        Some(match parse::request(&head.cut()) {
            None => Said::Malformed,
            Some(mut head) => {
                if cut == Cut::Loss {
                    // The field that makes these void, or goes before them, may be the one that was lost.
                    head.context = WireContext::default();
                    head.upgrade = true;
                }
                Said::Head(Box::new(Asked {
                    start,
                    head,
                    end,
                    body_bytes: None,
                    goes_on: true,
                    cut: Some(cut),
                    at_once: false,
                }))
            }
        })
    }

    fn whole_head(&mut self, piece: &mut Piece<'_>) -> Said {
        let parsed = match &self.state {
            State::Head(head) => head.start().zip(parse::request(head.whole())),
            State::Body(_) | State::Lost => None,
        };
        let Some((start, head)) = parsed else {
            self.lose(piece);
            return Said::Malformed;
        };
        self.asked(start, head, piece.offset, false)
    }

    /// A whole head ended at the raw offset `end`.
    fn asked(&mut self, start: Start, head: RequestHead, end: u64, at_once: bool) -> Said {
        let tunnel = head.method == "CONNECT";
        let (state, body_bytes) = match head.framing {
            // What follows is for the tunnel, if there will be one.
            _ if tunnel => (State::Lost, Some(0)),
            Framing::Absent | Framing::Length(0) => (State::Head(Head::new(Kind::Request)), Some(0)),
            Framing::Length(length) => (State::Body(Body::length(length)), Some(length)),
            Framing::Chunked => (State::Body(Body::chunked()), None),
            // A server has to refuse these and close (RFC 9112, section 6.3).
            Framing::Coded | Framing::Invalid => (State::Lost, None),
        };
        self.state = state;
        Said::Head(Box::new(Asked {
            start,
            head,
            end: end.saturating_add(body_bytes.unwrap_or_default()),
            body_bytes,
            goes_on: body_bytes != Some(0),
            cut: None,
            at_once,
        }))
    }
}
