//! Chunks into gap-tolerant streams, one per direction of a connection.
//!
//! A [`Stream`] knows nothing but how far its direction has come. It takes chunks as the records tell them (possibly
//! repeated, overlapping or out of order) and hands on in-order [`Piece`]s: bytes, or a gap whose length is known.
//!
//! Invariants: pieces of one stream never overlap and never go backwards, each begins where the one before ended, and
//! the bytes of a piece are bytes of the chunk at exactly these offsets. What came before is never replaced: of two
//! chunks that claim the same offsets the first one counts. Nothing is buffered here.

mod piece;

#[cfg(test)]
mod tests;

pub use piece::{Content, Mark, Piece};

use crate::ids::BootNanos;

/// Bytes at an offset of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Raw offset of the first byte.
    pub offset: u64,
    /// Bytes moved.
    pub len: u32,
    /// The captured prefix of them, possibly empty.
    pub bytes: &'a [u8],
    /// Who moved them, and how.
    pub mark: &'a Mark,
    /// The first byte begins a turn of this direction.
    pub turn_start: bool,
    /// Number of the direction's turn, from 1.
    pub turn: u32,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Raw offset behind the last piece; none before the first chunk.
    next: Option<u64>,
    /// When the last byte known to have moved did.
    time: BootNanos,
    /// Number of the latest turn known to have begun; 0 before the first.
    turn: u32,
    overlapped_bytes: u64,
}

impl Stream {
    /// Takes a chunk and returns its pieces: the gap before it, its captured bytes, and what was not captured.
    ///
    /// A gap before the chunk carries the time of the last byte known before it, since the missing bytes moved at an
    /// unknown time between the two, and an end must not be told later than it was. The turns' numbers tell whether
    /// turns began in it: then records were lost. Where they did before the first chunk of all, at least one byte was
    /// missed, and a gap of one byte says so.
    pub fn push<'a>(&mut self, chunk: &Chunk<'a>) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let mut pieces = [None; 3];
        let end = chunk.offset.saturating_add(u64::from(chunk.len));
        let moved = end - chunk.offset;
        let turn = chunk.turn.max(self.turn);
        let turn_before = turn - u32::from(chunk.turn_start && turn > self.turn);
        let lost = turn_before > self.turn;
        if moved > 0 {
            let (start, missed_since) = match self.next {
                Some(next) => (next.max(chunk.offset).min(end), self.time),
                None => (chunk.offset, chunk.mark.time),
            };
            let next = match self.next {
                Some(next) => next,
                None if lost => chunk.offset.saturating_sub(1),
                None => chunk.offset,
            };
            let repeated = start - chunk.offset;
            self.overlapped_bytes = self.overlapped_bytes.saturating_add(repeated);
            if repeated < moved {
                pieces[0] = gap(next, start, missed_since, turn_before, lost);
                let [bytes, rest] = content(chunk, start, end, turn);
                pieces[1] = bytes;
                pieces[2] = rest;
                self.turn = turn;
                self.next = Some(end);
                self.time = chunk.mark.time;
            }
        }
        pieces.into_iter().flatten()
    }

    /// Takes the news that the direction came to the raw offset `end` at `time`, and returns the gap this leaves.
    ///
    /// Before any chunk it means that at least the byte before `end` was missed.
    pub fn reach(&mut self, end: u64, time: BootNanos) -> Option<Piece<'static>> {
        let piece = gap(self.next.unwrap_or(end.saturating_sub(1)), end, time, self.turn, false)?;
        self.next = Some(end);
        self.time = time;
        Some(piece)
    }

    /// Bytes that were told more than once since the last call; the first telling counted.
    pub fn take_overlapped_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.overlapped_bytes)
    }
}

fn gap(from: u64, to: u64, time: BootNanos, turn: u32, lost: bool) -> Option<Piece<'static>> {
    let content = Content::Gap { len: to.saturating_sub(from), lost, told: false };
    (from < to).then_some(Piece { offset: from, time, turn, turn_start: false, content })
}

/// The pieces of a chunk from `start` on: captured bytes, and the rest up to `end`.
fn content<'a>(chunk: &Chunk<'a>, start: u64, end: u64, turn: u32) -> [Option<Piece<'a>>; 2] {
    let captured = &chunk.bytes[..chunk.bytes.len().min((end - chunk.offset) as usize)];
    let bytes = captured.get((start - chunk.offset) as usize..).unwrap_or_default();
    let turn_start = chunk.turn_start && start == chunk.offset;
    let seen = (!bytes.is_empty()).then_some(Piece {
        offset: start,
        time: chunk.mark.time,
        turn,
        turn_start,
        content: Content::Bytes { bytes, mark: chunk.mark },
    });
    let (from, untold) = (start + bytes.len() as u64, turn_start && seen.is_none());
    let rest = (from < end).then_some(Piece {
        offset: from,
        time: chunk.mark.time,
        turn,
        turn_start: untold,
        content: Content::Gap { len: end - from, lost: false, told: true },
    });
    [seen, rest]
}
