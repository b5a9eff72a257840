//! Watches: probes that are passed often stay while they see anything.
//!
//! A loop keeps its callbacks in a deque, and a pool its connections; net/http hands itself every request through channels. So
//! probes there are passed tens of times a request, and in most processes for nothing that is noted. The kernel half counts, and
//! notes nothing any more once thousands of hits saw nothing and none anything; then its probes are taken away: from CPython's if it
//! shows that it never used a queue. From time to time they come back for a moment, and for good once something is seen, or the
//! process shows that it uses a queue. Nothing had been noted before they went, so nothing can be out of date when they
//! come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent_ebpf::rules::watches::{HITS_MAX, verdict};
use agent_ebpf::wire::config::{Watch as Counts, Word};
use anyhow::{Context as _, Result};
use aya::maps::{HashMap, MapData};
use zerocopy::FromBytes as _;

use super::site::Site;
use super::{Found, Kind, Unused};
use crate::clock::Clock;

/// Probes that are away come back this long after they went ...
const AWAY: Duration = Duration::from_secs(30);
/// ... for so long, unless something is seen.
const LOOK: Duration = Duration::from_secs(1);
/// A process that creates a thread so soon after its probes went creates threads all the time: they would come and go with
/// these, so they stay.
const SOON: Duration = Duration::from_secs(10);

/// What was put into a queue while probes were away has been taken so long after they are back, as a rule.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

type Bytes<const N: usize> = [u8; N];

/// The processes whose handing over is watched, or was.
pub(super) struct Watches {
    counts: HashMap<MapData, u32, Bytes<{ size_of::<Counts>() }>>,
    verdicts: HashMap<MapData, u32, u32>,
    watches: BTreeMap<u32, Watch>,
    /// Those that created threads since their probes went, of runtimes where who waits for work is a thread.
    grown: BTreeSet<u32>,
}

#[derive(Debug)]
struct Watch {
    /// In the order they are attached in.
    sites: Vec<Site>,
    kind: Kind,
    /// Where a process of CPython's shows that it uses no queues, if it does.
    unused: Option<Unused>,
    state: State,
    /// A queue of CPython's was used while nothing was noted.
    missed: bool,
    /// Its probes could not be attached the last time.
    failed: bool,
}

/// Whether a process's probes are there, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// They are, until it is known what they see.
    Learning,
    /// They are, for as long as it lives.
    Kept,
    /// They are not, since then.
    Away(Instant),
    /// They are since then, for a moment. Nothing is noted.
    Looking(Instant),
}

/// What a process's probes said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// They still count.
    Nothing,
    /// Something was seen, and all is noted.
    Seen,
    /// Nothing is noted, and nothing was seen since.
    Idle,
    /// Nothing is noted, and something was seen since.
    Unnoted,
}

/// What is to be done about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Its probes are attached.
    Attach,
    /// They are attached, and what they see is noted from then on.
    Watch,
    /// They stay: what they see is noted from now on.
    Note,
    /// They are taken away.
    Detach,
}

impl Watches {
    pub(super) const fn new(
        counts: HashMap<MapData, u32, Bytes<{ size_of::<Counts>() }>>,
        verdicts: HashMap<MapData, u32, u32>,
    ) -> Self {
        Self { counts, verdicts, watches: BTreeMap::new(), grown: BTreeSet::new() }
    }

    /// A process serves. True if its probes are to be attached now, and then noted: they were not before.
    ///
    /// # Errors
    /// There are too many processes.
    pub(super) fn begin(&mut self, found: &Found, sites: Vec<Site>) -> Result<bool> {
        let Found { tgid, kind, unused, .. } = *found;
        // The kernel half forgets a process that runs another program.
        if self.watches.contains_key(&tgid) && self.counts.get(&tgid, 0).is_ok() {
            return Ok(false);
        }
        self.judge(tgid, verdict::IDLE)?;
        let watch = Watch { sites, kind, unused, state: State::Learning, missed: false, failed: false };
        self.count(tgid, watch.anew())?;
        self.watches.insert(tgid, watch);
        Ok(true)
    }

