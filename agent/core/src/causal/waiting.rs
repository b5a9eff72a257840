//! What halves wait for: open ones for their end, ended ones to settle, settled ones to be forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::causal::decide::On;
use crate::ids::BootNanos;
use crate::proto::exchange::HalfKey;

/// Every half, by what it waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By their start.
    open: BTreeSet<(BootNanos, HalfKey)>,
    /// The ended ones, by the time they are due.
    due: BTreeMap<(BootNanos, HalfKey), Ended>,
    /// Those of them that the end of something may settle earlier, and when they are due.
    on: BTreeMap<(On, HalfKey), BootNanos>,
    ended_bytes: usize,
    /// In the order they settled.
    settled: VecDeque<(BootNanos, HalfKey)>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    on: Option<On>,
    bytes: usize,
}

impl Waiting {
    /// A half began at `start`.
    pub(super) fn begin(&mut self, start: BootNanos, key: HalfKey) {
        self.open.insert((start, key));
    }

    /// A half that began at `start` is over, and holds so many bytes until it settles.
    pub(super) fn end(&mut self, start: BootNanos, key: HalfKey, due: BootNanos, bytes: usize) {
        self.open.remove(&(start, key));
        self.wait(key, due, Ended { on: None, bytes });
    }

    /// A half that began at `start` will never end.
    pub(super) fn drop(&mut self, start: BootNanos, key: HalfKey) {
        self.open.remove(&(start, key));
    }

    /// A half cannot settle before `due`, or the end of what it waits for.
    pub(super) fn postpone(&mut self, key: HalfKey, due: BootNanos, on: On, bytes: usize) {
        self.wait(key, due, Ended { on: Some(on), bytes });
        self.on.insert((on, key), due);
    }

    fn wait(&mut self, key: HalfKey, due: BootNanos, ended: Ended) {
        self.ended_bytes += ended.bytes;
        if let Some(before) = self.due.insert((due, key), ended) {
            self.ended_bytes -= before.bytes;
        }
    }

    /// Something ended: what waited for it is due.
    pub(super) fn has_ended(&mut self, on: On, now: BootNanos) {
        let first = HalfKey { cookie: crate::ids::SockCookie(0), offset: 0 };
        let last = HalfKey { cookie: crate::ids::SockCookie(u64::MAX), offset: u64::MAX };
        let woken: Vec<(HalfKey, BootNanos)> =
            self.on.range((on, first)..=(on, last)).map(|((_, key), due)| (*key, *due)).collect();
        for (key, due) in woken {
            self.on.remove(&(on, key));
            if let Some(ended) = self.due.remove(&(due, key)) {
                self.ended_bytes -= ended.bytes;
                self.wait(key, due.min(now), Ended { on: None, ..ended });
            }
        }
    }

    /// Takes the half that is due first, if it is by `now`.
    pub(super) fn take_due(&mut self, now: BootNanos) -> Option<HalfKey> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, key), ended) = first.remove_entry();
        self.ended_bytes -= ended.bytes;
        if let Some(on) = ended.on {
            self.on.remove(&(on, key));
        }
        Some(key)
    }

    /// Bytes of the halves that wait to settle.
    pub(super) const fn ended_bytes(&self) -> usize {
        self.ended_bytes
    }

    /// A half settled.
    pub(super) fn settled(&mut self, key: HalfKey, now: BootNanos) {
        self.settled.push_back((now, key));
    }

    /// Takes a half that settled at `before` or earlier.
    pub(super) fn take_settled(&mut self, before: BootNanos) -> Option<HalfKey> {
        self.settled.pop_front_if(|(since, _)| *since <= before).map(|(_, key)| key)
    }

    /// The open half that began first.
    pub(super) fn oldest_open(&self) -> Option<HalfKey> {
        self.open.first().map(|(_, key)| *key)
    }
}
