//! Probes of runtimes, attached once for each file, and what the kernel half is told of each process.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use agent_ebpf::wire::config::{Go, Python};
use agent_ebpf::wire::names::{self, program};
use anyhow::{Context as _, Result, bail};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use aya::programs::uprobe::{UProbeLink, UProbeScope};
use aya::programs::{Program, UProbe};
use tracemend_core::ids::BootNanos;
use tracing::{debug, warn};

use super::kept::Kept;
use super::reaper::Reaper;
use super::site::{Reach, Site};
use super::watches::{Act, Watches};
use super::{Found, Kind, Layout, maps, selftest};
use crate::attach::parallel;

/// Probes. One takes about 0.1 s to detach: so many are gone within 10 s.
const PROBES_MAX: usize = 96;
/// How many there may be for the pipes of one more process to be watched: those of a large pool must leave room for what
/// others need. Beyond it its pipes are not, and what it reads there is nobody's.
const PROBES_FOR_PIPES_MAX: usize = PROBES_MAX / 2;
type Bytes<const N: usize> = [u8; N];

/// What is attached.
pub(in crate::attach) struct Probes {
    pythons: HashMap<MapData, u32, Bytes<{ size_of::<Python>() }>>,
    gos: HashMap<MapData, u32, Bytes<{ size_of::<Go>() }>>,
    kept: Kept,
    /// Which of those that are passed often are there.
    watches: Watches,
    /// Places with probes.
    attached: BTreeMap<Place, UProbeLink>,
    /// Takes those of processes that have ended away.
    reaper: Reaper<UProbeLink>,
    /// The agent's own program.
    program: PathBuf,
    /// What became of the programs of each runtime, once they were asked for.
    loaded: BTreeMap<Kind, Result<(), String>>,
    /// Return probes leave everybody alive on this kernel.
    returns: bool,
}

impl Probes {
    pub(in crate::attach) fn new(ebpf: &mut Ebpf, program: PathBuf) -> Result<Self> {
        let mut take = |name: &str| ebpf.take_map(name).with_context(|| format!("the kernel half has no map {name}"));
        Ok(Self {
            pythons: HashMap::try_from(take(names::PYTHONS)?)?,
            gos: HashMap::try_from(take(names::GOS)?)?,
            watches: Watches::new(
                HashMap::try_from(take(names::WATCHES)?)?,
                HashMap::try_from(take(names::VERDICTS)?)?,
            ),
            kept: Kept::new(take)?,
            attached: BTreeMap::new(),
            reaper: Reaper::start().context("no thread that detaches probes")?,
            program,
            loaded: BTreeMap::new(),
            returns: true,
        })
    }

    /// Attaches the probes that a process needs, those for processes that serve if it does, and tells the kernel half of it.
    pub(in crate::attach) fn adapt(&mut self, ebpf: &mut Ebpf, found: &Found, serves: bool) -> Result<()> {
        self.prepare(ebpf, found.kind)?;
        // What was safe when it was looked at before may not be any more.
        let stands =
            |place: &Place| found.sites.iter().any(|site| (site.inode, site.offset) == (place.inode, place.offset));
        self.attached.retain(|place, _| place.tgid != found.tgid || stands(place));
        let attached =
            self.attach(ebpf, found, serves).and_then(|()| if serves { self.begin_watch(ebpf, found) } else { Ok(()) });
        if attached.is_err() {
            // Some without the others would miss what these see.
            self.attached.retain(|place, _| place.tgid != found.tgid);
            self.watches.forget(&BTreeSet::from([found.tgid]));
        }
        attached?;
        match found.layout {
            None => Ok(()),
            Some(Layout::Python(python)) => {
                let python: Bytes<{ size_of::<Python>() }> = zerocopy::transmute!(python);
                self.pythons.insert(found.tgid, python, 0).context("too many Python processes")
            }
            Some(Layout::Go(go)) => {
                let go: Bytes<{ size_of::<Go>() }> = zerocopy::transmute!(go);
                self.gos.insert(found.tgid, go, 0).context("too many Go processes")
            }
        }
    }

    /// Watches what a process hands over that serves, if there is room for that.
    fn begin_watch(&mut self, ebpf: &mut Ebpf, found: &Found) -> Result<()> {
        let sites: Vec<_> = found.sites.iter().filter(|site| site.reach == Reach::Watched).cloned().collect();
        if !sites.is_empty() && self.watches.begin(found, sites.clone())? {
            self.act(ebpf, found.tgid, Act::Watch, &sites, Instant::now());
        }
        Ok(())
    }

