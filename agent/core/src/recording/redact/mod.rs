//! Masks what a recording need not hold. Every byte keeps its place, so that a replay finds the same exchanges.
//!
//! What stays: the request line without its query and without user information, the status line, names of fields, values
//! of the fields that spans, framing and trace context need, and chunk sizes. Everything else becomes `x`: values of other
//! fields, bodies, and all of what does not begin like HTTP/1 in its turn. Where an end of a body is not certain, what
//! follows is masked until the next turn: a replay may then hold less than the run told, and never a secret.

mod direction;
mod fields;

use std::collections::HashMap;

use crate::decode::{Closing, Data, Direction as Way, Event};
use crate::ids::SockCookie;
use direction::Direction;

/// Directions that are followed at once. Beyond it all are begun anew: each is masked until its next turn.
const DIRECTIONS_MAX: usize = 131_072;

/// Follows every direction of every connection.
#[derive(Debug, Default)]
pub struct Redact {
    /// The raw offset of the next byte, and where that is in a message.
    directions: HashMap<(SockCookie, Way), (u64, Direction)>,
}

impl Redact {
    /// Masks an event's secrets.
    pub fn redact(&mut self, event: &mut Event) {
        match event {
            Event::Data(data) => self.data(data),
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
            self.directions.entry((data.cookie, data.direction)).or_insert_with(|| (data.offset, Direction::default()));
        let (next, direction) = (&mut known.0, &mut known.1);
        match data.offset.checked_sub(*next) {
            Some(missing) => direction.skip(missing),
            None => direction.lose(),
        }
        if data.turn_start {
            direction.begin(&data.bytes);
        }
        let mut bytes = data.bytes.to_vec();
        direction.mask(&mut bytes);
        data.bytes = bytes.into();
        direction.skip(u64::from(data.len).saturating_sub(data.bytes.len() as u64));
        *next = data.offset.wrapping_add(data.len.into());
    }
}