    /// A process created a thread: it may be one that waits at a queue.
    pub(super) fn grows(&mut self, tgid: u32) {
        if matches!(self.watches.get(&tgid), Some(Watch { state: State::Away(_) | State::Looking(_), .. })) {
            self.grown.insert(tgid);
        }
    }

    /// What is to be done now, and where. `may_attach`: what was taken away is gone by now.
    pub(super) fn due(&mut self, now: Instant, may_attach: bool) -> Vec<(u32, Act, Vec<Site>)> {
        let mut due = Vec::new();
        // One at a time: each attachment waits for the kernel.
        let mut may_attach = may_attach && !self.watches.values().any(|watch| matches!(watch.state, State::Looking(_)));
        for (tgid, watch) in self.watches.iter_mut().filter(|(_, watch)| watch.state != State::Kept) {
            // One that is not there has ended, or runs another program, and that is told of.
            let Ok(counts) = self.counts.get(tgid, 0) else { continue };
            let counts = Counts::read_from_bytes(&counts).unwrap_or_default();
            let said = said(&counts, self.verdicts.get(tgid, 0).ok());
            let used = match watch.look(said, &counts) {
                Look::Nothing => false,
                Look::Used => true,
                Look::Unused(unused) => {
                    let counts: Bytes<{ size_of::<Counts>() }> =
                        zerocopy::transmute!(Counts { hidden: 0, unused, ..counts });
                    self.counts.insert(tgid, counts, 0).is_err()
                }
            };
            let (state, act) = watch.state.next(said, now, may_attach, self.grown.contains(tgid), used);
            let Some(act) = act else {
                watch.state = state;
                continue;
            };
            self.grown.remove(tgid);
            may_attach &= !matches!(act, Act::Attach | Act::Watch);
            tracing::debug!(pid = tgid, ?act, was = ?watch.state, used, "what it hands over");
            let noted = watch.state == State::Learning;
            watch.missed = watch.kind == Kind::Python && !noted && (used || said == Said::Unnoted);
            watch.failed = false;
            watch.state = state;
            due.push((*tgid, act, watch.sites.clone()));
        }
        due
    }

    /// What probes that stand see is noted from now on; the kernel half stops again by itself, unless they are to stay.
    ///
    /// # Errors
    /// There are too many processes.
    pub(super) fn note(&mut self, tgid: u32) -> Result<()> {
        let Some(watch) = self.watches.get(&tgid) else { return Ok(()) };
        let stays = watch.state == State::Kept;
        // Whoever finds that all is noted finds since when.
        self.count(tgid, watch.anew())?;
        if stays {
            return self.judge(tgid, verdict::SEEN);
        }
        // There is none if the process has ended.
        let _ = self.verdicts.remove(&tgid);
        Ok(())
    }

    /// The probes of a process could not be attached: it is tried again with the next look.
    pub(super) fn failed(&mut self, tgid: u32, now: Instant) {
        if let Some(watch) = self.watches.get_mut(&tgid) {
            watch.state = State::Away(now);
            watch.failed = true;
        }
    }

    /// Processes have ended.
    pub(super) fn forget(&mut self, ended: &BTreeSet<u32>) {
        for tgid in ended {
            self.watches.remove(tgid);
            self.grown.remove(tgid);
            // The exit probe was first, as a rule.
            let _ = self.counts.remove(tgid);
            let _ = self.verdicts.remove(tgid);
        }
    }

    fn count(&mut self, tgid: u32, counts: Counts) -> Result<()> {
        let counts: Bytes<{ size_of::<Counts>() }> = zerocopy::transmute!(counts);
        self.counts.insert(tgid, counts, 0).context("too many processes are watched")
    }

