//! A service that calls another for each request: bare, traced by the agent, and with an SDK in it, in turn.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::agent::{Agent, Start, program_runs};
use super::kernel::statistics;
use super::process::consumed;
use super::stage::{START_MAX, Server, Sink, Stage};
use super::stats::Estimate;
use crate::child::{self, Child};
use crate::{interrupt, ports};

const SECONDS: f64 = 2.0;
/// A sample at a stated rate is none if it told of fewer spans than this share of those due: it was spared work. An SDK
/// drops what is more than its queue holds, so at saturation that is what it does.
const TOLD: f64 = 0.99;
/// The agent tells of the request and of the call.
const AGENT_SPANS: f64 = 2.0;

/// A program of two services, one of them with an SDK.
pub(super) trait Script {
    /// How many spans its SDK tells of a request.
    const SDK_SPANS: f64;
    /// One that serves on `port` and calls `backend`, and tells of it to `sink` by the SDK, if there is one.
    fn command(&self, stage: &Stage<'_>, port: u16, backend: &str, sink: Option<&str>) -> Command;
}

/// What a load cost and got.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// Processor time by requests, of the service.
    pub(super) service_us: f64,
    /// And of the agent that traces it.
    pub(super) agent_us: f64,
    pub(super) per_second: f64,
}

/// The three that are compared, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Round {
    pub(super) bare: Sample,
    pub(super) traced: Sample,
    pub(super) sdk: Sample,
}

impl Round {
    /// What the agent adds to the service's processor time and takes itself, by requests.
    pub(super) fn added_us(&self) -> f64 {
        self.service_added_us() + self.traced.agent_us
    }

    /// What it adds to the service's alone.
    pub(super) fn service_added_us(&self) -> f64 {
        self.traced.service_us - self.bare.service_us
    }

    /// What the SDK adds to it.
    pub(super) fn sdk_added_us(&self) -> f64 {
        self.sdk.service_us - self.bare.service_us
    }
}

/// The median of a number of each round.
pub(super) fn estimate(rounds: &[Round], of: impl Fn(&Round) -> f64) -> Result<Estimate> {
    Estimate::of(&rounds.iter().map(of).collect::<Vec<_>>()).context("no samples")
}

/// All that plays.
pub(super) struct Theatre<'a, S> {
    stage: &'a Stage<'a>,
    sink: Sink,
    plain: Service,
    instrumented: Service,
    _backend: Server,
    _script: std::marker::PhantomData<S>,
}

struct Service {
    port: u16,
    child: Child,
}

impl<'a, S: Script> Theatre<'a, S> {
    /// Starts both services, warm.
    pub(super) fn open(stage: &'a Stage<'a>, script: &S) -> Result<Self> {
        let (backend, sink) = (Server::start(stage, &stage.cpus.load)?, Sink::start(stage)?);
        let plain = Service::start(script, stage, &backend, None)?;
        let instrumented = Service::start(script, stage, &backend, Some(&sink))?;
        for service in [&plain, &instrumented] {
            stage.load(service.port, SECONDS / 2.0, None)?;
        }
        Ok(Self { stage, sink, plain, instrumented, _backend: backend, _script: std::marker::PhantomData })
    }

    /// Half of what the bare service can do, requests per second.
    pub(super) fn half(&self) -> Result<f64> {
        Ok(self.stage.load(self.plain.port, SECONDS, None)?.per_second / 2.0)
    }

    /// Samples in turn (bare, SDK, traced, traced, SDK, bare, ...), so that what drifts meanwhile touches all alike: at
    /// `rate`, or as fast as it answers.
    pub(super) fn rounds(&self, count: usize, rate: Option<f64>) -> Result<Vec<Round>> {
        let bare = || self.sample(&self.plain, None, 0.0, rate);
        let sdk = || self.sample(&self.instrumented, None, S::SDK_SPANS, rate);
        let mut rounds = Vec::with_capacity(count);
        while rounds.len() < count {
            interrupt::check()?;
            let (first_bare, first_sdk) = (bare()?, sdk()?);
            let agent = self.agent()?;
            let traced = || self.sample(&self.plain, Some(&agent), AGENT_SPANS, rate);
            let (first_traced, second_traced) = (traced()?, traced()?);
            agent.stop()?;
            let (second_sdk, second_bare) = (sdk()?, bare()?);
            rounds.push(Round { bare: first_bare, traced: first_traced, sdk: first_sdk });
            rounds.push(Round { bare: second_bare, traced: second_traced, sdk: second_sdk });
        }
        Ok(rounds)
    }

    /// Runs of programs whose names begin so, for each request.
    pub(super) fn probe_runs(&self, prefix: &str, rate: f64) -> Result<Estimate> {
        let _statistics = statistics(self.stage)?;
        let agent = self.agent()?;
        let probes = || -> Result<f64> {
            let runs: BTreeMap<String, f64> = program_runs(self.stage, agent.pid())?;
            Ok(runs.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, runs)| runs).sum())
        };
        let before = probes()?;
        let answered = self.stage.load(self.plain.port, SECONDS, Some(rate))?;
        let runs = (probes()? - before) / answered.requests;
        agent.stop()?;
        Ok(Estimate::exact(runs))
    }

    /// An agent that traces the plain service, and nothing else; warm, as the services are: some of its probes go once they saw
    /// nothing for some hundred requests.
    fn agent(&self) -> Result<Agent> {
        let pid = self.plain.child.pid().to_string();
        let arguments = ["--pid", pid.as_str()];
        let start = Start { arguments: &arguments, ..Start::on(&self.stage.cpus.load) };
        let agent = Agent::start(self.stage, &self.sink, &start)?;
        let arrived = self.sink.spans()?;
        let answered = self.stage.load(self.plain.port, SECONDS / 2.0, None)?;
        self.sink.wait_for(arrived, answered.requests * AGENT_SPANS)?;
        Ok(agent)
    }

    /// A load, until all that is told of it has arrived: `spans` for each request.
    fn sample(&self, service: &Service, agent: Option<&Agent>, spans: f64, rate: Option<f64>) -> Result<Sample> {
        let spent = || -> Result<[Duration; 2]> {
            let agent = agent.map_or(Ok(Duration::ZERO), |agent| consumed(agent.pid()));
            Ok([consumed(service.child.pid())?, agent?])
        };
        let (before, arrived) = (spent()?, self.sink.spans()?);
        let answered = self.stage.load(service.port, SECONDS, rate)?;
        if spans > 0.0 {
            let due = answered.requests * spans;
            let told = self.sink.wait_for(arrived, due)?;
            let who = if agent.is_some() { "the agent" } else { "the SDK" };
            ensure!(told >= due * TOLD || rate.is_none() && agent.is_none(), "{told} of {due} spans of {who} arrived");
        }
        let after = spent()?;
        let us = |who: usize| (after[who] - before[who]).as_secs_f64() * 1e6 / answered.requests;
        Ok(Sample { service_us: us(0), agent_us: us(1), per_second: answered.per_second })
    }
}

impl Service {
    fn start(script: &impl Script, stage: &Stage<'_>, backend: &Server, sink: Option<&Sink>) -> Result<Self> {
        let [port] = ports::free()?;
        let backend = format!("127.0.0.1:{}", backend.port);
        let mut command = script.command(stage, port, &backend, sink.map(Sink::address).as_deref());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let mut child = Child::start("the service", &mut command)?;
        child::wait_until(&mut child, "the start of the service", START_MAX, || ports::is_open(port).then_some(()))?;
        Ok(Self { port, child })
    }
}
