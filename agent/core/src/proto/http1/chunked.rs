//! Chunked transfer coding (RFC 9112, section 7.1), read without keeping a byte of it.
//!
//! ```text
//! Size -> Extension -> Data -> DataEnd -> Size ...      size 0: Extension -> Trailer -> (end)
//! ```

/// Digits of a chunk size: 64 bits.
const DIGITS_MAX: u8 = 16;

/// How far the coding was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunked {
    state: State,
    data_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the size, so many digits of it seen.
    Size { size: u64, digits: u8 },
    /// Behind the size, up to the line's end.
    Extension { size: u64 },
    /// So many bytes of data are left.
    Data { left: u64 },
    /// At the line end behind the data.
    DataEnd,
    /// In the trailer section; the line is empty so far.
    Trailer { empty: bool },
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// What came of more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing yet.
    More,
    /// The body is over.
    End,
    /// The bytes are none of the coding, or a gap covers some of it.
    Lost,
}

impl Chunked {
    /// Bytes of data so far.
    pub(super) const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Reads bytes; returns how many of them were its own.
    pub(super) fn read(&mut self, bytes: &[u8]) -> (u64, Progress) {
        let mut read = 0;
        while let Some(byte) = bytes.get(read) {
            if let State::Data { left } = self.state {
                let taken = left.min((bytes.len() - read) as u64);
                self.take_data(left, taken);
                read += taken as usize;
                continue;
            }
            read += 1;
            match self.step(*byte) {
                Progress::More => {}
                over @ (Progress::End | Progress::Lost) => return (read as u64, over),
            }
        }
        (read as u64, Progress::More)
    }

    /// Skips a gap, which only data may lie in; returns how much of it was its own.
    pub(super) fn skip(&mut self, len: u64) -> (u64, Progress) {
        match self.state {
            State::Data { left } if left >= len => {
                self.take_data(left, len);
                (len, Progress::More)
            }
            _ => (len, Progress::Lost),
        }
    }

    const fn take_data(&mut self, left: u64, taken: u64) {
        self.data_bytes = self.data_bytes.saturating_add(taken);
        self.state = if left == taken { State::DataEnd } else { State::Data { left: left - taken } };
    }

    /// One byte of framing. A bare line feed ends a line, as it does in a head.
    fn step(&mut self, byte: u8) -> Progress {
        self.state = match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                if digits == DIGITS_MAX {
                    return Progress::Lost;
                }
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b';' | b' ' | b'\t' | b'\r') => State::Extension { size },
            (State::Size { size, digits: 1.. } | State::Extension { size }, b'\n') => match size {
                0 => State::Trailer { empty: true },
                left => State::Data { left },
            },
            (State::Extension { size }, _) => State::Extension { size },
            (State::DataEnd, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::default(),
            (State::Trailer { empty: true }, b'\n') => return Progress::End,
            (State::Trailer { empty: false }, b'\n') => State::Trailer { empty: true },
            (State::Trailer { empty }, b'\r') => State::Trailer { empty },
            (State::Trailer { .. }, _) => State::Trailer { empty: false },
            (State::Size { .. } | State::DataEnd | State::Data { .. }, _) => return Progress::Lost,
        };
        Progress::More
    }
}
