//! All stages, joined: rings -> decode -> core -> export, with facts of the host beside them.

mod core;
mod facts;
mod pause;
mod progress;
mod report;
mod runtimes;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use agent_ebpf::wire::config::capture;
use anyhow::Context;
use tracemend_core::decode::Event;
use tracemend_core::engine::{self, Engine, Output, Policy};
use tracemend_core::ids::{BootNanos, SockCookie};
use tracemend_core::recording::Header;
use zerocopy::IntoBytes as _;

use self::core::Core;
use crate::attach::{self, HookReport, Session};
use crate::clock::Clock;
use crate::config::Config;
use crate::export::{self, Destination, Exporter, Sampler};
use crate::heap;
use crate::host::Host;
use crate::recording::{self, Recorder};
use crate::ring::{Merge, Wakes};
use crate::shutdown::Shutdown;
use facts::Facts;
use pause::Pause;
use progress::Progress;
use report::Report;
use runtimes::Runtimes;

/// Events handled between two looks at the rings: a millisecond or two, in which a busy host fills a small part of one.
const READ_AHEAD: usize = 256;
/// Spans settle, and counted bytes are swept, with a look so long after the last time.
const TICK: Duration = Duration::from_millis(50);
/// What is still in the rings is read for this long at most before the last spans are sent.
const LAST_DRAIN: Duration = Duration::from_millis(500);
/// The wall clock is compared, and counters are published, this often.
const SLOW_TICK: Duration = Duration::from_secs(5);

/// What a run is given.
pub struct Options {
    /// What the agent is told. Its targets hold the command that was started, if one was.
    pub config: Config,
    /// Where spans go.
    pub destination: Destination,
    /// Which traces are exported.
    pub sampler: Sampler,
    /// What is known of the host and its processes.
    pub host: Host,
    /// The run is recorded.
    pub record: Option<Record>,
    /// Every decision is explained on standard error.
    pub explain: bool,
}

/// Where and how a run is recorded.
#[derive(Clone, Debug)]
pub struct Record {
    /// The file to create.
    pub path: PathBuf,
    /// How.
    pub options: recording::Options,
}

/// What a run can say once it sees every byte.
#[derive(Debug)]
pub struct Ready {
    /// What became of each hook.
    pub hooks: Vec<HookReport>,
    /// Where spans go, in words.
    pub destination: String,
}

/// Traces until a shutdown is requested, then sends what it has within the shutdown's deadline. `on_ready` is called
/// once, when the hooks stand and the targets are set.
///
/// # Errors
/// When the hooks cannot be attached, or the exporter cannot start.
pub fn run(options: Options, shutdown: &Shutdown, on_ready: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let Options { config, destination, sampler, mut host, record, explain } = options;
    let ready = destination.to_string();
    let nonce = nonce()?;
    let recorder = record.map(|record| start_recording(&record, nonce, &config)).transpose()?;
    let mut session = attach(&config, &mut host)?;
    heap::trim();
    let offset = Arc::new(AtomicI64::new(0));
    let exporter = {
        let offset = Arc::clone(&offset);
        let clock = Box::new(move || offset.load(Ordering::Relaxed));
        Exporter::start(export::Config { destination, sampler, clock }).context("cannot start the exporter")?
    };
    let report = Report::new(exporter.counts());
    let telemetry = report.publish(exporter.runtime())?;
    let exclude = config.exclude_paths.clone();
    let engine =
        Engine::new(engine::Options { nonce, excluded: Box::new(move |target| exclude.matches(target)), explain });
    let everything = config.targets.is_everything();
    let there = if everything { host.all() } else { host.targeted(&config.targets) };
    let runtimes = Runtimes::start(everything, &there, &host, &mut session);
    let wakes = Wakes::of(&session.rings).context("cannot wait for the rings")?;
    runtimes.wake(&wakes).context("cannot wait for what is found in processes")?;
    on_ready(&Ready { hooks: std::mem::take(&mut session.hooks), destination: ready });
    let mut stages = Stages {
        session,
        runtimes,
        wakes,
        merge: Merge::default(),
        facts: Facts::new(host, config.targets),
        progress: Progress::default(),
        core: Core::new(engine, recorder),
        out: Output::default(),
        exporter,
        clock: Clock::start(),
        offset,
        report,
        news: false,
    };
    stages.trace(shutdown)?;
    stages.finish(shutdown, telemetry)
}

fn attach(config: &Config, host: &mut Host) -> anyhow::Result<Session> {
    let options = attach::Options {
        ring_bytes: config.limits.ring_bytes,
        process_budget_bytes: config.limits.process_budget_bytes,
        trace_by_default: config.targets.is_everything(),
        ..attach::Options::default()
    };
    let past = || attach::Past {
        listeners: host.listeners().iter().map(|listener| (listener.netns, listener.port)).collect(),
        unix_connections: host.unix_connections(),
    };
    let mut session = Session::start(&options, past)?;
    for tgid in host.targeted(&config.targets) {
        session.targets().add(tgid.0)?;
    }
    Ok(session)
}

fn start_recording(record: &Record, nonce: [u8; 16], config: &Config) -> anyhow::Result<Recorder> {
    let header = Header {
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        nonce,
        exclude_paths: config.exclude_paths.patterns().to_vec(),
        redacted: !record.options.with_secrets,
    };
    let path = record.path.display();
    Recorder::start(&record.path, record.options, &header).with_context(|| format!("cannot record to {path}"))
}

/// A number no other agent has: it keeps ids apart that are hashed from cookies.
fn nonce() -> anyhow::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty()).context("cannot get random bytes")?;
    Ok(nonce)
}

