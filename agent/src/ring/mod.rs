//! Records out of the rings, as events in order of time.
//!
//! - `wait`: when they are looked at

mod wait;

use std::collections::VecDeque;

use agent_ebpf::wire::record::Header;
use aya::maps::{MapData, RingBuf};
use tracemend_core::decode::{self, Event, Room};
pub use wait::Wakes;
use zerocopy::FromBytes;

/// A record may reach its ring this long after the time it carries: the hook stamps it before it copies the bytes.
const LATE_NS: u64 = 2_000_000;
/// Bytes of records held for sorting at most; beyond it the oldest are released early.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Bytes taken from one ring before another one has its turn: under a flood the stages behind must come to theirs.
const TAKEN_BYTES_MAX: usize = 4 << 20;
/// Bytes held beyond which nothing is read ahead: what floods for longer waits in its ring, where it is shed by process.
const AHEAD_BYTES_MAX: usize = 16 << 20;
/// Room for so many events is kept when a burst is over.
const KEPT: usize = 4096;

/// Merges the rings: one connection keeps to one ring, but a thread's records are spread over all of them.
#[derive(Default)]
pub struct Merge {
    /// In order, unless some came since they were last put in order. Few do not follow the one before, so a sort of all is
    /// a merge of a few runs.
    held: VecDeque<Held>,
    unordered: bool,
    /// Read ahead: to be put in order with what comes next.
    ahead: Vec<Held>,
    held_bytes: usize,
    /// For the bytes of records.
    room: Room,
    arrivals: u64,
    horizon: u64,
}

struct Held {
    time: u64,
    bytes: usize,
    event: Result<Event, decode::Error>,
}

impl Merge {
    /// Takes what the rings hold, up to a limit, at `now` (boot time in ns). Returns how many records that were, with those
    /// that were read ahead.
    pub fn fill(&mut self, rings: &mut [RingBuf<MapData>], now: u64) -> usize {
        let before = self.arrivals - self.ahead.len() as u64;
        if self.held.is_empty() {
            self.held.shrink_to(KEPT);
        }
        for held in std::mem::take(&mut self.ahead) {
            self.hold(held);
        }
        let mut horizon = now;
        for ring in rings {
            horizon = horizon.min(self.take(now, |merge| ring.next().map(|record| merge.push(&record))));
        }
        self.horizon = horizon.saturating_sub(LATE_NS);
        (self.arrivals - before) as usize
    }

    /// Takes what the rings hold by now out of them, so that they do not fill while what was released is handled. It is
    /// released after the next [`Self::fill`].
    pub fn read_ahead(&mut self, rings: &mut [RingBuf<MapData>]) {
        for ring in rings {
            self.take_ahead(|merge| ring.next().map(|record| merge.read(&record)));
        }
    }

    fn take_ahead(&mut self, mut next: impl FnMut(&mut Self) -> Option<Held>) {
        // Behind the end nothing would release it.
        while self.held_bytes < AHEAD_BYTES_MAX
            && self.horizon < u64::MAX
            && let Some(held) = next(self)
        {
            self.ahead.push(held);
        }
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
        let held = self.read(record);
        let time = held.time;
        self.hold(held);
        (record.len(), time)
    }

    /// Decodes a record where it lies, and counts it.
    fn read(&mut self, record: &[u8]) -> Held {
        // A record without a whole header is the decoder's to refuse; it sorts first.
        let time = Header::read_from_prefix(record).map_or(0, |(header, _)| header.time);
        let bytes = record.len().max(size_of::<Held>());
        self.held_bytes += bytes;
        self.arrivals += 1;
        Held { time, bytes, event: decode::decode(record, &mut self.room) }
    }

    fn hold(&mut self, held: Held) {
        self.unordered |= self.held.back().is_some_and(|last| held.time < last.time);
        self.held.push_back(held);
    }

    /// Releases the next event that no earlier one can precede any more, or says why its record is none.
    pub fn release(&mut self) -> Option<Result<Event, decode::Error>> {
        if std::mem::take(&mut self.unordered) {
            // Stable: those of one time stay in the order they came in.
            self.held.make_contiguous().sort_by_key(|held| held.time);
        }
        let first = self.held.front()?;
        if first.time > self.horizon && self.held_bytes <= HELD_BYTES_MAX {
            return None;
        }
        let held = self.held.pop_front()?;
        self.held_bytes -= held.bytes;
        Some(held.event)
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
    use agent_ebpf::wire::record::{End, end, kind};
    use zerocopy::IntoBytes as _;

    use super::*;

    fn record(time: u64, mark: u64) -> Vec<u8> {
        let header = Header { kind: kind::END, pad: 0, size: size_of::<End>() as u32, time };
        End { header, cookie: mark, what: end::CLOSED, errno: 0 }.as_bytes().to_vec()
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

    fn marks(merge: &mut Merge) -> Vec<u64> {
        let mark = |event| match event {
            Ok(Event::Closing { cookie, .. }) => cookie.0,
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| merge.release()).map(mark).collect()
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
        let flood = (0..TAKEN_BYTES_MAX / size_of::<End>() + 10).map(|_| record(LATE_NS + 50, 7)).collect();
        let mut merge = filled(&[flood, vec![record(40, 1), record(60, 2)]], LATE_NS * 9);
        assert_eq!(merge.horizon(), 50);
        assert_eq!(marks(&mut merge), [1], "more of the first ring may come before the second record");
        assert!(merge.arrivals < (TAKEN_BYTES_MAX / size_of::<End>() + 12) as u64, "a flood waits in its ring");
    }

    #[test]
    fn a_record_without_a_header_is_passed_on() {
        let mut merge = filled(&[vec![vec![1, 2]]], LATE_NS);
        assert_eq!(merge.release(), Some(Err(decode::Error::Short { kind: 0, len: 2 })));
    }

    #[test]
    fn what_is_read_ahead_comes_in_its_place_after_the_next_look_and_a_flood_of_it_waits() {
        let mut merge = filled(&[vec![record(10, 1), record(30, 3)]], LATE_NS + 50);
        let mut early = [record(20, 2), record(40, 4)].into_iter();
        merge.take_ahead(|merge| early.next().map(|record| merge.read(&record)));
        assert_eq!(marks(&mut merge), [1, 3], "what is released is not added to");
        assert_eq!(merge.fill(&mut [], LATE_NS + 50), 2);
        assert_eq!(marks(&mut merge), [2, 4]);
        let mut flood = std::iter::repeat_with(|| record(60, 6));
        merge.take_ahead(|merge| flood.next().map(|record| merge.read(&record)));
        assert!(merge.held_bytes >= AHEAD_BYTES_MAX && merge.ahead.len() < AHEAD_BYTES_MAX);
        merge.fill(&mut [], LATE_NS);
        merge.close();
        assert!(!marks(&mut merge).is_empty());
        merge.take_ahead(|merge| flood.next().map(|record| merge.read(&record)));
        assert!(merge.ahead.is_empty(), "nothing is taken that would not be released");
    }
}
