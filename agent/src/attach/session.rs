//! A loaded and attached kernel half, and what user space tells it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use agent_ebpf::rules::policy;
use agent_ebpf::wire::config::{Control, CountKey, CountValue, ListenerKey, Process, Settings, trace};
use agent_ebpf::wire::{ABI_VERSION, loss, names};
use anyhow::{Context, Result, bail};
use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use tracemend_core::ids::BootNanos;
use tracing_log::LogTracer;
use zerocopy::{FromBytes, IntoBytes};

use crate::attach::hooks::{EARLY, HookReport, PAYLOAD, State};
use crate::attach::runtime::{Found, Kind, Probes};
use crate::attach::{hooks, offsets};
use crate::object::object;

/// How the kernel half is to work.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of each data ring: a power of two of pages.
    pub ring_bytes: u32,
    /// Data rings: 1, 2 or 4.
    pub rings: u32,
    /// Bytes a process may put into the rings in 100 ms before its new turns are shed when a ring is half full.
    pub process_budget_bytes: u32,
    /// Trace processes that no target names.
    pub trace_by_default: bool,
    /// The agent's own program: it is run once more where a probe must be tried.
    pub program: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let ring_bytes = 4 << 20;
        Self {
            ring_bytes,
            rings: if cpus >= 4 { 4 } else { 2 },
            process_budget_bytes: ring_bytes / 4,
            trace_by_default: true,
            program: "/proc/self/exe".into(),
        }
    }
}

/// Captured bytes of a request turn: a header block within them is always complete.
const REQUEST_HEAD_BYTES: u32 = 8192;
/// Captured bytes of a response turn: the status line and the framing fields servers put first.
const RESPONSE_HEAD_BYTES: u32 = 1024;

/// The kernel half raises the generation too, by one. A step that it does not reach meanwhile makes every generation one
/// that no thread has cached a policy under.
const GENERATION_STEP: u32 = 1 << 16;

type Bytes<const N: usize> = [u8; N];

/// A loaded and attached kernel half. Dropping it detaches everything.
pub struct Session {
    /// What became of each hook.
    pub hooks: Vec<HookReport>,
    /// The data rings in use.
    pub rings: Vec<RingBuf<MapData>>,
    targets: Targets,
    policies: Array<MapData, u64>,
    counts: HashMap<MapData, Bytes<16>, Bytes<16>>,
    losses: PerCpuArray<MapData, u64>,
    runtimes: Probes,
    log: Option<EbpfLogger<LogTracer>>,
    /// Owns the programs and their links.
    ebpf: Ebpf,
}

/// Which processes are traced.
pub struct Targets {
    processes: HashMap<MapData, u32, Bytes<24>>,
    control: Array<MapData, Bytes<{ size_of::<Control>() }>>,
}

/// What exists before the payload hooks do.
pub struct Past {
    /// Network namespace and port of everything that is listened on.
    pub listeners: Vec<(u32, u16)>,
    /// Inodes of the unix stream sockets that are connected.
    pub unix_connections: Vec<u64>,
}

impl Session {
    /// Loads and attaches the kernel half. `past` is asked after the state hook stands and right before the payload hooks
    /// do, so that no connection's role or age is unknown.
    ///
    /// # Errors
    /// If the object cannot be loaded, or an essential hook cannot be attached.
    pub fn start(options: &Options, past: impl FnOnce() -> Past) -> Result<Self> {
        let (mut ebpf, btf) = load_object(options)?;
        // Everything is loaded before anything is attached, so that the hooks begin to see within a moment of each other.
        let mut reports = hooks::load_all(&mut ebpf, &btf);
        let (early, payload) = reports.split_at_mut(EARLY.len());
        EARLY.iter().zip(early).for_each(|(hook, report)| hook.attach(&mut ebpf, report));
        remember(&mut ebpf, past())?;
        PAYLOAD.iter().zip(payload).for_each(|(hook, report)| hook.attach(&mut ebpf, report));
        if let Some(hook) = reports.iter().find(|hook| hook.essential && hook.state == State::Off) {
            bail!("the hook {} cannot be used on this kernel: {}", hook.name, hook.why);
        }
        let rings = names::RINGS[..options.rings as usize]
            .iter()
            .map(|name| Ok(RingBuf::try_from(take(&mut ebpf, name)?)?))
            .collect::<Result<_>>()?;
        let log = EbpfLogger::init_with_logger(&mut ebpf, LogTracer::new())
            .inspect_err(|error| tracing::warn!(%error, "messages of the kernel half cannot be read"))
            .ok();
        Ok(Self {
            hooks: reports,
            rings,
            targets: Targets {
                processes: HashMap::try_from(take(&mut ebpf, names::PROCESSES)?)?,
                control: Array::try_from(take(&mut ebpf, names::CONTROL)?)?,
            },
            policies: Array::try_from(take(&mut ebpf, names::POLICIES)?)?,
            counts: HashMap::try_from(take(&mut ebpf, names::COUNTS)?)?,
            losses: PerCpuArray::try_from(take(&mut ebpf, names::LOSSES)?)?,
            runtimes: Probes::new(&mut ebpf, options.program.clone())?,
            log,
            ebpf,
        })
    }

