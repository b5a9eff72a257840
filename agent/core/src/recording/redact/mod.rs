//! Masks what a recording need not hold. Every byte keeps its place, so that a replay finds the same exchanges.
//!
//! What stays: the request line without its query and without user information, the status line, names of fields, values
//! of the fields that spans, framing and trace context need, and chunk sizes. Everything else becomes `x`: values of other
//! fields, bodies, and all of what does not begin like HTTP/1 in its turn, but how commands to Redis are framed, and the names of
//! Celery's tasks. Where an end of a body is not certain, what
//! follows is masked until the next turn: a replay may then hold less than the run told, and never a secret.

mod direction;
mod fields;

use std::collections::HashMap;

use crate::decode::{Closing, Data, Direction as Way, Event};
use crate::ids::SockCookie;
use crate::proto::celery;
use direction::Direction;

/// Directions that are followed at once. Beyond it all are begun anew: each is masked until its next turn.
const DIRECTIONS_MAX: usize = 131_072;

/// Where a direction is.
#[derive(Debug)]
enum Known {
    /// In a message of HTTP/1, or none that is known.
    Http(Direction),
    /// In commands to Redis, in a turn that begins like one.
    Commands(Box<celery::Pushes>),
}

/// Follows every direction of every connection.
#[derive(Debug, Default)]
pub struct Redact {
    /// The raw offset of the next byte, and where that is in a message.
    directions: HashMap<(SockCookie, Way), (u64, Known)>,
}

impl Redact {
    /// Masks an event's secrets.
    pub fn redact(&mut self, event: &mut Event) {
        match event {
            Event::Data(data) => self.data(data),
            Event::Job { head, .. } => {
                let mut bytes = head.to_vec();
                celery::mask_job(&mut bytes);
                *head = bytes.into();
            }
            Event::Closing { cookie, what: Closing::Closed, .. } => {
                self.directions.remove(&(*cookie, Way::Send));
                self.directions.remove(&(*cookie, Way::Recv));
            }
            _ => {}
        }
    }

    fn data(&mut self, data: &mut Data) {
        if self.directions.len() >= DIRECTIONS_MAX {
            self.directions.clear();
        }
        let known =
            self.directions.entry((data.cookie, data.direction)).or_insert_with(|| (data.offset, Known::default()));
        let (next, known) = (&mut known.0, &mut known.1);
        match data.offset.checked_sub(*next) {
            Some(missing) => known.skip(missing),
            None => known.lose(),
        }
        if data.turn_start {
            known.begin(&data.bytes, data.direction);
        }
        let mut bytes = data.bytes.to_vec();
        known.mask(&mut bytes);
        data.bytes = bytes.into();
        known.skip(u64::from(data.len).saturating_sub(data.bytes.len() as u64));
        *next = data.offset.wrapping_add(data.len.into());
    }
}

impl Default for Known {
    fn default() -> Self {
        Self::Http(Direction::default())
    }
}

impl Known {
    /// A turn begins with these bytes.
    fn begin(&mut self, bytes: &[u8], way: Way) {
        if bytes.first() == Some(&b'*') && way == Way::Send {
            *self = Self::Commands(Box::default());
            return;
        }
        if let Self::Commands(_) = self {
            *self = Self::default();
        }
        if let Self::Http(direction) = self {
            direction.begin(bytes);
        }
    }

    /// Bytes are missing.
    fn lose(&mut self) {
        match self {
            Self::Http(direction) => direction.lose(),
            Self::Commands(pushes) => pushes.lose(),
        }
    }

    /// Bytes that moved and were not captured.
    fn skip(&mut self, count: u64) {
        match self {
            Self::Http(direction) => direction.skip(count),
            Self::Commands(pushes) if count > 0 => pushes.lose(),
            Self::Commands(_) => {}
        }
    }

    /// Masks the next bytes.
    fn mask(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Http(direction) => direction.mask(bytes),
            Self::Commands(pushes) => pushes.mask(bytes),
        }
    }
}
