//! Processes whose runtime has an adapter: found when they begin, or when they are first told of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use tracemend_core::decode::{Event, Opened};
use tracemend_core::ids::Tgid;

use crate::attach::Session;
use crate::attach::runtime::{Finder, Found, Kind, Refusal, Refused, Seen};
use crate::clock::Clock;
use crate::host::Host;
use crate::ring::Wakes;

/// Processes that are remembered as looked at. Beyond it all are looked at anew.
const LOOKED_AT_MAX: usize = 32_768;

/// A process that serves may load greenlets later, and then return probes must go; and units may become too many.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Whether probes that are passed often see anything is looked at this often.
const WATCH: Duration = Duration::from_millis(250);

/// The start waits so long at most for the processes that are there, and as long again for those of them that serve.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(1);

/// What is known of runtimes.
pub(super) struct Runtimes {
    finder: Option<Finder>,
    /// Every process that begins is traced.
    everything: bool,
    /// Processes that were looked at when they were first told of, and whether as ones that serve: what was not there when
    /// they began may be by then.
    looked_at: foldhash::HashMap<Tgid, bool>,
    /// What was found in the processes that are adapted.
    adapted: HashMap<u32, Found>,
    /// Processes that were not: each is counted once, however often it is looked at.
    refused: HashSet<u32>,
    /// Children that were just forked, with the probes that each of them needs.
    forked: Vec<Found>,
    /// Processes whose pipes are watched from now on: those of the children they have are to be, too.
    parents: Vec<Tgid>,
    /// Processes that ended since the last tick.
    ended: BTreeSet<u32>,
    /// Python processes that created threads since probes that are passed often were looked at.
    grown: BTreeSet<u32>,
    counts: Counts,
    /// When processes that serve were looked at again.
    looked_again: Instant,
    /// When these probes were.
    watched: Instant,
}

/// What became of the processes that run a runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Adapted, by the runtime.
    pub(super) active: BTreeMap<Kind, u64>,
    /// Not adapted, by the runtime and the reason.
    pub(super) refused: BTreeMap<(Kind, &'static str), u64>,
}

impl Counts {
    fn refuse(&mut self, kind: Kind, why: &'static str, first: bool) {
        *self.refused.entry((kind, why)).or_default() += u64::from(first);
    }
}

impl Runtimes {
    /// Begins with the processes that are there, so that nothing of theirs is missed from here on; those that cannot be looked
    /// at in time follow later.
    pub(super) fn start(everything: bool, there: &[Tgid], host: &Host, session: &mut Session) -> Self {
        let finder = Finder::start()
            .inspect_err(|error| tracing::warn!(%error, "no runtime is adapted: its thread cannot start"))
            .ok();
        let mut runtimes = Self {
            finder,
            everything,
            looked_at: foldhash::HashMap::default(),
            adapted: HashMap::new(),
            refused: HashSet::new(),
            forked: Vec::new(),
            parents: Vec::new(),
            ended: BTreeSet::new(),
            grown: BTreeSet::new(),
            counts: Counts::default(),
            looked_again: Instant::now(),
            watched: Instant::now(),
        };
        there.iter().for_each(|tgid| runtimes.look_at(*tgid, false, false));
        if let Err(error) = session.prepare_runtimes() {
            tracing::warn!(error = format!("{error:#}"), "no runtime is adapted");
        }
        runtimes.await_answers(there.len(), session);
        let adapted: Vec<Tgid> = runtimes.adapted.keys().map(|tgid| Tgid(*tgid)).collect();
        let serving = host.serving(&adapted);
        serving.iter().for_each(|tgid| runtimes.acts(*tgid, true));
        runtimes.await_answers(serving.len(), session);
        let children = runtimes.look_at_children(host);
        runtimes.await_answers(children, session);
        runtimes
    }

    /// Has what is found from now on end a wait.
    pub(super) fn wake(&self, wakes: &Wakes) -> std::io::Result<()> {
        self.finder.as_ref().map_or(Ok(()), |finder| wakes.add(finder.sees()))
    }

    fn await_answers(&mut self, answers: usize, session: &mut Session) {
        let until = Instant::now() + FIRST_LOOK_MAX;
        for _ in 0..answers {
            match self.finder.as_ref().and_then(|finder| finder.wait(until)) {
                Some(seen) => self.adapt(seen, session),
                None => break,
            }
        }
    }

    /// What became of them so far.
    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Looks at the process of an event if it is new.
    pub(super) fn before(&mut self, event: &Event) {
        match event {
            Event::Exec { process, .. } => {
                self.forget(process.tgid);
                if self.everything {
                    self.look_at(process.tgid, true, false);
                }
            }
            Event::Exit(exit) if exit.last => {
                self.forget(exit.thread.process.tgid);
                if !self.counts.active.is_empty() {
                    self.ended.insert(exit.thread.process.tgid.0);
                }
            }
            Event::Fork(fork) => {
                let (parent, child) = (fork.actor.thread.process.tgid.0, fork.child.process.tgid.0);
                let adapted = self.adapted.get(&parent);
                if parent != child {
                    self.forked.extend(adapted.and_then(|found| found.forked(child)));
                } else if adapted.is_some_and(|found| found.kind == Kind::Python) {
                    self.grown.insert(parent);
                }
            }
            Event::Listen(listen) => self.acts(listen.process.tgid, true),
            Event::Open(open) => {
                let serves = matches!(open.opened, Opened::Passive | Opened::ListeningPort);
                self.acts(open.actor.thread.process.tgid, serves);
            }
            Event::Data(data) => self.acts(data.actor.thread.process.tgid, false),
            _ => {}
        }
    }

