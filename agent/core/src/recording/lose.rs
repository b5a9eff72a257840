//! A recording as it would be had records been lost on the way: links may become orphans by that, never wrong.

use crate::decode::Event;
use crate::recording::Entry;

/// Steps of SplitMix64 (Steele, Lea and Flood 2014), a sequence without a short period for any seed.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Loses a share of the kernel's records, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Lose {
    state: u64,
    below: u64,
}

impl Lose {
    /// Loses so many of a million records.
    #[must_use]
    pub fn new(per_million: u32, seed: u64) -> Self {
        Self { state: seed, below: (u64::MAX / 1_000_000).saturating_mul(per_million.into()) }
    }

    /// True if an entry is lost. Facts of the host, time and the clock are no records.
    pub fn loses(&mut self, entry: &Entry) -> bool {
        let record = matches!(entry, Entry::Event(event) if !matches!(event, Event::Process(_)));
        record && self.next() < self.below
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