    /// Passes what the kernel half said on to the agent's log.
    pub fn pass_messages(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Which processes are traced.
    pub const fn targets(&mut self) -> &mut Targets {
        &mut self.targets
    }

    /// Sets what is copied of a connection: a value of [`agent_ebpf::wire::config::capture`].
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn set_policy(&mut self, cookie: u64, capture: u32) -> Result<()> {
        let word = policy::word(cookie, capture);
        self.policies.set(policy::index(cookie), word, 0).context("cannot write a capture policy")
    }

    /// Attaches the probes of a process's runtime; its threads are known to the kernel half from then on.
    ///
    /// # Errors
    /// If they cannot be attached, or there are too many.
    pub fn adapt(&mut self, found: &Found, serves: bool) -> Result<()> {
        self.runtimes.adapt(&mut self.ebpf, found, serves)?;
        self.targets.renew()
    }

    /// Loads the probes of runtimes, so that the first process that has one need not wait for that.
    ///
    /// # Errors
    /// If they cannot be loaded, or would harm whom they probe.
    pub fn prepare_runtimes(&mut self) -> Result<()> {
        Kind::ALL.into_iter().try_for_each(|kind| self.runtimes.prepare(&mut self.ebpf, kind))
    }

    /// How much is known of units of runtimes now: of them, of items in queues, and of what was taken.
    #[must_use]
    pub fn units(&self) -> usize {
        self.runtimes.kept().len()
    }

    /// Gives up what units keep for too long, and has no process hold more of it than a share. Gives the processes that are
    /// adapted and gone: they had ended before they were.
    pub fn balance_units(&mut self, now: BootNanos) -> BTreeSet<u32> {
        self.runtimes.balance(now)
    }

    /// Takes probes away that are passed often and see nothing, and has them back from time to time. `grown`: processes that created
    /// threads since the last time, by process id.
    pub fn watch(&mut self, grown: &BTreeSet<u32>, now: Instant) {
        self.runtimes.watch(&mut self.ebpf, grown, now);
    }

    /// How many probes are still being taken away.
    #[must_use]
    pub fn detaching(&self) -> usize {
        self.runtimes.detaching()
    }

    /// Forgets the units of processes that have ended, by process id.
    pub fn forget_units(&mut self, ended: &BTreeSet<u32>) {
        self.runtimes.forget(ended);
    }

    /// How far every direction came beyond its captured head.
    #[must_use]
    pub fn counts(&self) -> Vec<(CountKey, CountValue)> {
        let readable = |(key, value): (Bytes<16>, Bytes<16>)| {
            Some((CountKey::read_from_bytes(&key).ok()?, CountValue::read_from_bytes(&value).ok()?))
        };
        self.counts.iter().filter_map(|entry| entry.ok().and_then(readable)).collect()
    }

    /// Changes whenever a direction begins to be counted; none if that is not known.
    #[must_use]
    pub fn counted(&self) -> Option<u64> {
        Some(self.targets.control().ok()?.counted)
    }

    /// Forgets a direction that has come no further for a while.
    pub fn forget_count(&mut self, key: CountKey) {
        // The kernel half makes a new entry with the next bytes.
        let key: Bytes<16> = zerocopy::transmute!(key);
        let _ = self.counts.remove(&key);
    }

    /// Losses so far, by reason.
    #[must_use]
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        let sum = |number: u16| self.losses.get(&u32::from(number), 0).map_or(0, |values| values.iter().sum());
        let in_user_space = |number: u16| if number == loss::ITEMS_OLD { self.runtimes.kept().old_items() } else { 0 };
        loss::ALL.iter().map(|(number, name, _)| (*name, sum(*number) + in_user_space(*number))).collect()
    }
}

