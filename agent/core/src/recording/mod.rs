//! Everything the core was given in a run, so that the run can be had again: on any machine, without root, with the same
//! spans to the byte.
//!
//! A recording is a [`Header`] and [`Entry`]s in their order. Each is encoded by itself, by the
//! [postcard specification](https://postcard.jamesmunns.com/wire-format); files and compression are the agent's.
//!
//! - `redact`: secrets are masked before they are recorded, unless they are asked for
//! - `lose`: a recording as it would be had records been lost

mod lose;
mod redact;
#[cfg(test)]
mod tests;

pub use lose::Lose;
pub use redact::Redact;

use serde::{Deserialize, Serialize};

use crate::decode::Event;
use crate::engine::{Engine, Output};
use crate::ids::BootNanos;

/// Raised with every change of what is recorded, of [`Event`] and what it holds among it: numbers and fields have no
/// names in a recording.
pub const VERSION: u16 = 7;

/// The oldest version that can still be read: since then events were added behind those there were, and nothing changed.
pub const OLDEST: u16 = 1;

/// What a run began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the agent that recorded.
    pub agent: String,
    /// [`crate::engine::Options::nonce`].
    pub nonce: [u8; 16],
    /// Patterns of request paths that were left out.
    pub exclude_paths: Vec<String>,
    /// Secrets are masked.
    pub redacted: bool,
}

/// What the core was given next.
#[expect(clippy::large_enum_variant, reason = "nearly all entries are events")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// [`Engine::push`].
    Event(Event),
    /// [`Engine::bad_record`].
    BadRecord,
    /// [`Engine::tick`].
    Tick(BootNanos),
    /// [`Engine::finish`].
    Finish(BootNanos),
    /// Nanoseconds from the boot clock to Unix time, from here on.
    Clock(i64),
    /// The recording is whole: what was lost before the core, by name.
    End(Vec<(String, u64)>),
}

/// Bytes that are no part of a recording of this [`VERSION`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recording's: {0}")]
pub struct Error(postcard::Error);

impl Header {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self, Vec::new())
    }

    /// From exactly the bytes of one.
    ///
    /// # Errors
    /// They are not.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes)
    }
}

impl Entry {
    /// Appends it as bytes.
    #[must_use]
    pub fn encode(&self, to: Vec<u8>) -> Vec<u8> {
        encode(self, to)
    }

    /// From exactly the bytes of one.
    ///
    /// # Errors
    /// They are not.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes)
    }

    /// Gives it to the core, as it was given in the run.
    pub fn replay(self, engine: &mut Engine, out: &mut Output) {
        match self {
            Self::Event(event) => engine.push(event, out),
            Self::BadRecord => engine.bad_record(),
            Self::Tick(now) => engine.tick(now, out),
            Self::Finish(now) => engine.finish(now, out),
            Self::Clock(_) | Self::End(_) => {}
        }
    }
}

fn encode<T: Serialize>(value: &T, to: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, to).expect("a vector takes all bytes, and lengths are known")
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(bytes).map_err(Error)? {
        (value, []) => Ok(value),
        _ => Err(Error(postcard::Error::SerdeDeCustom)),
    }
}
