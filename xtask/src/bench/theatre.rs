//! A service that calls another for each request: bare, traced by the agent, and with an SDK in it.
//!
//! What each costs is measured of three processes that serve at the same time, so that whatever else slows the machine slows all
//! of them; what each can do at most, in turn.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::agent::{Agent, Start, program_runs};
use super::kernel::statistics;
use super::process::consumed;
use super::stage::{Answered, CONNECTIONS, START_MAX, Server, Sink, Stage};
use super::stats::Estimate;
use crate::child::{self, Child};
use crate::{interrupt, ports};

const SECONDS: f64 = 2.0;
/// Longer than an SDK keeps spans before it exports them, and long enough that chance in when its requests come weighs little.
const WINDOW_SECONDS: f64 = 15.0;
/// Long beside the time until the agent's last spans have come, in which it looks for nothing.
const AGENT_SECONDS: f64 = 6.0;
/// Processes that serve at the same time.
const SERVING: f64 = 3.0;
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

/// Processor time by requests, of processes that served at the same time, and of the agent that traced one of them.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) bare_us: f64,
    traced_us: f64,
    sdk_us: f64,
    agent_us: f64,
}

impl Window {
    fn mean(one: Self, other: Self) -> Self {
        Self {
            bare_us: f64::midpoint(one.bare_us, other.bare_us),
            traced_us: f64::midpoint(one.traced_us, other.traced_us),
            sdk_us: f64::midpoint(one.sdk_us, other.sdk_us),
            agent_us: f64::midpoint(one.agent_us, other.agent_us),
        }
    }

    /// What the agent adds to a service's processor time and takes itself.
    pub(super) fn added_us(&self) -> f64 {
        self.service_added_us() + self.agent_us
    }

    /// What it adds to the service's alone.
    pub(super) fn service_added_us(&self) -> f64 {
        self.traced_us - self.bare_us
    }

    /// What the SDK adds to it.
    pub(super) fn sdk_added_us(&self) -> f64 {
        self.sdk_us - self.bare_us
    }
}

/// Requests a second, as fast as each answers.
#[derive(Clone, Copy)]
pub(super) struct Speed {
    pub(super) bare: f64,
    pub(super) traced: f64,
    pub(super) sdk: f64,
}

/// The median of a number of each sample.
pub(super) fn estimate<T>(samples: &[T], of: impl Fn(&T) -> f64) -> Result<Estimate> {
    Estimate::of(&samples.iter().map(of).collect::<Vec<_>>()).context("no samples")
}

