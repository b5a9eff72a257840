//! When halves are decided and told, and when they are forgotten.

use std::sync::Arc;

use crate::causal::Causes;
use crate::causal::decide::Pending;
use crate::causal::half::Half;
use crate::decode::Process;
use crate::ids::{BootNanos, ProcessId, SockCookie};
use crate::limits::{ENDED_PROCESS_NS, HALVES_BYTES_MAX, PENDING_NS, RETENTION_NS, SETTLING_BYTES_MAX};
use crate::proto::exchange::{End, HalfKey, Outcome, Role};
use crate::span::{self, Span};

/// The moment of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Now.
    pub(super) now: BootNanos,
    /// It cannot be put off: nothing is pending any more.
    pub(super) last: bool,
}

impl Causes {
    /// Builds the spans of what has settled by `now`. With `all`, everything that has ended settles.
    pub fn settle(&mut self, now: BootNanos, all: bool, out: &mut Vec<Span>) {
        self.bury(now);
        while let Some(key) = self.waiting.take_due(if all { BootNanos(u64::MAX) } else { now }) {
            self.tell(key, Moment { now, last: all }, out);
        }
        let before = BootNanos(now.0.saturating_sub(RETENTION_NS));
        while let Some(key) = self.waiting.take_settled(before).or_else(|| self.waiting.take_kept(now)) {
            match self.halves.get(key) {
                Some(half) if half.kept > now => self.waiting.keep(key, half.kept),
                _ => self.halves.forget(key),
            }
        }
        self.stats.evicted_threads += self.lineage.sweep(now);
        self.stats.evicted_units += self.units.sweep(now);
        self.tasks.sweep(now);
    }

    /// True if more is held than may be.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.ended_bytes() > SETTLING_BYTES_MAX || self.halves.bytes() > HALVES_BYTES_MAX
    }

    /// Makes room: what waits longest settles early; then what settled longest ago is forgotten, then what is open
    /// longest.
    pub(crate) fn make_room(&mut self, now: BootNanos, out: &mut Vec<Span>) {
        let moment = Moment { now, last: true };
        while self.waiting.ended_bytes() > SETTLING_BYTES_MAX
            && let Some(key) = self.waiting.take_due(BootNanos(u64::MAX))
        {
            self.stats.settled_early += 1;
            self.tell(key, moment, out);
        }
        while self.halves.bytes() > HALVES_BYTES_MAX {
            let ever = BootNanos(u64::MAX);
            if let Some(key) = self.waiting.take_kept(ever).or_else(|| self.waiting.take_settled(ever)) {
                // Its span was told: what is lost is a cause of calls that are yet to come, if there are any.
                self.halves.forget(key);
                self.stats.forgotten_causes += 1;
                continue;
            } else if let Some(key) = self.waiting.take_due(BootNanos(u64::MAX)) {
                self.stats.settled_early += 1;
                self.tell(key, moment, out);
                continue;
            } else if let Some(key) = self.waiting.oldest_open() {
                self.forget(key);
            } else {
                return;
            }
            self.stats.evicted_halves += 1;
        }
    }

    /// Decides a half and builds its span, or puts it off.
    fn tell(&mut self, key: HalfKey, moment: Moment, out: &mut Vec<Span>) {
        let Some(half) = self.halves.get(key) else { return };
        let Some(end) = half.end else { return };
        let (bytes, latest) = (half.bytes, BootNanos(end.time.0.saturating_add(PENDING_NS)));
        let last = moment.last || moment.now >= latest;
        match self.decide(key, Moment { last, ..moment }) {
            Err(Pending { on, until }) => self.waiting.postpone(key, until.min(latest), on, bytes),
            Ok(None) => {}
            Ok(Some(_)) => {
                self.waiting.settled(key, moment.now);
                self.export(key, out);
            }
        }
    }

    fn export(&mut self, key: HalfKey, out: &mut Vec<Span>) {
        let Some(half) = self.halves.get(key) else { return };
        let (Some(end), Some(decided)) = (half.end, &half.decided) else { return };
        if decided.excluded {
            self.stats.excluded_spans += 1;
            return;
        }
        let mut decision = decided.decision.clone();
        decision.start = self.asked(half);
        self.stats.count_link(&decision);
        let unknown = || Arc::new(Process { id: half.process, ..Process::default() });
        let process = self.facts.get(&half.process).cloned().unwrap_or_else(unknown);
        out.push(span::build(
            span::Half {
                request: &half.request,
                response: half.response.as_ref(),
                end: &end,
                ends: &half.ends,
                unix: half.unix,
                process: &process,
            },
            decision,
        ));
    }

    /// Unix sockets that processes which ended a while ago left exchanges open on, and when they ended: such a socket does
    /// not tell of its end.
    pub fn left_behind(&self, now: BootNanos) -> Vec<(SockCookie, BootNanos)> {
        let buried = self.ended.iter().take_while(|(time, _)| now.since(*time) >= ENDED_PROCESS_NS);
        let left = buried.flat_map(|(time, id)| self.left_open(*id).into_iter().map(|key| (key.cookie, *time)));
        left.collect()
    }

    /// Forgets processes that ended a while ago. What they left open on unix sockets, and no parser ended, is over.
    fn bury(&mut self, now: BootNanos) {
        while let Some((time, id)) = self.ended.pop_front_if(|(time, _)| now.since(*time) >= ENDED_PROCESS_NS) {
            let left = self.left_open(id);
            if left.is_empty() {
                self.facts.remove(&id);
                self.units.process_ended(id);
                continue;
            }
            // They have yet to settle.
            self.ended.push_back((now, id));
            for key in left {
                let end = |half: &Half| End {
                    key,
                    outcome: Outcome::Closed,
                    time: time.max(half.start()),
                    request_end: key.offset,
                    request_body_bytes: None,
                    response_body_bytes: None,
                    unseen_bytes: 0,
                };
                if let Some(end) = self.halves.get(key).map(end) {
                    self.ended(end);
                }
            }
        }
    }

    fn left_open(&self, process: ProcessId) -> Vec<HalfKey> {
        let unix = |key: &HalfKey| self.halves.get(*key).is_some_and(|half| half.unix);
        let open = |known: &super::lineage::Process| known.open.union(&known.calls).copied().filter(unix).collect();
        self.lineage.process(process).map(open).unwrap_or_default()
    }

    /// When a half began: at a client its own send, or the peer's read if that hook ran first.
    pub(super) fn asked(&self, half: &Half) -> BootNanos {
        match half.request.role {
            Role::Server => half.start(),
            Role::Client => self.client_start(half, self.peer_read(half)),
        }
    }

    /// When the server half of the same exchange was read, if it was seen on this host.
    fn peer_read(&self, client: &Half) -> Option<BootNanos> {
        let mut servers = self.halves.claiming(Role::Server, client.identity?);
        let server = servers.next().filter(|server| server.same_request(client))?;
        servers.next().is_none().then(|| server.start())
    }
}