    /// Takes probes away that are passed often where they see nothing, and has them back from time to time. `grown`: processes that
    /// created threads since the last time.
    pub(in crate::attach) fn watch(&mut self, ebpf: &mut Ebpf, grown: &BTreeSet<u32>, now: Instant) {
        grown.iter().for_each(|tgid| self.watches.grows(*tgid));
        for (tgid, act, sites) in self.watches.due(now, self.detaching() == 0) {
            self.act(ebpf, tgid, act, &sites, now);
        }
    }

    /// How many probes are still being taken away.
    pub(in crate::attach) fn detaching(&self) -> usize {
        self.reaper.left()
    }

    fn act(&mut self, ebpf: &mut Ebpf, tgid: u32, act: Act, sites: &[Site], now: Instant) {
        let outcome = match act {
            Act::Attach => self.attach_watched(ebpf, tgid, sites),
            Act::Watch => self.attach_watched(ebpf, tgid, sites).and_then(|()| self.watches.note(tgid)),
            Act::Note => self.watches.note(tgid),
            Act::Detach => {
                self.detach_watched(tgid, sites);
                return;
            }
        };
        if let Err(error) = outcome {
            // It is tried again with each look.
            match act {
                Act::Watch => warn!(pid = tgid, error = format!("{error:#}"), "what it hands over is not watched"),
                _ => debug!(pid = tgid, error = format!("{error:#}"), "what it hands over is not looked at"),
            }
            self.detach_watched(tgid, sites);
            self.watches.failed(tgid, now);
        }
    }

    fn attach_watched(&mut self, ebpf: &mut Ebpf, tgid: u32, sites: &[Site]) -> Result<()> {
        sites.iter().try_for_each(|site| self.attach_at(ebpf, site, Place::of(site, NonZeroU32::new(tgid))))
    }

    fn detach_watched(&mut self, tgid: u32, sites: &[Site]) {
        for link in sites.iter().filter_map(|site| self.attached.remove(&Place::of(site, NonZeroU32::new(tgid)))) {
            self.reaper.take(link);
        }
    }

    /// Loads the programs of a runtime if they are not, so that a process need not wait for that.
    pub(in crate::attach) fn prepare(&mut self, ebpf: &mut Ebpf, kind: Kind) -> Result<()> {
        let Entry::Vacant(entry) = self.loaded.entry(kind) else { return self.loaded_before(kind) };
        entry.insert(load(ebpf, kind).map_err(|error| format!("{error:#}")));
        if kind == Kind::Python
            && let Err(error) = test_return_probes(ebpf, &self.program)
        {
            self.returns = false;
            warn!(why = %error, "return probes are off: who takes work from a SimpleQueue is not seen");
        }
        self.loaded_before(kind)
    }

    fn loaded_before(&self, kind: Kind) -> Result<()> {
        match self.loaded.get(&kind) {
            Some(Err(why)) => bail!("{why}"),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// What the kernel half keeps.
    pub(in crate::attach) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Gives up what is old, and has nobody hold more than a share. Gives the processes that are adapted and gone: those that
    /// were when they had already ended.
    pub(in crate::attach) fn balance(&mut self, now: BootNanos) -> BTreeSet<u32> {
        self.kept.balance(now);
        let adapted = self.pythons.keys().chain(self.gos.keys()).flatten();
        adapted.filter(|tgid| !maps::is_alive(*tgid)).collect()
    }

    /// Forgets the units of processes that have ended.
    pub(in crate::attach) fn forget(&mut self, ended: &BTreeSet<u32>) {
        self.kept.forget(ended);
        self.watches.forget(ended);
        for tgid in ended {
            // The exit probe was first where they were adapted before.
            let _ = self.pythons.remove(tgid);
            let _ = self.gos.remove(tgid);
        }
        for (_, link) in self.attached.extract_if(.., |place, _| ended.contains(&place.tgid)) {
            self.reaper.take(link);
        }
    }

    fn attach(&mut self, ebpf: &mut Ebpf, found: &Found, serves: bool) -> Result<()> {
        let room = self.attached.len() + self.reaper.left() < PROBES_FOR_PIPES_MAX;
        let watched = self.attached.keys().any(|place| place.tgid == found.tgid && place.pipes);
        if found.watches_pipes() && !room && !watched {
            debug!(pid = found.tgid, "too many places have probes: its pipes are not watched");
        }
        let returns = self.returns;
        for site in found.sites.iter().filter(|site| returns || !is_return_probe(site.program)) {
            let process = match site.reach {
                Reach::File => None,
                // Attached apart.
                Reach::Watched => continue,
                Reach::Serving if !serves => continue,
                Reach::Process if !room && !watched => continue,
                Reach::Process | Reach::Serving => Some(NonZeroU32::new(found.tgid).context("a process has a number")?),
            };
            let place = Place::of(site, process);
            self.attach_at(ebpf, site, place)?;
        }
        Ok(())
    }

    /// Attaches a probe at a place if it has none.
    fn attach_at(&mut self, ebpf: &mut Ebpf, site: &Site, place: Place) -> Result<()> {
        if self.attached.contains_key(&place) {
            return Ok(());
        }
        if self.attached.len() + self.reaper.left() >= PROBES_MAX {
            bail!("{PROBES_MAX} places have probes, and no more are attached");
        }
        let scope = NonZeroU32::new(place.tgid).map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess);
        let attach = |probe: &mut UProbe| {
            Ok(probe.attach(site.offset, site.path(), scope).and_then(|id| probe.take_link(id))?)
        };
        let link = probe(ebpf, site.program).and_then(attach);
        let link = link.with_context(|| format!("cannot attach {} at {:#x}", site.program, site.offset))?;
        self.attached.insert(place, link);
        Ok(())
    }
}

/// A place with a probe: of one process, or, with 0, of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tgid: u32,
    inode: (u64, u64),
    offset: u64,
    /// It is one of those that watch pipes.
    pipes: bool,
}

