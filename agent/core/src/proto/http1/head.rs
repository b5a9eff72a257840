//! A message head while its bytes come in: the only bytes that are ever buffered.

use memchr::{memchr, memchr_iter};

use super::parse;
use crate::stream::{Content, Mark, Piece};

/// Which kind of start line a head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

/// Why the end of a head was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It goes on behind what is captured of a turn, or kept of a head.
    Capture,
    /// Records of the rest were lost, or it never came.
    Loss,
}

impl Cut {
    /// By a gap.
    pub(super) fn by(gap: &Piece<'_>) -> Self {
        if gap.is_told() { Self::Capture } else { Self::Loss }
    }
}

/// Where a head began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Raw offset of its first byte; empty lines before it are not part of it (RFC 9112, section 2.2).
    pub(super) offset: u64,
    /// Of the call that moved this byte.
    pub(super) mark: Mark,
}

/// What a head became by more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grown {
    /// Nothing yet.
    More,
    /// Its start line is whole and valid.
    Line,
    /// It is whole: its empty line was found.
    Whole,
    /// It reached its limit behind a valid start line.
    Full,
    /// It has no valid start line, and never will.
    Refused,
    /// Its start line did not end within its limit.
    Endless,
}

/// A head as far as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Head {
    kind: Kind,
    bytes: Vec<u8>,
    /// Boxed: most heads come whole and have none here, and each connection keeps two heads.
    start: Option<Box<Start>>,
    /// Length of the start line, once it is known to be valid.
    line: Option<usize>,
}

