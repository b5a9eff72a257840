//! What one direction's turn says about whether the other direction may begin a request.
//!
//! A turn of a direction begins after bytes of the other one. Where the parser lost its place, or never had it, such a
//! beginning is a message's beginning only if what came between was an answer: an interim response (`100 Continue`)
//! is followed by the rest of a body, and a body may hold anything.

use crate::stream::{Content, Piece};

/// What a turn was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Evidence {
    /// No byte moved, or too few to tell.
    #[default]
    None,
    /// Interim responses only (RFC 9110, section 15.2).
    Interim,
    /// It began, and not with a status line.
    Foreign,
    /// Bytes of which too little was seen: they may be interim responses only.
    Bytes,
    /// A final response.
    Final,
    /// 101: what follows is none of HTTP (RFC 9110, section 7.8).
    Switched,
}

impl Evidence {
    /// True if the other direction's next turn may begin with a request.
    pub(super) const fn lets_request_begin(self) -> bool {
        matches!(self, Self::Final)
    }
}

/// Watches one direction's turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Witness {
    evidence: Evidence,
    reading: Reading,
    /// This turn came after bytes of the other direction, so it began where a message may begin.
    after_other: bool,
    has_answered: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Reading {
    /// Nothing more to learn in this turn.
    #[default]
    Done,
    /// In a status line: its first bytes.
    StatusLine { seen: [u8; STATUS_BYTES], len: usize },
    /// In the fields of an interim response; the line is empty so far.
    Fields { empty: bool },
}

/// Bytes of `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;
const STATUS_LINE: Reading = Reading::StatusLine { seen: [0; STATUS_BYTES], len: 0 };

impl Witness {
    /// True once a turn of this direction began with a status line: it sends no requests.
    pub(super) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// True if the latest turn did not begin with a status line.
    pub(super) fn is_foreign(&self) -> bool {
        self.evidence == Evidence::Foreign
    }

    /// True if the latest turn was 101.
    pub(super) fn has_switched(&self) -> bool {
        self.evidence == Evidence::Switched
    }

    /// What was seen since the last call.
    pub(super) fn take(&mut self) -> Evidence {
        self.reading = Reading::Done;
        std::mem::take(&mut self.evidence)
    }

    /// Sees a piece of this direction. `after_other` says that the other direction moved bytes before.
    pub(super) fn see(&mut self, piece: &Piece<'_>, after_other: bool) {
        if piece.turn_start {
            self.evidence = Evidence::None;
            self.reading = STATUS_LINE;
            self.after_other = after_other;
        }
        match piece.content {
            // What was seen was an earlier turn's.
            Content::Gap { lost: true, .. } => {
                self.evidence = Evidence::Bytes;
                self.reading = Reading::Done;
            }
            Content::Gap { lost: false, .. } => self.miss(),
            Content::Bytes { bytes, .. } => {
                if self.evidence == Evidence::None && matches!(self.reading, Reading::Done) {
                    self.evidence = Evidence::Bytes;
                }
                for byte in self.skip_status_line(bytes) {
                    if matches!(self.reading, Reading::Done) {
                        break;
                    }
                    self.read(*byte);
                }
            }
        }
    }

    /// Takes a status line that lies whole at the beginning of a turn, as most do. Returns what is left to read.
    fn skip_status_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match (self.reading, bytes.split_first_chunk()) {
            (Reading::StatusLine { len: 0, .. }, Some((seen, rest))) if seen.starts_with(b"HTTP/1.") => {
                self.reading = self.status(*seen, STATUS_BYTES);
                rest
            }
            _ => bytes,
        }
    }

    /// Whatever the gap holds, it is more than the turn's visible bytes.
    const fn miss(&mut self) {
        let undecided = !matches!(self.reading, Reading::Done);
        if undecided || matches!(self.evidence, Evidence::None) {
            self.evidence = Evidence::Bytes;
        }
        self.reading = Reading::Done;
    }

    fn read(&mut self, byte: u8) {
        self.reading = match self.reading {
            Reading::StatusLine { len: 0, .. } if matches!(byte, b'\r' | b'\n') => self.reading,
            Reading::StatusLine { mut seen, len } => {
                seen[len] = byte;
                self.status(seen, len + 1)
            }
            Reading::Fields { empty: true } if byte == b'\n' => STATUS_LINE,
            Reading::Fields { empty } => Reading::Fields { empty: byte == b'\n' || (empty && byte == b'\r') },
            Reading::Done => Reading::Done,
        };
    }

    fn status(&mut self, seen: [u8; STATUS_BYTES], len: usize) -> Reading {
        let fits = seen[..len].iter().zip(b"HTTP/1.v sss").all(|(byte, form)| match form {
            b'v' | b's' => byte.is_ascii_digit(),
            _ => byte == form,
        });
        if !fits {
            self.evidence = if self.after_other { Evidence::Foreign } else { Evidence::Bytes };
            return Reading::Done;
        }
        if len < STATUS_BYTES {
            return Reading::StatusLine { seen, len };
        }
        self.has_answered = true;
        if seen[9..] == *b"101" {
            self.evidence = Evidence::Switched;
            return Reading::Done;
        }
        if seen[9] == b'1' {
            self.evidence = Evidence::Interim;
            return Reading::Fields { empty: false };
        }
        self.evidence = Evidence::Final;
        Reading::Done
    }
}