/// Everything that runs.
struct Stages {
    session: Session,
    runtimes: Runtimes,
    wakes: Wakes,
    merge: Merge,
    facts: Facts,
    progress: Progress,
    core: Core,
    out: Output,
    exporter: Exporter,
    clock: Clock,
    offset: Arc<AtomicI64>,
    report: Report,
    /// Something was told since the last look that is acted on.
    news: bool,
}

impl Stages {
    fn trace(&mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        self.set_offset();
        let (mut pause, mut woken) = (Pause::default(), false);
        let (mut ticked, mut slowly_ticked) = (Instant::now(), Instant::now());
        while !shutdown.is_requested() {
            let records = self.drain();
            self.runtimes.attach(&mut self.session, self.facts.host());
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick();
            }
            if slowly_ticked.elapsed() >= SLOW_TICK {
                slowly_ticked = Instant::now();
                self.clock.resample();
                self.set_offset();
                self.report.update(&self.session, self.core.engine(), &self.facts, &self.runtimes);
            }
            pause = pause.after(records, std::mem::take(&mut self.news), woken);
            woken = self.wakes.wait(pause.length()).context("cannot wait for the rings")?;
        }
        Ok(())
    }

    fn set_offset(&mut self) {
        let offset = self.clock.offset_ns();
        if self.offset.swap(offset, Ordering::Relaxed) != offset {
            self.core.clock(offset);
        }
    }

    /// Ends what has ended, and sends everything before the deadline.
    fn finish(mut self, shutdown: &Shutdown, telemetry: Option<crate::telemetry::Telemetry>) -> anyhow::Result<()> {
        // A flood must not keep what is known from being sent.
        let until = Instant::now() + LAST_DRAIN;
        while self.drain() > 0 && Instant::now() < until {}
        // What hooks are about to send is waited for, and then nothing can come in between any more.
        std::thread::sleep(Pause::SHORTEST);
        let Self { session, progress, merge, .. } = &mut self;
        progress.sweep_now(session, |count| {
            merge.push(count.as_bytes());
        });
        merge.fill(&mut session.rings, Clock::boot_now().0);
        merge.close();
        self.release();
        self.core.finish(Clock::boot_now(), &mut self.out);
        self.hand_over();
        self.report.update(&self.session, self.core.engine(), &self.facts, &self.runtimes);
        let recorded = self.core.end_recording(self.session.losses()).context("the recording is not whole");
        let left = |shutdown: &Shutdown| {
            shutdown.deadline().map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
        };
        if let Some(telemetry) = telemetry {
            telemetry.shutdown(left(shutdown) / 4);
        }
        self.exporter.shutdown(left(shutdown));
        self.report.last_words();
        // The process ends now, and the kernel takes away what was attached. Probes take it some tenths of a second each where
        // much else runs: here they would be waited for longer than a signal may take, and before that they kept spans from
        // being sent.
        std::mem::forget(self.session);
        recorded
    }

    /// Takes all records that are in order by now. Returns how many there were in the rings.
    fn drain(&mut self) -> usize {
        let records = self.merge.fill(&mut self.session.rings, Clock::boot_now().0);
        self.release();
        records
    }

    /// Handles all records that are in order.
    fn release(&mut self) {
        let mut handled = 0;
        while let Some(event) = self.merge.release() {
            handled += 1;
            if handled % READ_AHEAD == 0 {
                self.merge.read_ahead(&mut self.session.rings);
            }
            match event {
                Ok(event) => self.event(event),
                Err(error) => {
                    tracing::debug!(%error, "record refused");
                    self.core.bad_record();
                }
            }
        }
        self.hand_over();
    }

    fn event(&mut self, event: Event) {
        let Self { facts, runtimes, session, core, out, news, .. } = self;
        *news |= pause::is_news(&event);
        runtimes.before(&event);
        facts.before(&event, session.targets(), |process| core.push(Event::Process(process), out));
        let executed = match &event {
            Event::Exec { process, .. } => Some(*process),
            _ => None,
        };
        core.push(event, out);
        if let Some(process) = executed.and_then(|process| facts.executed(process)) {
            core.push(Event::Process(process), out);
        }
    }

    fn tick(&mut self) {
        self.session.pass_messages();
        self.runtimes.tick(&mut self.session);
        self.sweep();
        // Nothing settles before all that was recorded by then has been read, however late this thread runs.
        self.core.tick(BootNanos(self.merge.horizon()), &mut self.out);
        self.hand_over();
    }

    fn sweep(&mut self) {
        let Self { session, progress, merge, .. } = self;
        progress.sweep(session, |count| {
            merge.push(count.as_bytes());
        });
    }

    fn hand_over(&mut self) {
        for (cookie, policy) in std::mem::take(&mut self.out.policies) {
            self.apply(cookie, policy);
        }
        for explanation in std::mem::take(&mut self.out.explanations) {
            // Nobody may read it, and then there is nobody to tell.
            let _ = std::io::stderr().write_all(explanation.to_string().as_bytes());
        }
        if !self.out.spans.is_empty() {
            self.exporter.send(std::mem::take(&mut self.out.spans));
        }
    }

    fn apply(&mut self, cookie: SockCookie, policy: Policy) {
        let capture = match policy {
            Policy::Nothing => capture::NONE,
            Policy::Client => capture::HEAD_CLIENT,
            Policy::Server => capture::HEAD_SERVER,
        };
        if let Err(error) = self.session.set_policy(cookie.0, capture) {
            // The connection goes on being captured as before: that costs, and loses nothing.
            tracing::debug!(error = format!("{error:#}"), "policy not set");
        }
    }
}