impl Head {
    /// A head that may begin with the next byte.
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, bytes: Vec::new(), start: None, line: None }
    }

    /// Where it began, if it did.
    pub(super) fn start(&self) -> Option<Start> {
        self.start.as_deref().copied()
    }

    /// True once its start line is whole and valid.
    pub(super) const fn has_line(&self) -> bool {
        self.line.is_some()
    }

    /// Bytes held.
    pub(super) const fn held(&self) -> usize {
        self.bytes.len()
    }

    /// True if its first bytes are those of a status line.
    pub(super) fn resembles_status_line(&self) -> bool {
        parse::may_be_status_line(&self.bytes)
    }

    /// Takes what belongs to it from `piece`, holding `limit` bytes at most. Stops behind the start line and behind
    /// the head; of a refused one, all that is left of the piece is its first bytes'.
    pub(super) fn grow(&mut self, piece: &mut Piece<'_>, limit: usize) -> Grown {
        if self.start.is_none() && !self.begin(piece) {
            return Grown::More;
        }
        match self.line {
            None => self.grow_line(piece, limit),
            Some(line) => self.grow_fields(piece, limit, line),
        }
    }

    /// Takes a head that lies in `piece` as a whole, `limit` bytes at most, from where it lies: most do, and need no copy.
    /// `parse` says what it is and how long. None if there is another way to go: some of it came before, it goes on behind
    /// the piece, or `parse` refuses it. What was taken then is empty lines at most.
    pub(super) fn at_once<'a, T>(
        &self,
        piece: &mut Piece<'a>,
        limit: usize,
        parse: impl FnOnce(&'a [u8]) -> Option<(T, usize)>,
    ) -> Option<(u64, &'a Mark, T)> {
        if self.start.is_some() {
            return None;
        }
        skip_empty_lines(piece);
        let Content::Bytes { bytes, mark } = piece.content else { return None };
        let (head, length) = parse(&bytes[..bytes.len().min(limit)])?;
        let offset = piece.offset;
        piece.advance(length as u64);
        Some((offset, mark, head))
    }

    /// The whole head's bytes.
    pub(super) fn whole(&self) -> &[u8] {
        &self.bytes
    }

    /// The head's bytes as if it had ended with its last whole field: a cut one is none (a cut number would be a wrong
    /// number), and neither is one whose line may go on behind the cut (RFC 9112, section 5.2).
    pub(super) fn cut(&self) -> Vec<u8> {
        let ends = |place: &usize| {
            let next = self.bytes.get(place + 1);
            self.bytes[*place] == b'\n' && next.is_some_and(|next| !matches!(next, b' ' | b'\t'))
        };
        let line = self.line.unwrap_or_default();
        let whole = (line..self.bytes.len()).rev().find(ends).map_or(line, |place| place + 1);
        let mut bytes = self.bytes[..whole].to_vec();
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// Skips empty lines and notes the first byte; false if there is none yet.
    fn begin(&mut self, piece: &mut Piece<'_>) -> bool {
        skip_empty_lines(piece);
        if let Content::Bytes { bytes: [_, ..], mark } = piece.content {
            self.start = Some(Box::new(Start { offset: piece.offset, mark: *mark }));
        }
        self.start.is_some()
    }

    fn grow_line(&mut self, piece: &mut Piece<'_>, limit: usize) -> Grown {
        let room = limit.saturating_sub(self.bytes.len());
        let offered = &piece.bytes()[..piece.bytes().len().min(room)];
        let end = memchr(b'\n', offered);
        let taken = &offered[..end.map_or(offered.len(), |end| end + 1)];
        // Most heads come whole: room for their fields too.
        self.bytes.reserve(offered.len());
        self.bytes.extend_from_slice(taken);
        piece.advance(taken.len() as u64);
        let (is_line, may_be_line) = match self.kind {
            Kind::Request => {
                (parse::is_request_line as fn(&[u8]) -> bool, parse::may_be_request_line as fn(&[u8]) -> bool)
            }
            Kind::Response => {
                (parse::is_status_line as fn(&[u8]) -> bool, parse::may_be_status_line as fn(&[u8]) -> bool)
            }
        };
        if end.is_some() {
            if is_line(&self.bytes) {
                self.line = Some(self.bytes.len());
                return Grown::Line;
            }
            return Grown::Refused;
        }
        match (may_be_line(&self.bytes), self.bytes.len() < limit) {
            (true, true) => Grown::More,
            (true, false) => Grown::Endless,
            (false, _) => Grown::Refused,
        }
    }

    fn grow_fields(&mut self, piece: &mut Piece<'_>, limit: usize, line: usize) -> Grown {
        let before = self.bytes.len();
        let room = limit.saturating_sub(before);
        let offered = &piece.bytes()[..piece.bytes().len().min(room)];
        // The line end before the empty line may have come earlier: look again at the last three bytes.
        let from = before.saturating_sub(3).max(line - 1);
        let end = end_of_head(&self.bytes[from..], offered);
        let taken = &offered[..end.unwrap_or(offered.len())];
        self.bytes.extend_from_slice(taken);
        piece.advance(taken.len() as u64);
        match end {
            Some(_) => Grown::Whole,
            None if self.bytes.len() < limit => Grown::More,
            None => Grown::Full,
        }
    }
}

fn skip_empty_lines(piece: &mut Piece<'_>) {
    let empty = piece.bytes().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    piece.advance(empty.count() as u64);
}

/// Offset in `offered` behind the first empty line whose preceding line end is in `held`, or in `offered` itself.
fn end_of_head(held: &[u8], offered: &[u8]) -> Option<usize> {
    // Behind a line end: how many bytes of what comes next end an empty line.
    let empty = |first: Option<&u8>, second: Option<&u8>| match (first, second) {
        (Some(b'\n'), _) => Some(1),
        (Some(b'\r'), Some(b'\n')) => Some(2),
        _ => None,
    };
    let at = |place: usize| held.get(place).or_else(|| offered.get(place - held.len()));
    let line_ends = (0..held.len()).filter(|place| held[*place] == b'\n');
    let earlier = line_ends.filter_map(|place| Some(place + 1 + empty(at(place + 1), at(place + 2))?));
    let later = memchr_iter(b'\n', offered)
        .filter_map(|place| Some(place + 1 + empty(offered.get(place + 1), offered.get(place + 2))?));
    earlier.map(|end| end - held.len()).chain(later).next()
}
