//! HTTP/1.0 and HTTP/1.1 (RFC 9112), one connection at a time, as one end sees it.
//!
//! The kernel half captures the first bytes of each turn, so heads are seen and most of the bodies is a gap of a known
//! length. A body of a known length is skipped by its offsets; one whose framing lies in a gap ends with its turn or
//! its connection. What cannot be known is not guessed: an exchange is told only if its request line was seen where a
//! message begins, and one whose answer got lost ends as [`Outcome::Void`](super::exchange::Outcome::Void).
//!
//! ```text
//! chunk -> Stream -> piece -> Detector ----> Dialogue { Requests, Responses } -> Update
//!                              (who asks?)               (whose answer?)
//! ```

mod body;
mod chunked;
mod detect;
mod head;
mod open;
mod pair;
mod parse;
mod requests;
mod responses;
mod turns;
mod types;
mod witness;

#[cfg(test)]
mod tests;

pub use types::{Losses, Verdict};

use detect::{Detector, Found};
use pair::{Dialogue, Flow};

use super::exchange::{Role, Update};
use crate::decode::{Closing, Count, Data, Direction};
use crate::ids::{BootNanos, SockCookie};
use crate::stream::{Chunk, Mark, Piece, Stream};

/// The parser of one connection.
///
/// It is given what happens on one socket, in order of time within each direction, and appends what it learns to the
/// caller's list. Each exchange is told by one [`Update::Request`], at most one [`Update::Response`] and one
/// [`Update::End`]; the ends of a connection come in the order of its requests.
#[derive(Debug)]
pub struct Http1 {
    cookie: SockCookie,
    sent: Stream,
    received: Stream,
    phase: Phase,
    /// The connection ended like this, and then; what came before may not be read yet.
    ended: Option<(Closing, BootNanos)>,
    losses: Losses,
}

#[derive(Debug)]
enum Phase {
    /// Who sends the requests?
    Detecting(Box<Detector>),
    /// Known.
    Speaking(Box<Dialogue>),
    /// Nothing more will be told.
    Over(Verdict),
}

impl Http1 {
    /// A connection before its first byte; `old` if earlier bytes were never seen.
    #[must_use]
    pub fn new(cookie: SockCookie, old: bool) -> Self {
        Self {
            cookie,
            sent: Stream::default(),
            received: Stream::default(),
            phase: Phase::Detecting(Box::new(Detector::new(old))),
            ended: None,
            losses: Losses::default(),
        }
    }

    /// Bytes moved.
    pub fn data(&mut self, data: &Data, out: &mut Vec<Update>) {
        let mark = Mark::of(data);
        let chunk = Chunk {
            offset: data.offset,
            len: data.len,
            bytes: if data.shed { &[] } else { &data.bytes },
            mark: &mark,
            turn_start: data.turn_start,
            turn: data.turn,
        };
        for piece in self.stream(data.direction).push(&chunk) {
            // A gap before the chunk is not the shed turn's.
            let shed = data.shed && piece.offset >= data.offset;
            self.piece(data.direction, piece, shed, out);
        }
    }

    /// A direction came further without data.
    pub fn count(&mut self, count: &Count, out: &mut Vec<Update>) {
        if let Some(piece) = self.stream(count.direction).reach(count.end, count.time) {
            self.piece(count.direction, piece, false, out);
        }
    }

    /// A direction or the connection is over. Counts owed for bytes before it must have been given.
    ///
    /// Where the whole connection is, nothing more can be sent on it. But a process may yet read what came before, after
    /// a reset too; when it cannot any more is told by [`Self::gone`].
    pub fn closing(&mut self, what: Closing, time: BootNanos, out: &mut Vec<Update>) {
        let whole = matches!(what, Closing::Closed | Closing::Error(_));
        if whole {
            self.ended.get_or_insert((what, time));
        }
        let Phase::Speaking(dialogue) = &mut self.phase else { return };
        let flow = match (self.ended, dialogue.role()) {
            (Some((first, _)), Role::Server) if whole => dialogue.unanswerable(first, time, out),
            (_, Role::Client) if whole => Flow::Continue,
            // The end that is read behind an error is none.
            (Some((error @ Closing::Error(_), failed)), _) => dialogue.closing(error, failed, out),
            _ => dialogue.closing(what, time, out),
        };
        self.turn_to(flow);
    }

