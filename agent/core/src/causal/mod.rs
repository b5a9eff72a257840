//! Which exchange caused which, and how that is known.
//!
//! - `half`: halves of exchanges, and what tags name
//! - `identity`: what both ends call an exchange, and the ids hashed from it
//! - `lineage`: who was created by whom, and which threads prove anything
//! - `judge`: the opinions of every kind of evidence; `runtime/`: the programs with rules of their own
//! - `decide`: from judgements to trace and parent; a decision never changes
//!
//! Judgement comes with hindsight: a half settles a moment after its exchange ended, when threads may have ended and
//! interleaving been seen. A wrong parent is worse than an orphan.

mod decide;
pub mod half;
pub mod identity;
mod judge;
mod lineage;
pub mod runtime;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use half::{Half, Halves};
use identity::{ExchangeId, Minter};
use lineage::Lineage;

use crate::decode::{Actor, Exit, Fork, Link, Opened, Process};
use crate::ids::{BootNanos, ProcessId, SockCookie, ThreadId};
use crate::limits::{HALVES_MAX, PENDING_NS, RETENTION_NS, SETTLE_NS};
use crate::proto::exchange::{End, HalfKey, Outcome, Response, Role};
use crate::span::{self, Span};
use crate::stats::Stats;

/// Says which request targets are left out, with what they caused.
pub type Excluded = Box<dyn Fn(&str) -> bool + Send>;

/// The causal stage.
pub struct Causes {
    halves: Halves,
    lineage: Lineage,
    facts: HashMap<ProcessId, Arc<Process>>,
    minter: Minter,
    excluded: Excluded,
    settling: BTreeSet<(BootNanos, HalfKey)>,
    settled: VecDeque<(BootNanos, HalfKey)>,
    stats: Stats,
}

