//! One run of one pattern beside an agent.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Pattern, Start, Variant};
use crate::agent::{Agent, Builder, Stopped};
use crate::load::Load;
use crate::process::Process;
use crate::scene::Scene;
use crate::score::Truth;
use crate::session::Sent;
use crate::target::Target;
use crate::truth::{self, Sighting};
use crate::{wait, workload};

/// The longest service time before a call, and of the backend.
const SERVICE_MS: u64 = 20;

/// Requests a second of an open loop: fewer than any pattern can serve.
const OPEN_PER_SECOND: f64 = 300.0;

/// A load that waits for an agent ends by itself after so many requests: where an agent is not ready within a minute.
const MOST: usize = 20_000;

/// Calls that come behind the answers are waited for this long.
const CALLS_LIMIT: Duration = Duration::from_secs(60);

/// No call is made for so long: there will be no more. Longer than the longest call takes, so that the last ones are
/// answered too.
const QUIET: Duration = Duration::from_millis(700);

/// A run ends at the latest when it got so long for each of its requests, or half a minute.
const REQUEST_LIMIT: Duration = Duration::from_millis(40);

/// The recording of a run that is judged, in its scene ...
const RECORDING: &str = "run.tmrec";

/// ... and why it is judged before it is masked: in a masked one the ids would be blank already, which is to be doubted.
const UNMASKED: &str = "--with-secrets";

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The pattern.
    pub pattern: Pattern,
    /// By what.
    pub variant: Variant,
    /// Kept-alive connections.
    pub clients: usize,
    /// Requests in all.
    pub requests: usize,
    /// Begins every sequence of ids and times.
    pub seed: u64,
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    /// What really happened.
    pub truth: Truth,
    /// What the driver sent.
    pub sent: Vec<Sent>,
    /// What the agent left.
    pub stopped: Stopped,
    /// What it was given, if that was recorded.
    pub recording: PathBuf,
}

/// A pattern and its backend, running.
struct Running {
    front: Target,
    programs: Vec<Process>,
}

impl Trial {
    /// A scene for a run; none where no agent can run.
    ///
    /// # Errors
    /// No temporary directory could be made.
    pub fn scene(&self, test: &str) -> Result<Option<Scene>> {
        let scene = Scene::open(test, &[])?;
        Ok(scene.map(|scene| scene.variable("SERVICE_MS", SERVICE_MS).variable("SEED", self.seed)))
    }

    /// Starts the programs, then the agent, then the load.
    ///
    /// # Errors
    /// A program, the driver or the agent failed, or calls were not made.
    pub fn run(&self, scene: &Scene) -> Result<Outcome> {
        let recording = scene.path(RECORDING);
        let running = self.start(scene)?;
        let agent = running.agent(scene, &recording).argument(UNMASKED).start()?;
        self.beside(agent, scene, &running, recording)
    }

    /// The same with an agent that is told where its spans go, and records nothing.
    ///
    /// # Errors
    /// As above.
    pub fn run_with(&self, scene: &Scene, agent: Builder) -> Result<Outcome> {
        let running = self.start(scene)?;
        let agent = running.programs.iter().fold(agent, Builder::tree).start()?;
        self.beside(agent, scene, &running, PathBuf::new())
    }

    /// The same, leaving a recording that may be kept: what is secret in it is masked, the ids of the truth among it.
    ///
    /// # Errors
    /// As above.
    pub fn record(&self, scene: &Scene, recording: &Path) -> Result<Outcome> {
        let running = self.start(scene)?;
        let agent = running.agent(scene, recording).start()?;
        self.beside(agent, scene, &running, recording.to_owned())
    }

    /// The same with an open loop, and the agent started when a third of the requests was sent; the others are sent when it is
    /// ready, however long that takes. Gives the time from which on it was ready too, in
    /// nanoseconds since the epoch.
    ///
    /// # Errors
    /// As above.
    pub fn run_with_a_late_agent(&self, scene: &Scene) -> Result<(Outcome, u64)> {
        let running = self.start(scene)?;
        let recording = scene.path(RECORDING);
        let builder = running.agent(scene, &recording).argument(UNMASKED);
        let load = Load { per_second: Some(OPEN_PER_SECOND), requests: MOST, ..self.load(&running.front) }.begin();
        wait::until(
            "the first part of the load",
            CALLS_LIMIT,
            || Ok((load.begun() > self.requests / 3).then_some(())),
        )?;
        let agent = builder.start()?;
        let ready_ns = crate::clock::now_ns();
        let end = load.begun() + self.requests / 3 * 2;
        wait::until("the rest of the load", CALLS_LIMIT, || Ok((load.begun() > end).then_some(())))?;
        let sent = load.finish()?;
        self.wait_for_calls(scene, sent.len())?;
        let stopped = agent.stop()?;
        Ok((Outcome { truth: Truth::new(scene.truth()?).driven(&sent), sent, stopped, recording }, ready_ns))
    }

    fn beside(&self, agent: Agent, scene: &Scene, running: &Running, recording: PathBuf) -> Result<Outcome> {
        let sent = self.load(&running.front).run()?;
        self.wait_for_calls(scene, sent.len())?;
        let stopped = agent.stop()?;
        Ok(Outcome { truth: Truth::new(scene.truth()?).driven(&sent), sent, stopped, recording })
    }

    fn start(&self, scene: &Scene) -> Result<Running> {
        let program = self.variant.program.as_ref().map_err(|missing| anyhow::anyhow!("{missing}"))?;
        let (front, backend) = (Target::ipv4()?, Target::ipv4()?);
        let end = workload::backend(scene, &backend)?;
        let start = Start { scene, program, front: &front, backend: &backend };
        let mut programs = (self.pattern.start)(&start).with_context(|| self.pattern.id)?;
        programs.push(end);
        Ok(Running { front, programs })
    }

    fn load(&self, front: &Target) -> Load {
        Load {
            path: self.pattern.path.to_owned(),
            connections: self.clients,
            seed: Some(self.seed),
            leave: self.pattern.leaves,
            pipelined: self.pattern.pipelined,
            limit: Duration::from_secs(30) + REQUEST_LIMIT * u32::try_from(self.requests).unwrap_or(u32::MAX),
            ..Load::new(front, "r", self.requests)
        }
    }

    /// Calls may be made behind the answers: they are over when each request has caused as many as it does, and no more come.
    fn wait_for_calls(&self, scene: &Scene, requests: usize) -> Result<()> {
        let calls = requests * self.pattern.calls;
        let start = Instant::now();
        let mut before = 0;
        loop {
            let sightings = scene.truth()?;
            let causes = |one: &Sighting| truth::causes(&one.id).map_or(0, |causes| causes.len());
            let caused: usize = sightings.iter().filter(|one| one.event == truth::Event::In).map(causes).sum();
            if caused >= calls && sightings.len() == before {
                return Ok(());
            }
            ensure!(start.elapsed() < CALLS_LIMIT, "{}: {caused} of {calls} calls were made", self.pattern.id);
            before = sightings.len();
            thread::sleep(QUIET);
        }
    }
}

impl Running {
    /// An agent for these programs that records what it is given.
    fn agent(&self, scene: &Scene, recording: &Path) -> Builder {
        self.programs.iter().fold(Builder::new(scene), Builder::tree).recording(recording)
    }
}