/// All that plays.
pub(super) struct Theatre<'a, S> {
    stage: &'a Stage<'a>,
    sink: Sink,
    plain: [Service; 2],
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
        let plain = || Service::start(script, stage, &backend, None);
        let plain = [plain()?, plain()?];
        let instrumented = Service::start(script, stage, &backend, Some(&sink))?;
        for service in plain.iter().chain([&instrumented]) {
            stage.load(service.port, SECONDS / 2.0, None)?;
        }
        Ok(Self { stage, sink, plain, instrumented, _backend: backend, _script: std::marker::PhantomData })
    }

    /// Half of what the bare service can do, requests per second.
    pub(super) fn half(&self) -> Result<f64> {
        Ok(self.stage.load(self.plain[0].port, SECONDS, None)?.per_second / 2.0)
    }

    /// What each costs: `count` times, the mean of two windows, so that each of the plain services is traced once: alike as they
    /// are, one may need some hundredths more than the other for as long as it lives.
    pub(super) fn windows(&self, count: usize, rate: f64) -> Result<Vec<Window>> {
        let [one, other] = &self.plain;
        (0..count).map(|_| Ok(Window::mean(self.window(one, other, rate)?, self.window(other, one, rate)?))).collect()
    }

    /// All three get a third of `rate`; what the agent takes, which depends on the rate, is measured at all of it.
    fn window(&self, traced: &Service, bare: &Service, rate: f64) -> Result<Window> {
        interrupt::check()?;
        let agent = self.agent(traced)?;
        let agent_us = self.taken(&agent, traced, rate)?;
        let [bare_us, traced_us, sdk_us] = self.beside([bare, traced, &self.instrumented], rate / SERVING)?;
        agent.stop()?;
        Ok(Window { bare_us, traced_us, sdk_us, agent_us })
    }

    /// What each can do, in turn (SDK, bare, traced, traced, bare, SDK, ...), so that what drifts meanwhile touches all alike,
    /// and bare and traced are seconds apart.
    pub(super) fn speeds(&self, count: usize) -> Result<Vec<Speed>> {
        let [plain, _] = &self.plain;
        let fast = |service: &Service| self.stage.load(service.port, SECONDS, None);
        let sdk = || {
            let (arrived, answered) = (self.sink.spans()?, fast(&self.instrumented)?);
            // What it has still to export would be the next one's burden; what it dropped never comes.
            self.sink.wait_for(arrived, answered.requests * S::SDK_SPANS)?;
            Ok::<_, anyhow::Error>(answered.per_second)
        };
        let mut speeds = Vec::with_capacity(count);
        while speeds.len() < count {
            interrupt::check()?;
            let (first_sdk, first_bare) = (sdk()?, fast(plain)?.per_second);
            let agent = self.agent(plain)?;
            let traced = || {
                let (arrived, answered) = (self.sink.spans()?, fast(plain)?);
                self.all_told(arrived, answered.requests * AGENT_SPANS)?;
                Ok::<_, anyhow::Error>(answered.per_second)
            };
            let (first_traced, second_traced) = (traced()?, traced()?);
            agent.stop()?;
            let (second_bare, second_sdk) = (fast(plain)?.per_second, sdk()?);
            speeds.push(Speed { bare: first_bare, traced: first_traced, sdk: first_sdk });
            speeds.push(Speed { bare: second_bare, traced: second_traced, sdk: second_sdk });
        }
        Ok(speeds)
    }

    /// Runs of programs whose names begin so, for each request.
    pub(super) fn probe_runs(&self, prefix: &str, rate: f64) -> Result<Estimate> {
        let _statistics = statistics(self.stage)?;
        let [plain, _] = &self.plain;
        let agent = self.agent(plain)?;
        let probes = || -> Result<f64> {
            let runs: BTreeMap<String, f64> = program_runs(self.stage, agent.pid())?;
            Ok(runs.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, runs)| runs).sum())
        };
        let before = probes()?;
        let answered = self.stage.load(plain.port, SECONDS, Some(rate))?;
        let runs = (probes()? - before) / answered.requests;
        agent.stop()?;
        Ok(Estimate::exact(runs))
    }

    /// An agent that traces a service, and nothing else; warm, as the services are: some of its probes go once they saw nothing
    /// for some hundred requests.
    fn agent(&self, service: &Service) -> Result<Agent> {
        let pid = service.child.pid().to_string();
        let arguments = ["--pid", pid.as_str()];
        let start = Start { arguments: &arguments, ..Start::on(&self.stage.cpus.both) };
        let agent = Agent::start(self.stage, &self.sink, &start)?;
        let arrived = self.sink.spans()?;
        let answered = self.stage.load(service.port, SECONDS / 2.0, None)?;
        self.sink.wait_for(arrived, answered.requests * AGENT_SPANS)?;
        Ok(agent)
    }

    /// Processor time of the agent by requests, until the last span of them has arrived.
    fn taken(&self, agent: &Agent, service: &Service, rate: f64) -> Result<f64> {
        let (before, arrived) = (consumed(agent.pid())?, self.sink.spans()?);
        let answered = self.stage.load(service.port, AGENT_SECONDS, Some(rate))?;
        self.all_told(arrived, answered.requests * AGENT_SPANS)?;
        Ok((consumed(agent.pid())? - before).as_secs_f64() * 1e6 / answered.requests)
    }

    /// Processor time of services by requests that all get at the same time, each at `rate`, until the last span has arrived: the
    /// second one is traced, the third has the SDK.
    fn beside(&self, services: [&Service; 3], rate: f64) -> Result<[f64; 3]> {
        let spent = || services.iter().map(|service| consumed(service.child.pid())).collect::<Result<Vec<_>>>();
        let (before, arrived) = (spent()?, self.sink.spans()?);
        let load = |service: &&Service| {
            let mut load = self.stage.load_command(service.port, CONNECTIONS, WINDOW_SECONDS, Some(rate));
            // Without a phase to each other: whose requests are always due right behind another's finds that one's data in the
            // caches for as long as it lasts.
            load.arg(fastrand::u32(..).to_string());
            Child::start("the load", load.stdout(Stdio::piped()))
        };
        let loads = services.iter().map(load).collect::<Result<Vec<_>>>()?;
        let requests = loads.into_iter().map(|load| Answered::of(load).map(|answered| answered.requests));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        self.all_told(arrived, requests[1] * AGENT_SPANS + requests[2] * S::SDK_SPANS)?;
        let after = spent()?;
        Ok(std::array::from_fn(|who| (after[who] - before[who]).as_secs_f64() * 1e6 / requests[who]))
    }

    fn all_told(&self, arrived: f64, due: f64) -> Result<()> {
        let told = self.sink.wait_for(arrived, due)?;
        ensure!(told >= due * TOLD, "{told} of {due} spans arrived");
        Ok(())
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