    fn judge(&mut self, tgid: u32, verdict: u32) -> Result<()> {
        self.verdicts.insert(tgid, verdict, 0).context("too many processes are watched")
    }
}

/// What a process shows of queues.
enum Look {
    /// As before, or it was not asked.
    Nothing,
    /// It uses none as long as these words stand.
    Unused([Word; 2]),
    /// It uses some, or does not show it.
    Used,
}

impl Watch {
    /// Counted anew, from now on.
    fn anew(&self) -> Counts {
        let since = Clock::boot_now().0;
        let unsure_until = if self.missed { since.saturating_add(LEFT_BEHIND.as_nanos() as u64) } else { 0 };
        Counts { since, hidden: u64::from(self.kind == Kind::Python), unsure_until, ..Counts::default() }
    }

    /// Looks at a process of CPython's where that matters: before its probes may go, and while they are away. Where there was no
    /// place for them it changes nothing.
    fn look(&self, said: Said, counts: &Counts) -> Look {
        if self.kind != Kind::Python || self.failed {
            return Look::Nothing;
        }
        let matters = match self.state {
            State::Kept => false,
            State::Learning => counts.hidden != 0 && said == Said::Nothing && counts.hits >= HITS_MAX / 2,
            State::Away(_) | State::Looking(_) => !self.unused.is_some_and(|unused| unused.stand(counts.unused)),
        };
        if !matters {
            return Look::Nothing;
        }
        self.unused.and_then(|unused| unused.look()).map_or(Look::Used, Look::Unused)
    }
}

fn said(counts: &Counts, verdict: Option<u32>) -> Said {
    match verdict {
        None => Said::Nothing,
        Some(verdict::SEEN) => Said::Seen,
        Some(_) if counts.unnoted != 0 => Said::Unnoted,
        Some(_) => Said::Idle,
    }
}