    /// Attaches to what was found meanwhile.
    pub(super) fn attach(&mut self, session: &mut Session, host: &Host) {
        let Some(finder) = &self.finder else { return };
        for seen in finder.seen().collect::<Vec<_>>() {
            self.adapt(seen, session);
        }
        for found in std::mem::take(&mut self.forked) {
            // Many run another program at once, and are gone.
            match session.adapt(&found, false) {
                Ok(()) => self.note(found),
                Err(error) => tracing::debug!(pid = found.tgid, error = format!("{error:#}"), "a child is not adapted"),
            }
        }
        self.look_at_children(host);
    }

    /// Forgets what has ended. From time to time, looks at what processes that serve have loaded since, and has none keep more
    /// than its share.
    pub(super) fn tick(&mut self, session: &mut Session) {
        if self.looked_again.elapsed() >= LOOK_AGAIN {
            self.looked_again = Instant::now();
            let adapted =
                self.adapted.iter().filter(|(_, found)| found.kind == Kind::Python && found.greenlets.is_err());
            let serving = adapted.map(|(tgid, _)| Tgid(*tgid)).filter(|tgid| self.looked_at.get(tgid) == Some(&true));
            serving.for_each(|tgid| self.look_at(tgid, false, true));
            for gone in session.balance_units(Clock::boot_now()) {
                self.forget(Tgid(gone));
                self.ended.insert(gone);
            }
        }
        if self.watched.elapsed() >= WATCH {
            self.watched = Instant::now();
            session.watch(&std::mem::take(&mut self.grown), self.watched);
        }
        if !self.ended.is_empty() {
            session.forget_units(&std::mem::take(&mut self.ended));
        }
    }

    /// Looks at the children of those whose pipes are watched since the last time. How many there are.
    fn look_at_children(&mut self, host: &Host) -> usize {
        let parents = std::mem::take(&mut self.parents);
        let children: BTreeSet<Tgid> = parents.into_iter().flat_map(|parent| host.descendants(parent)).collect();
        children.iter().for_each(|child| self.look_at(*child, false, false));
        children.len()
    }

    fn adapt(&mut self, Seen { tgid, serves, outcome }: Seen, session: &mut Session) {
        let outcome = match outcome {
            Ok(found) => attach_to(&found, serves, session).map(|()| found),
            Err(Refused { why: Refusal::NoRuntime, .. }) => return,
            Err(Refused { kind, why }) => {
                tracing::debug!(pid = tgid, runtime = kind.name(), %why, "its runtime is not adapted");
                Err((kind, why.kind()))
            }
        };
        match outcome {
            Ok(found) if found.layout.is_none() => {}
            Ok(found) => {
                let greenlets = found.greenlets.as_ref().err();
                let (runtime, version) = (found.kind.name(), &found.version);
                tracing::debug!(pid = tgid, runtime, version, serves, ?greenlets, "adapted");
                if found.watches_pipes() && !self.adapted.get(&tgid).is_some_and(Found::watches_pipes) {
                    self.parents.push(Tgid(tgid));
                }
                self.note(found);
            }
            Err((kind, why)) => self.counts.refuse(kind, why, self.refused.insert(tgid)),
        }
    }

    /// A process is adapted.
    fn note(&mut self, found: Found) {
        let kind = found.kind;
        let first = self.adapted.insert(found.tgid, found).is_none();
        *self.counts.active.entry(kind).or_default() += u64::from(first);
    }

    /// A process is told of: looks at it if that is for the first time, and it was not adapted as it began; and once more if it
    /// serves.
    fn acts(&mut self, tgid: Tgid, serves: bool) {
        let known = self.looked_at.get(&tgid).copied();
        if known.is_some_and(|as_serving| as_serving || !serves) {
            return;
        }
        if self.looked_at.len() >= LOOKED_AT_MAX {
            self.looked_at.clear();
        }
        self.looked_at.insert(tgid, serves);
        // What it serves with has been loaded by now.
        if serves || !self.adapted.contains_key(&tgid.0) {
            self.look_at(tgid, false, serves);
        }
    }

    fn look_at(&self, tgid: Tgid, young: bool, serves: bool) {
        if let Some(finder) = &self.finder {
            finder.look_at(tgid.0, young, serves);
        }
    }

    /// What was known of a process is void: it ended, or runs another program.
    fn forget(&mut self, tgid: Tgid) {
        self.looked_at.remove(&tgid);
        self.adapted.remove(&tgid.0);
        self.refused.remove(&tgid.0);
    }
}

/// Attaches what a process needs.
fn attach_to(found: &Found, serves: bool, session: &mut Session) -> Result<(), (Kind, &'static str)> {
    session.adapt(found, serves).map_err(|error| {
        tracing::warn!(pid = found.tgid, error = format!("{error:#}"), "its runtime is not adapted");
        (found.kind, "not attached")
    })
}