impl Targets {
    /// Traces a process and its later children.
    ///
    /// # Errors
    /// If the map is full.
    pub fn add(&mut self, tgid: u32) -> Result<()> {
        self.set(tgid, trace::YES)
    }

    /// Leaves a process and its later children out.
    ///
    /// # Errors
    /// If the map is full.
    pub fn leave_out(&mut self, tgid: u32) -> Result<()> {
        self.set(tgid, trace::NO)
    }

    fn set(&mut self, tgid: u32, trace: u32) -> Result<()> {
        let process: Bytes<24> = zerocopy::transmute!(Process { trace, ..Process::default() });
        self.processes.insert(tgid, process, 0).context("too many processes to trace")?;
        self.renew()
    }

    fn control(&self) -> Result<Control> {
        let control = self.control.get(&0, 0).context("cannot read the control map")?;
        Ok(Control::read_from_bytes(&control).unwrap_or_default())
    }

    /// Has every thread ask anew what is known of its process.
    fn renew(&mut self) -> Result<()> {
        let mut control = self.control()?;
        control.generation = control.generation.wrapping_add(GENERATION_STEP);
        let control: Bytes<{ size_of::<Control>() }> = zerocopy::transmute!(control);
        self.control.set(0, control, 0).context("cannot write the control map")
    }
}

/// Loads the object and its maps; no program yet.
pub(super) fn load_object(options: &Options) -> Result<(Ebpf, Btf)> {
    let settings = Settings {
        abi: ABI_VERSION,
        ring_mask: options.rings - 1,
        agent_tgid: std::process::id(),
        trace_by_default: u32::from(options.trace_by_default),
        ring_bytes: options.ring_bytes,
        request_head_bytes: REQUEST_HEAD_BYTES,
        response_head_bytes: RESPONSE_HEAD_BYTES,
        process_budget_bytes: options.process_budget_bytes,
    };
    let offsets = offsets::resolve()?;
    let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(&btf))
        .override_global(names::OFFSETS, offsets.as_slice(), true)
        .override_global(names::SETTINGS, settings.as_bytes(), true)
        // aya has no type for task storage; the kernel half alone uses it.
        .allow_unsupported_maps();
    for name in &names::RINGS[..options.rings as usize] {
        loader.map_max_entries(name, options.ring_bytes);
    }
    let ebpf = loader.load(object()?).context("cannot load the kernel half")?;
    Ok((ebpf, btf))
}

/// Tells the kernel half what it cannot have seen.
fn remember(ebpf: &mut Ebpf, past: Past) -> Result<()> {
    let mut listeners: HashMap<_, Bytes<8>, u32> = HashMap::try_from(take(ebpf, names::LISTENERS)?)?;
    for (netns, port) in past.listeners {
        let key: Bytes<8> = zerocopy::transmute!(ListenerKey { netns, port: u32::from(port) });
        if let Err(error) = listeners.insert(key, 1, 0) {
            tracing::warn!(%error, "too many listening ports: roles of older connections are unknown beyond them");
            break;
        }
    }
    let mut sockets: HashMap<_, u64, u32> = HashMap::try_from(take(ebpf, names::OLD_SOCKETS)?)?;
    for inode in past.unix_connections {
        if let Err(error) = sockets.insert(inode, 1, 0) {
            tracing::warn!(%error, "too many unix connections: older ones are taken for new ones beyond them");
            break;
        }
    }
    Ok(())
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map> {
    ebpf.take_map(name).with_context(|| format!("the kernel half has no map {name}"))
}
