//! What a stream hands to a protocol.

use crate::decode::{Actor, Data};
use crate::ids::BootNanos;

/// Who moved bytes, when and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub time: BootNanos,
    /// Who.
    pub actor: Actor,
    /// The descriptor was in blocking mode.
    pub blocking: bool,
    /// The acting thread had received something unseen since it read its own tag.
    pub stale: bool,
}

impl Mark {
    /// The mark of a call.
    #[must_use]
    pub fn of(data: &Data) -> Self {
        Self { time: data.time, actor: data.actor, blocking: data.blocking, stale: data.stale }
    }
}

/// The next part of a direction: never empty when a stream hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Raw offset of its first byte.
    pub offset: u64,
    /// When its last byte had moved, as far as is known.
    pub time: BootNanos,
    /// Its first byte begins a turn of this direction.
    pub turn_start: bool,
    /// Number of the turn its last byte is of.
    pub turn: u32,
    /// What it holds.
    pub content: Content<'a>,
}

/// Bytes, or the lack of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Captured bytes of one call.
    Bytes {
        /// The bytes.
        bytes: &'a [u8],
        /// Who moved them, and how.
        mark: &'a Mark,
    },
    /// Bytes that moved and were not seen.
    Gap {
        /// How many.
        len: u64,
        /// Records of them were lost, and turns began in it unseen. Else they lie in the turn before.
        lost: bool,
        /// Their own record came, and had no room for them: what is captured ends here.
        told: bool,
    },
}

impl<'a> Piece<'a> {
    /// Bytes left in it, seen or not.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self.content {
            Content::Bytes { bytes, .. } => bytes.len() as u64,
            Content::Gap { len, .. } => len,
        }
    }

    /// True once all of it was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if it holds no bytes.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        matches!(self.content, Content::Gap { .. })
    }

    /// True if it holds no bytes and turns began in it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.content, Content::Gap { lost: true, .. })
    }

    /// True if it holds no bytes and their own record said so: nothing was lost, they are beyond what is captured.
    #[must_use]
    pub fn is_told(&self) -> bool {
        matches!(self.content, Content::Gap { told: true, .. })
    }

    /// The bytes left in it, none in a gap.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        match self.content {
            Content::Bytes { bytes, .. } => bytes,
            Content::Gap { .. } => &[],
        }
    }

    /// Takes `count` bytes off its front, at most what is left.
    pub fn advance(&mut self, count: u64) {
        let count = count.min(self.len());
        if count == 0 {
            return;
        }
        self.offset = self.offset.saturating_add(count);
        self.turn_start = false;
        match &mut self.content {
            Content::Bytes { bytes, .. } => *bytes = &bytes[count as usize..],
            Content::Gap { len, .. } => *len -= count,
        }
    }
}
