//! Records out of the rings, in order of time.

use std::collections::VecDeque;

use agent_ebpf::wire::record::Header;
use aya::maps::{MapData, RingBuf};
use zerocopy::FromBytes;

/// A record may reach its ring this long after the time it carries: the hook stamps it before it copies the bytes.
const LATE_NS: u64 = 2_000_000;
/// Bytes of records held for sorting at most; beyond it the oldest are released early.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Bytes taken from one ring before another one has its turn: under a flood the stages behind must come to theirs.
const TAKEN_BYTES_MAX: usize = 4 << 20;

/// Merges the rings: one connection keeps to one ring, but a thread's records are spread over all of them.
#[derive(Default)]
pub struct Merge {
    /// In order, unless some came since they were last put in order. Few do not follow the one before, so a sort of all is
    /// a merge of a few runs.
    held: VecDeque<Held>,
    unordered: bool,
    held_bytes: usize,
    arrivals: u64,
    horizon: u64,
}

struct Held {
    time: u64,
    record: Box<[u8]>,
}

impl Merge {
    /// Takes what the rings hold, up to a limit, at `now` (boot time in ns). Returns how many records that were.
    pub fn fill(&mut self, rings: &mut [RingBuf<MapData>], now: u64) -> usize {
        let before = self.arrivals;
        let mut horizon = now;
        for ring in rings {
            horizon = horizon.min(self.take(now, |merge| ring.next().map(|record| merge.push(&record))));
        }
        self.horizon = horizon.saturating_sub(LATE_NS);
        (self.arrivals - before) as usize
    }

    /// Takes records of one ring, which `next` pushes. Returns the time that all of its later ones come after, but for
    /// their lateness.
    fn take(&mut self, now: u64, mut next: impl FnMut(&mut Self) -> Option<(usize, u64)>) -> u64 {
        let (mut taken, mut latest) = (0, 0);
        while let Some((bytes, time)) = next(self) {
            taken += bytes;
            latest = time.max(latest);
            if taken >= TAKEN_BYTES_MAX {
                return latest;
            }
        }
        now
    }

    /// Takes one record. Returns its length and its time.
    pub fn push(&mut self, record: &[u8]) -> (usize, u64) {
        // A record without a whole header is the decoder's to refuse; it sorts first.
        let time = Header::read_from_prefix(record).map_or(0, |(header, _)| header.time);
        self.held_bytes += record.len();
        self.unordered |= self.held.back().is_some_and(|last| time < last.time);
        self.held.push_back(Held { time, record: record.into() });
        self.arrivals += 1;
        (record.len(), time)
    }

    /// Releases the next record that no earlier one can precede any more.
    pub fn release(&mut self) -> Option<Box<[u8]>> {
        if std::mem::take(&mut self.unordered) {
            // Stable: those of one time stay in the order they came in.
            self.held.make_contiguous().sort_by_key(|held| held.time);
        }
        let first = self.held.front()?;
        if first.time > self.horizon && self.held_bytes <= HELD_BYTES_MAX {
            return None;
        }
        let held = self.held.pop_front()?;
        self.held_bytes -= held.record.len();
        Some(held.record)
    }

    /// Holds nothing back any more: no record comes after those that were taken.
    pub const fn close(&mut self) {
        self.horizon = u64::MAX;
    }

    /// Boot time in ns that all records have come out by, once [`Self::release`] has no more.
    #[must_use]
    pub const fn horizon(&self) -> u64 {
        self.horizon
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(time: u64, mark: u8) -> Vec<u8> {
        use zerocopy::IntoBytes;
        let header = Header { kind: 0, pad: 0, size: 17, time };
        [header.as_bytes(), &[mark]].concat()
    }

    /// A merge that took the records of some rings at `now`.
    fn filled(rings: &[Vec<Vec<u8>>], now: u64) -> Merge {
        let mut merge = Merge::default();
        let mut horizon = now;
        for ring in rings {
            let mut records = ring.iter();
            horizon = horizon.min(merge.take(now, |merge| records.next().map(|record| merge.push(record))));
        }
        merge.horizon = horizon.saturating_sub(LATE_NS);
        merge
    }

    fn marks(merge: &mut Merge) -> Vec<u8> {
        std::iter::from_fn(|| merge.release()).map(|record| record[16]).collect()
    }

    #[test]
    fn records_of_two_rings_come_out_in_order_of_time() {
        let rings = [vec![record(30, 3), record(10, 1)], vec![record(20, 2), record(20, 9)]];
        let mut merge = filled(&rings, LATE_NS + 20);
        assert_eq!(marks(&mut merge), [1, 2, 9], "the latest is held: an earlier one may still come");
        merge.horizon = 30;
        assert_eq!(marks(&mut merge), [3]);
        assert_eq!(merge.held_bytes, 0);
    }

    #[test]
    fn a_ring_that_was_not_emptied_holds_the_others_back() {
        let flood = (0..TAKEN_BYTES_MAX / 17 + 10).map(|_| record(LATE_NS + 50, 7)).collect();
        let mut merge = filled(&[flood, vec![record(40, 1), record(60, 2)]], LATE_NS * 9);
        assert_eq!(merge.horizon(), 50);
        assert_eq!(marks(&mut merge), [1], "more of the first ring may come before the second record");
        assert!(merge.arrivals < (TAKEN_BYTES_MAX / 17 + 12) as u64, "a flood waits in its ring");
    }

    #[test]
    fn a_record_without_a_header_is_passed_on() {
        let mut merge = filled(&[vec![vec![1, 2]]], LATE_NS);
        assert_eq!(merge.release().as_deref(), Some([1, 2].as_slice()));
    }
}
