//! Bytes beyond the captured heads: the kernel half counts them in a map, which is swept for what its own records do not
//! tell.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use agent_ebpf::wire::config::{CountKey, CountValue};
use agent_ebpf::wire::record::{Count, Header, kind};

use crate::attach::Session;

/// Sweeps a direction must stand still for before its entry is deleted: the kernel half may hold a pointer to it.
const STILL_SWEEPS: u32 = 5;

/// A sweep is followed by a rest of so many times its length: each entry costs two system calls.
const RESTS: u32 = 20;

/// It is so long at least: the map has 16,384 places to look at, however few are taken.
const REST_MIN: Duration = Duration::from_millis(200);

/// How far directions had come at the last sweep.
#[derive(Default)]
pub(super) struct Progress {
    seen: HashMap<(u64, u64), (u64, u32)>,
    /// [`Session::counted`] before the last sweep.
    counted: Option<u64>,
    resting_until: Option<Instant>,
}

impl Progress {
    /// Tells of every direction that came further, and forgets those that stand still. The map is ahead of the rings: what
    /// is told has its place among their records. With many directions at once it is done less often.
    pub(super) fn sweep(&mut self, session: &mut Session, tell: impl FnMut(Count)) {
        let begun = Instant::now();
        if self.resting_until.is_some_and(|until| begun < until) {
            return;
        }
        let counted = session.counted();
        // Where nothing was left and nothing has come since, nothing is there.
        if !self.seen.is_empty() || counted.is_none() || counted != self.counted {
            self.counted = counted;
            self.sweep_now(session, tell);
            self.resting_until = Some(begun + (begun.elapsed() * RESTS).max(REST_MIN));
        }
    }

    /// [`Self::sweep`] without a rest.
    pub(super) fn sweep_now(&mut self, session: &mut Session, tell: impl FnMut(Count)) {
        for key in self.compare(session.counts(), tell) {
            session.forget_count(key);
        }
    }

    /// Tells what came further since the last time. Returns the directions that stand still.
    fn compare(&mut self, counts: Vec<(CountKey, CountValue)>, mut tell: impl FnMut(Count)) -> Vec<CountKey> {
        let mut seen = HashMap::with_capacity(counts.len());
        let mut forgotten = Vec::new();
        for (key, value) in counts {
            let name = (key.cookie, key.direction);
            let still = match self.seen.get(&name) {
                Some((end, sweeps)) if *end == value.end => sweeps + 1,
                _ => {
                    tell(record(key, value));
                    0
                }
            };
            if still >= STILL_SWEEPS {
                forgotten.push(key);
            } else {
                seen.insert(name, (value.end, still));
            }
        }
        self.seen = seen;
        forgotten
    }
}

/// The record that the kernel half would send.
const fn record(key: CountKey, value: CountValue) -> Count {
    let header = Header { kind: kind::COUNT, pad: 0, size: size_of::<Count>() as u32, time: value.time };
    Count { header, cookie: key.cookie, end: value.end, direction: key.direction }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: CountKey = CountKey { cookie: 7, direction: 1 };

    fn told(progress: &mut Progress, end: u64, time: u64) -> (Vec<(u64, u64)>, usize) {
        let mut told = Vec::new();
        let moved = vec![(KEY, CountValue { end, time })];
        let forgotten = progress.compare(moved, |count| told.push((count.header.time, count.end)));
        (told, forgotten.len())
    }

    #[test]
    fn what_came_further_is_told_once_and_forgotten_when_it_stands_still() {
        let mut progress = Progress::default();
        assert_eq!(told(&mut progress, 10, 1), (vec![(1, 10)], 0));
        assert_eq!(told(&mut progress, 10, 1), (vec![], 0));
        assert_eq!(told(&mut progress, 30, 2), (vec![(2, 30)], 0));
        for _ in 1..STILL_SWEEPS {
            assert_eq!(told(&mut progress, 30, 2), (vec![], 0));
        }
        assert_eq!(told(&mut progress, 30, 2), (vec![], 1));
    }
}