impl State {
    /// What follows on what was said, and what is to be done for it. `grown`: the process created a thread; `used`: it uses a queue,
    /// or may.
    fn next(self, said: Said, now: Instant, may_attach: bool, grown: bool, used: bool) -> (Self, Option<Act>) {
        match self {
            Self::Learning if used => (Self::Kept, Some(Act::Note)),
            Self::Away(_) if may_attach && used => (Self::Kept, Some(Act::Watch)),
            Self::Looking(_) if used => (Self::Kept, Some(Act::Note)),
            Self::Learning if matches!(said, Said::Idle | Said::Unnoted) => (Self::Away(now), Some(Act::Detach)),
            Self::Learning if said == Said::Seen => (Self::Kept, None),
            Self::Away(since) if may_attach && grown && now.duration_since(since) < SOON => {
                (Self::Kept, Some(Act::Watch))
            }
            Self::Away(_) if may_attach && grown => (Self::Learning, Some(Act::Watch)),
            Self::Away(since) if may_attach && now.duration_since(since) >= AWAY => {
                (Self::Looking(now), Some(Act::Attach))
            }
            Self::Looking(_) if said == Said::Unnoted => (Self::Kept, Some(Act::Note)),
            Self::Looking(_) if grown => (Self::Learning, Some(Act::Note)),
            Self::Looking(since) if now.duration_since(since) >= LOOK => (Self::Away(now), Some(Act::Detach)),
            Self::Learning | Self::Kept | Self::Away(_) | Self::Looking(_) => (self, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_go_once_nothing_is_noted_and_stay_where_something_was_seen() {
        let now = Instant::now();
        assert_eq!(State::Learning.next(Said::Nothing, now, true, false, false), (State::Learning, None));
        assert_eq!(State::Learning.next(Said::Idle, now, true, false, false), (State::Away(now), Some(Act::Detach)));
        assert_eq!(State::Learning.next(Said::Seen, now, true, false, false), (State::Kept, None));
        assert_eq!(State::Kept.next(Said::Seen, now + AWAY, true, true, false), (State::Kept, None));
    }

    /// What was seen while nothing was noted says that there is something, and no more: noting begins with nothing.
    #[test]
    fn probes_come_back_for_a_moment_or_for_good() {
        let now = Instant::now();
        let later = now + AWAY;
        let (idle, unnoted) = (Said::Idle, Said::Unnoted);
        assert_eq!(State::Learning.next(unnoted, now, true, false, false), (State::Away(now), Some(Act::Detach)));
        assert_eq!(State::Away(now).next(idle, now + LOOK, true, false, false), (State::Away(now), None));
        assert_eq!(
            State::Away(now).next(idle, later, false, false, false),
            (State::Away(now), None),
            "others are attached"
        );
        assert_eq!(State::Away(now).next(idle, later, true, false, false), (State::Looking(later), Some(Act::Attach)));
        let looking = State::Looking(now);
        assert_eq!(looking.next(idle, now, true, false, false), (looking, None));
        assert_eq!(looking.next(unnoted, now, false, false, false), (State::Kept, Some(Act::Note)));
        assert_eq!(looking.next(idle, now + LOOK, false, false, false), (State::Away(now + LOOK), Some(Act::Detach)));
    }

    #[test]
    fn a_new_thread_is_looked_at_and_many_are_always() {
        let now = Instant::now();
        let idle = Said::Idle;
        assert_eq!(State::Away(now).next(idle, now + SOON, true, true, false), (State::Learning, Some(Act::Watch)));
        assert_eq!(State::Away(now).next(idle, now + LOOK, true, true, false), (State::Kept, Some(Act::Watch)));
        assert_eq!(State::Looking(now).next(idle, now, false, true, false), (State::Learning, Some(Act::Note)));
    }

    #[test]
    fn probes_stay_or_are_back_for_good_once_a_queue_was_used() {
        let now = Instant::now();
        assert_eq!(State::Learning.next(Said::Nothing, now, true, false, true), (State::Kept, Some(Act::Note)));
        assert_eq!(State::Away(now).next(Said::Idle, now, true, false, true), (State::Kept, Some(Act::Watch)));
        let others_are_attached = State::Away(now).next(Said::Idle, now, false, false, true);
        assert_eq!(others_are_attached, (State::Away(now), None));
        assert_eq!(State::Looking(now).next(Said::Idle, now, true, false, true), (State::Kept, Some(Act::Note)));
    }

    /// Go's probes go without.
    #[test]
    fn only_python_is_asked_whether_it_uses_queues() {
        let watch = |kind| Watch {
            sites: Vec::new(),
            kind,
            unused: None,
            state: State::Learning,
            missed: false,
            failed: false,
        };
        let asked = |kind| {
            let counts = Counts { hits: HITS_MAX, ..watch(kind).anew() };
            watch(kind).look(Said::Nothing, &counts)
        };
        assert!(matches!(asked(Kind::Go), Look::Nothing));
        assert!(matches!(asked(Kind::Python), Look::Used), "it does not show it, so that its probes stay");
        assert_eq!((watch(Kind::Go).anew().hidden, watch(Kind::Python).anew().hidden), (0, 1));
        let failed = Watch { failed: true, state: State::Away(Instant::now()), ..watch(Kind::Python) };
        assert!(matches!(failed.look(Said::Idle, &failed.anew()), Look::Nothing), "they are tried again in their turn");
    }

    #[test]
    fn what_is_seen_is_told_apart_by_whether_it_is_noted() {
        let counts = |unnoted| Counts { hits: 8, unnoted, since: 1, ..Counts::default() };
        assert_eq!(said(&counts(0), None), Said::Nothing);
        assert_eq!(said(&counts(0), Some(verdict::SEEN)), Said::Seen);
        assert_eq!(said(&counts(0), Some(verdict::IDLE)), Said::Idle);
        assert_eq!(said(&counts(1), Some(verdict::IDLE)), Said::Unnoted);
    }
}
