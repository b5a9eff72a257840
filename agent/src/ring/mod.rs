//! Records out of the rings, in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use agent_ebpf::wire::record::Header;
use aya::maps::{MapData, RingBuf};
use zerocopy::FromBytes;

/// A record may reach its ring this long after the time it carries: the hook stamps it before it copies the bytes.
const LATE_NS: u64 = 2_000_000;
/// Records held for sorting at most; beyond it the oldest are released early.
const HELD_MAX: usize = 262_144;

/// Merges the rings: one connection keeps to one ring, but a thread's records are spread over all of them.
#[derive(Default)]
pub struct Merge {
    held: BinaryHeap<Reverse<Held>>,
    arrivals: u64,
}

/// Ordered by time, then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    time: u64,
    arrival: u64,
    record: Box<[u8]>,
}

impl Merge {
    /// Takes everything the rings hold. Returns how many records that were.
    pub fn fill(&mut self, rings: &mut [RingBuf<MapData>]) -> usize {
        let before = self.arrivals;
        for ring in rings {
            while let Some(record) = ring.next() {
                self.push(&record);
            }
        }
        (self.arrivals - before) as usize
    }

    /// Takes one record.
    pub fn push(&mut self, record: &[u8]) {
        // A record without a whole header is the decoder's to refuse; it sorts first.
        let time = Header::read_from_prefix(record).map_or(0, |(header, _)| header.time);
        self.held.push(Reverse(Held { time, arrival: self.arrivals, record: record.into() }));
        self.arrivals += 1;
    }

    /// Releases the next record that no earlier one can precede any more, given that the rings were drained at
    /// `drained_at` (boot time in ns).
    pub fn next(&mut self, drained_at: u64) -> Option<Box<[u8]>> {
        let Reverse(first) = self.held.peek()?;
        if first.time + LATE_NS > drained_at && self.held.len() <= HELD_MAX {
            return None;
        }
        self.held.pop().map(|Reverse(held)| held.record)
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

    #[test]
    fn records_of_two_rings_come_out_in_order_of_time() {
        let mut merge = Merge::default();
        for (time, mark) in [(30, 3), (10, 1), (20, 2), (20, 9)] {
            merge.push(&record(time, mark));
        }
        let marks: Vec<u8> = std::iter::from_fn(|| merge.next(LATE_NS + 20)).map(|record| record[16]).collect();
        assert_eq!(marks, [1, 2, 9], "the latest is held: an earlier one may still come");
        assert_eq!(merge.next(LATE_NS + 30).map(|record| record[16]), Some(3));
    }

    #[test]
    fn a_record_without_a_header_is_passed_on() {
        let mut merge = Merge::default();
        merge.push(&[1, 2]);
        assert_eq!(merge.next(LATE_NS).as_deref(), Some([1, 2].as_slice()));
    }
}