impl Causes {
    /// A stage that has seen nothing. `nonce` keeps ids apart that are hashed from numbers of this host.
    #[must_use]
    pub fn new(nonce: [u8; 16], excluded: Excluded) -> Self {
        Self {
            halves: Halves::default(),
            lineage: Lineage::default(),
            facts: HashMap::new(),
            minter: Minter::new(nonce),
            excluded,
            settling: BTreeSet::new(),
            settled: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What the host knows of a process.
    pub fn process(&mut self, process: Arc<Process>) {
        self.facts.insert(process.id, process);
    }

    /// A thread acted on a connection; `serves` says that its process answers requests there.
    pub fn acted(&mut self, actor: &Actor, time: BootNanos, cookie: SockCookie, serves: bool) {
        if self.lineage.acted(actor) {
            self.missed(actor.thread);
        }
        if serves {
            self.turned(actor.thread, time, cookie);
        }
    }

    /// Records of a thread were lost. What it read may have been answered in them, so it proves nothing any more: not
    /// whose the thread's calls are, nor that it interleaves.
    fn missed(&mut self, thread: ThreadId) {
        self.stats.thread_gaps += 1;
        for key in std::mem::take(&mut self.lineage.thread_mut(thread).reading) {
            if let Some(half) = self.halves.get_mut(key) {
                half.gap = true;
            }
        }
    }

    /// A thread turned to a connection over which it serves. Requests of others that it read and that are not over as
    /// far as is known now may turn out to have been over: their later bytes decide.
    fn turned(&mut self, thread: ThreadId, time: BootNanos, cookie: SockCookie) {
        let Some(known) = self.lineage.thread(thread) else { return };
        let others: Vec<HalfKey> = known.reading.iter().copied().filter(|key| key.cookie != cookie).collect();
        for key in others {
            let Some(half) = self.halves.get_mut(key).filter(|half| half.elsewhere.is_none()) else { continue };
            half.elsewhere = Some(time);
            if half.response.is_none() {
                self.lineage.process_mut(half.process).suspects.insert(key);
            }
        }
    }

    /// A request's bytes moved at `time`, after all that is known of it.
    fn went_on(&mut self, key: HalfKey, time: BootNanos) {
        let Some(half) = self.halves.get_mut(key) else { return };
        let Some(elsewhere) = half.elsewhere else { return };
        let process = self.lineage.process_mut(half.process);
        process.suspects.remove(&key);
        if elsewhere <= time {
            half.interleaved = true;
            process.event_loop = true;
        }
    }

    /// A half began. Its `serving` and `concurrent` are set here.
    pub fn began(&mut self, mut half: Half) {
        let (key, thread) = (half.request.key, half.request.actor.thread);
        if half.request.role == Role::Server {
            // Who serves on a connection may only show with its first request.
            self.turned(thread, half.start(), key.cookie);
        }
        let process = self.lineage.process_mut(half.process);
        half.serving = !process.open.is_empty();
        if half.request.role == Role::Server {
            half.concurrent = half.serving;
            let others: Vec<HalfKey> = process.open.iter().copied().collect();
            process.open.insert(key);
            self.lineage.thread_mut(thread).reading.insert(key);
            for other in others {
                if let Some(other) = self.halves.get_mut(other) {
                    other.concurrent = true;
                }
            }
        }
        self.halves.insert(half);
        if self.halves.count() > HALVES_MAX {
            self.evict();
        }
    }

    /// What ties a socket to its other end became known: so did the identities of its exchanges.
    pub fn linked(&mut self, cookie: SockCookie, link: Link, opened: Opened) {
        let undecided = |half: &&Half| half.decided.is_none();
        let halves: Vec<(HalfKey, Role)> =
            self.halves.of_socket(cookie).filter(undecided).map(|half| (half.request.key, half.request.role)).collect();
        for (key, role) in halves {
            let Some(identity) = ExchangeId::new(key, role, link, opened) else { continue };
            if let (Link::Unix(peer), Some(half)) = (link, self.halves.get_mut(key)) {
                half.unix_peer = Some(peer);
            }
            self.halves.identify(key, identity);
        }
    }

    /// The final answer of a half began.
    pub fn answered(&mut self, key: HalfKey, response: Response) {
        if let Some(half) = self.halves.get_mut(key) {
            half.response = Some(response);
            self.went_on(key, response.start);
        }
    }

    /// A half is over: it settles a moment later.
    pub fn ended(&mut self, end: End) {
        let Some(half) = self.halves.get_mut(end.key) else { return };
        half.end = Some(end);
        if end.outcome == Outcome::Void {
            self.lineage.process_mut(half.process).suspects.remove(&end.key);
        } else {
            self.went_on(end.key, end.time);
        }
        let Some(half) = self.halves.get(end.key) else { return };
        let (role, process, thread) = (half.request.role, half.process, half.request.actor.thread);
        let witness = half.concurrent && !half.interleaved;
        if role == Role::Server {
            self.lineage.thread_mut(thread).reading.remove(&end.key);
            let discipline = self.lineage.process_mut(process);
            discipline.open.remove(&end.key);
            discipline.witnesses += u32::from(witness);
        }
        if end.outcome == Outcome::Void {
            self.halves.remove(end.key);
            return;
        }
        self.settling.insert((BootNanos(end.time.0 + SETTLE_NS), end.key));
    }

    /// A thread or process was created.
    pub fn forked(&mut self, fork: &Fork) {
        if self.lineage.acted(&fork.actor) {
            self.missed(fork.actor.thread);
        }
        self.lineage.forked(fork);
    }

    /// A process replaced its program.
    pub fn executed(&mut self, process: ProcessId) {
        self.lineage.executed(process);
    }

    /// A thread ended.
    pub fn exited(&mut self, exit: &Exit) {
        self.lineage.exited(exit);
    }

    /// Builds the spans of what has settled by `now`. With `all`, everything that has ended settles.
    pub fn settle(&mut self, now: BootNanos, all: bool, out: &mut Vec<Span>) {
        while let Some((due, key)) = self.settling.first().copied() {
            if due > now && !all {
                break;
            }
            self.settling.pop_first();
            let ended = self.halves.get(key).and_then(|half| half.end).map_or(now, |end| end.time);
            let last = all || now.since(ended) >= PENDING_NS;
            match self.decide(key, last, 0) {
                Err(decide::Pending) => {
                    self.settling.insert((BootNanos(now.0 + SETTLE_NS / 4), key));
                }
                Ok(None) => {}
                Ok(Some(decided)) => {
                    self.settled.push_back((now, key));
                    self.export(key, &decided, out);
                }
            }
        }
        self.forget(now);
    }

    fn export(&mut self, key: HalfKey, decided: &half::Decided, out: &mut Vec<Span>) {
        let Some(half) = self.halves.get(key) else { return };
        let Some(end) = half.end else { return };
        if decided.excluded {
            self.stats.excluded_spans += 1;
            return;
        }
        let mut decision = decided.decision.clone();
        if half.request.role == Role::Client {
            decision.start = self.client_start(half, self.peer_read(half));
        }
        self.stats.count_link(&decision);
        let process =
            self.facts.get(&half.process).cloned().unwrap_or_else(|| {
                Arc::new(Process { id: half.process, executable: String::new(), resource: Vec::new() })
            });
        out.push(span::build(
            span::Half {
                request: &half.request,
                response: half.response.as_ref(),
                end: &end,
                endpoint: &half.endpoint,
                unix: half.unix,
                process: &process,
            },
            decision,
        ));
    }

    /// When the server half of the same exchange was read, if it was seen on this host.
    fn peer_read(&self, client: &Half) -> Option<BootNanos> {
        let ExchangeId::Unix { server, offset, .. } = client.identity? else { return None };
        let server = self.halves.get(HalfKey { cookie: server, offset })?;
        (server.request.role == Role::Server && server.same_request(client)).then(|| server.start())
    }

    fn executable(&self, process: ProcessId) -> &str {
        self.facts.get(&process).map_or("", |facts| facts.executable.as_str())
    }

    fn forget(&mut self, now: BootNanos) {
        while let Some((since, key)) = self.settled.front().copied() {
            if now.since(since) < RETENTION_NS {
                break;
            }
            self.settled.pop_front();
            self.halves.remove(key);
        }
        self.stats.evicted_threads += self.lineage.sweep(now);
    }

    /// Makes room: what settled longest ago goes first.
    fn evict(&mut self) {
        if let Some((_, key)) = self.settled.pop_front() {
            self.halves.remove(key);
            self.stats.evicted_halves += 1;
        }
    }
}