impl Place {
    fn of(site: &Site, process: Option<NonZeroU32>) -> Self {
        let tgid = process.map_or(0, NonZeroU32::get);
        Self { tgid, inode: site.inode, offset: site.offset, pipes: site.reach == Reach::Process }
    }
}

/// Loads the programs of every runtime, and makes sure that they harm nobody.
pub(in crate::attach) fn load_all(ebpf: &mut Ebpf, own: &Path) -> Result<()> {
    Kind::ALL.into_iter().try_for_each(|kind| load(ebpf, kind))?;
    test_return_probes(ebpf, own)
}

/// Loads the programs of a runtime.
fn load(ebpf: &mut Ebpf, kind: Kind) -> Result<()> {
    let mut all: BTreeMap<&str, &mut Program> = ebpf.programs_mut().collect();
    let load = |name: &&'static str| {
        let program = all.remove(name);
        let name = *name;
        move || uprobe(program, name)?.load().with_context(|| format!("cannot load {name}"))
    };
    parallel::all(programs(kind).iter().map(load).collect()).into_iter().collect()
}

/// Python's programs must be loaded.
fn test_return_probes(ebpf: &mut Ebpf, own: &Path) -> Result<()> {
    selftest::run(probe(ebpf, program::PYTHON_COPY)?, own).map_err(anyhow::Error::msg)
}

/// Programs that run when a function returns.
fn is_return_probe(program: &str) -> bool {
    [program::PYTHON_COPY, program::PYTHON_GET].contains(&program)
}

const fn programs(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Python => &[
            program::PYTHON_FREE,
            program::PYTHON_MADE,
            program::PYTHON_REUSED,
            program::PYTHON_COPY,
            program::GREENLET_FREE,
            program::GREENLET_MAKE,
            program::PYTHON_PUT,
            program::PYTHON_TAKEN,
            program::PYTHON_GET,
            program::PYTHON_APPEND,
            program::PYTHON_POPLEFT,
            program::PIPE_WRITE,
            program::PIPE_READ,
        ],
        Kind::Go => &[
            program::GO_ENDED,
            program::GO_MADE,
            program::GO_QUEUED,
            program::GO_WRITER,
            program::GO_ROUND,
            program::GO_TAKE,
            program::GO_TAKE_SELECT,
            program::GO_FETCH,
            program::GO_HAND,
            program::GO_REFILL,
            program::GO_PUT_SELECT,
            program::GO_PUT,
            program::GO_CLOSE,
            program::GO_CLOSE_CALL,
            program::GO_TIMER_STOP,
            program::GO_TIMER_RESET,
            program::GO_TIMER,
            program::GO_SERVE,
        ],
    }
}

fn probe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe> {
    uprobe(ebpf.program_mut(name), name)
}

fn uprobe<'a>(program: Option<&'a mut Program>, name: &str) -> Result<&'a mut UProbe> {
    Ok(program.with_context(|| format!("the kernel half has no program {name}"))?.try_into()?)
}
