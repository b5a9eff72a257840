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
    /// The ended ones with their bytes, by the time they are due: nearly all end in order, so that they come last.
    due: VecDeque<(BootNanos, HalfKey, usize)>,
    /// Those that the end of something may settle earlier.
    postponed: BTreeMap<(BootNanos, HalfKey), Postponed>,
    /// They again, by what they wait for, and when they are due.
    on: BTreeMap<(On, HalfKey), BootNanos>,
    ended_bytes: usize,
    /// In the order they settled.
    settled: VecDeque<(BootNanos, HalfKey)>,
    /// Settled ones that tasks may yet need, by when they do no more.
    kept: BTreeSet<(BootNanos, HalfKey)>,
}

#[derive(Clone, Copy, Debug)]
struct Postponed {
    on: On,
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
        self.wait(key, due, bytes);
    }

    /// A half that began at `start` will never end.
    pub(super) fn drop(&mut self, start: BootNanos, key: HalfKey) {
        self.open.remove(&(start, key));
    }

    /// A half cannot settle before `due`, or the end of what it waits for.
    pub(super) fn postpone(&mut self, key: HalfKey, due: BootNanos, on: On, bytes: usize) {
        self.ended_bytes += bytes;
        self.postponed.insert((due, key), Postponed { on, bytes });
        self.on.insert((on, key), due);
    }

    fn wait(&mut self, key: HalfKey, due: BootNanos, bytes: usize) {
        self.ended_bytes += bytes;
        let behind = |(other_due, other, _): &(BootNanos, HalfKey, usize)| (*other_due, *other) <= (due, key);
        match self.due.back() {
            Some(last) if !behind(last) => {
                let place = self.due.partition_point(behind);
                self.due.insert(place, (due, key, bytes));
            }
            _ => self.due.push_back((due, key, bytes)),
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
            if let Some(Postponed { bytes, .. }) = self.postponed.remove(&(due, key)) {
                self.ended_bytes -= bytes;
                self.wait(key, due.min(now), bytes);
            }
        }
    }

    /// Takes the half that is due first, if it is by `now`.
    pub(super) fn take_due(&mut self, now: BootNanos) -> Option<HalfKey> {
        let first = self.due.front().map(|(due, key, _)| (*due, *key));
        let postponed = self.postponed.first_key_value().map(|(first, _)| *first);
        if let Some(postponed) = postponed.filter(|postponed| first.is_none_or(|first| *postponed < first)) {
            return self.take_postponed(postponed, now);
        }
        let (_, key, bytes) = self.due.pop_front_if(|(due, ..)| *due <= now)?;
        self.ended_bytes -= bytes;
        Some(key)
    }

    fn take_postponed(&mut self, first: (BootNanos, HalfKey), now: BootNanos) -> Option<HalfKey> {
        if first.0 > now {
            return None;
        }
        let Postponed { on, bytes } = self.postponed.remove(&first)?;
        self.ended_bytes -= bytes;
        self.on.remove(&(on, first.1));
        Some(first.1)
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

    /// A half that settled is remembered for longer.
    pub(super) fn keep(&mut self, key: HalfKey, until: BootNanos) {
        self.kept.insert((until, key));
    }

    /// Takes a half that was to be remembered until `now` or earlier.
    pub(super) fn take_kept(&mut self, now: BootNanos) -> Option<HalfKey> {
        let (until, _) = self.kept.first()?;
        if *until > now {
            return None;
        }
        self.kept.pop_first().map(|(_, key)| key)
    }

    /// The open half that began first.
    pub(super) fn oldest_open(&self) -> Option<HalfKey> {
        self.open.first().map(|(_, key)| *key)
    }
}