    /// The connection is over for so long that nothing more will be read of it.
    pub fn gone(&mut self, out: &mut Vec<Update>) {
        if let (Phase::Speaking(dialogue), Some((what, time))) = (&mut self.phase, self.ended) {
            let flow = dialogue.closing(what, time, out);
            self.turn_to(flow);
        }
    }

    /// Nothing more of the connection will be given: what its open exchanges become is not known.
    pub fn abandon(&mut self, out: &mut Vec<Update>) {
        match &mut self.phase {
            Phase::Detecting(_) => self.turn_to(Flow::NotHttp),
            Phase::Speaking(dialogue) => {
                dialogue.void_all(out);
                self.turn_to(Flow::Over);
            }
            Phase::Over(_) => {}
        }
    }

    /// Bytes it holds of unfinished heads and of open exchanges, about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.phase {
            Phase::Detecting(detector) => detector.held(),
            Phase::Speaking(dialogue) => dialogue.held(),
            Phase::Over(_) => 0,
        }
    }

    /// What the connection speaks. It may change until the first request was told, and never after.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.phase {
            Phase::Detecting(_) => Verdict::Undecided,
            Phase::Speaking(dialogue) => Verdict::Http1(dialogue.role()),
            Phase::Over(verdict) => *verdict,
        }
    }

    /// True if nothing more will be told, whatever moves: the connection closed, became a tunnel or another protocol,
    /// or never was HTTP/1.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Exchanges that were told and are not over.
    #[must_use]
    pub fn open_exchanges(&self) -> usize {
        match &self.phase {
            Phase::Speaking(dialogue) => dialogue.open(),
            Phase::Detecting(_) | Phase::Over(_) => 0,
        }
    }

    /// What was not understood since the last call.
    pub fn take_losses(&mut self) -> Losses {
        let mut losses = std::mem::take(&mut self.losses);
        if let Phase::Speaking(dialogue) = &mut self.phase {
            losses += dialogue.take_losses();
        }
        losses.overlapped_bytes += self.sent.take_overlapped_bytes() + self.received.take_overlapped_bytes();
        losses
    }

    const fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Send => &mut self.sent,
            Direction::Recv => &mut self.received,
        }
    }

    fn piece(&mut self, direction: Direction, mut piece: Piece<'_>, shed: bool, out: &mut Vec<Update>) {
        if let Phase::Detecting(detector) = &mut self.phase {
            match detector.see(direction, &mut piece) {
                Found::Nothing => return,
                Found::Foreign => {
                    self.phase = Phase::Over(Verdict::Other);
                    return;
                }
                Found::Requests(opening) => {
                    let role = role(opening.direction);
                    let dialogue = Dialogue::new(self.cookie, role, *opening);
                    self.phase = Phase::Speaking(Box::new(dialogue));
                }
            }
        }
        if let Phase::Speaking(dialogue) = &mut self.phase {
            let flow = if role(direction) == dialogue.role() {
                dialogue.request_piece(piece, shed, out)
            } else {
                dialogue.response_piece(piece, shed, out)
            };
            self.turn_to(flow);
        }
    }

    fn turn_to(&mut self, flow: Flow) {
        let verdict = match flow {
            Flow::Continue => return,
            Flow::NotHttp => Verdict::Other,
            Flow::Over => self.verdict(),
        };
        self.losses = self.take_losses();
        self.phase = Phase::Over(verdict);
    }
}

/// The end that sends its requests in this direction.
const fn role(requests: Direction) -> Role {
    match requests {
        Direction::Send => Role::Client,
        Direction::Recv => Role::Server,
    }
}
