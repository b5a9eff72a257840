//! Recordings as files: everything the core was given in a run, and the run again.
//!
//! A file is the eight bytes `tmrecord`, the version of its layout (two bytes, least significant first), and a gzip stream
//! of frames: a length (four bytes, least significant first) and so many bytes. The first frame is a
//! [`Header`](tracemend_core::recording::Header), each other one an [`Entry`](tracemend_core::recording::Entry), the last
//! of them [`Entry::End`](tracemend_core::recording::Entry::End).

mod measure;
mod read;
mod replay;
#[cfg(test)]
mod tests;
mod write;

pub use measure::measure;
pub use read::{Error, Recording};
pub use replay::{Replay, Summary, replay};
pub use write::{Options, Recorder};

/// How a file begins.
const MAGIC: [u8; 8] = *b"tmrecord";

/// Bytes of one frame. A record has 64 KiB at most, and what is known of a process less: more is no frame.
const FRAME_BYTES_MAX: usize = 1 << 20;
