//! What a traced Python service pays, application and agent together, beside what the OpenTelemetry SDK costs it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Numbers;
use super::agent::{Agent, Start, program_runs};
use super::kernel::statistics;
use super::process::consumed;
use super::stage::{START_MAX, Server, Sink, Stage};
use super::stats::Estimate;
use crate::child::{self, Child};
use crate::{interrupt, ports, shell};

/// Rounds of a bare, a traced and an instrumented sample each: for the processor time, and for the throughput.
const CPU_ROUNDS: usize = 8;
const THROUGHPUT_ROUNDS: usize = 8;
const SECONDS: f64 = 2.0;
/// A round is no sample if it told of fewer spans than this share of those due: it was spared work.
const TOLD: f64 = 0.99;
/// Both tell of the request and of the call; the SDK's ASGI middleware also of each event that it sends or receives: of
/// the beginning of the answer and its body here.
const AGENT_SPANS: f64 = 2.0;
const SDK_SPANS: f64 = 4.0;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let interpreter = environment(stage)?;
    let (backend, sink) = (Server::start(stage, &stage.cpus.load)?, Sink::start(stage)?);
    let theatre = Theatre {
        stage,
        plain: Service::start(stage, &interpreter, &backend, None)?,
        instrumented: Service::start(stage, &interpreter, &backend, Some(&sink))?,
        sink: &sink,
    };
    for service in [&theatre.plain, &theatre.instrumented] {
        stage.load(service.port, SECONDS / 2.0, None)?;
    }
    let rate = stage.load(theatre.plain.port, SECONDS, None)?.per_second / 2.0;
    let cost = theatre.rounds(CPU_ROUNDS, Some(rate))?;
    let speed = theatre.rounds(THROUGHPUT_ROUNDS, None)?;
    let estimate = |rounds: &[Round], of: &dyn Fn(&Round) -> f64| {
        Estimate::of(&rounds.iter().map(of).collect::<Vec<_>>()).context("no samples")
    };
    Ok(vec![
        ("python_uvicorn_cpu_us", estimate(&cost, &|round| round.bare.us)?),
        ("python_uvicorn_cpu_us_added", estimate(&cost, &|round| round.traced.us - round.bare.us)?),
        (
            "python_uvicorn_throughput_ratio",
            estimate(&speed, &|round| round.traced.per_second / round.bare.per_second)?,
        ),
        ("python_uvicorn_probe_runs", theatre.probe_runs(rate)?),
        ("python_otel_sdk_cpu_us_added", estimate(&cost, &|round| round.sdk.us - round.bare.us)?),
        (
            "python_uvicorn_share_of_otel_sdk",
            estimate(&cost, &|round| (round.traced.us - round.bare.us) / (round.sdk.us - round.bare.us))?,
        ),
        ("python_otel_sdk_throughput_ratio", estimate(&speed, &|round| round.sdk.per_second / round.bare.per_second)?),
    ])
}

/// The interpreter of a virtual environment with the packages in `xtask/bench/requirements.txt`.
fn environment(stage: &Stage<'_>) -> Result<PathBuf> {
    let wanted = stage.tree.root.join("xtask/bench/requirements.txt");
    let directory = stage.tree.target.join("bench/python");
    let (interpreter, installed) = (directory.join("bin/python"), directory.join("requirements.txt"));
    if fs::read(&installed).ok() != fs::read(&wanted).ok() {
        shell::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
        shell::run(&mut pip)?;
        fs::copy(&wanted, &installed)?;
    }
    Ok(interpreter)
}

/// A process of `xtask/bench/service.py`.
struct Service {
    port: u16,
    child: Child,
}

impl Service {
    /// One that calls `backend`, and tells of it to `sink` by the SDK, if there is one.
    fn start(stage: &Stage<'_>, interpreter: &PathBuf, backend: &Server, sink: Option<&Sink>) -> Result<Self> {
        let [port] = ports::free()?;
        let mut command = stage.on(&stage.cpus.server, interpreter);
        command.arg(stage.tree.root.join("xtask/bench/service.py"));
        command.args([port.to_string(), format!("127.0.0.1:{}", backend.port)]);
        command.args(sink.map(Sink::address));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let mut child = Child::start("the Python service", &mut command)?;
        child::wait_until(&mut child, "the start of the Python service", START_MAX, || {
            ports::is_open(port).then_some(())
        })?;
        Ok(Self { port, child })
    }
}

/// What a load cost and got.
#[derive(Clone, Copy)]
struct Sample {
    /// Processor time by requests, of the service and of the agent that traces it.
    us: f64,
    per_second: f64,
}

/// The three that are compared, one after the other.
#[derive(Clone, Copy)]
struct Round {
    bare: Sample,
    traced: Sample,
    sdk: Sample,
}

struct Theatre<'a> {
    stage: &'a Stage<'a>,
    plain: Service,
    instrumented: Service,
    sink: &'a Sink,
}

impl Theatre<'_> {
    /// Samples in turn (bare, SDK, traced, traced, SDK, bare, ...), so that what drifts meanwhile touches all alike.
    fn rounds(&self, count: usize, rate: Option<f64>) -> Result<Vec<Round>> {
        let bare = || self.sample(&self.plain, None, 0.0, rate);
        let sdk = || self.sample(&self.instrumented, None, SDK_SPANS, rate);
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

    /// An agent that traces the plain service, and nothing else.
    fn agent(&self) -> Result<Agent> {
        let pid = self.plain.child.pid().to_string();
        let arguments = ["--pid", pid.as_str()];
        Agent::start(self.stage, self.sink, &Start { arguments: &arguments, ..Start::on(&self.stage.cpus.load) })
    }

    /// A load, until all that is told of it has arrived: `spans` for each request.
    fn sample(&self, service: &Service, agent: Option<&Agent>, spans: f64, rate: Option<f64>) -> Result<Sample> {
        let spent = || -> Result<Duration> {
            Ok(consumed(service.child.pid())? + agent.map_or(Ok(Duration::ZERO), |agent| consumed(agent.pid()))?)
        };
        let (before, arrived) = (spent()?, self.sink.spans()?);
        let answered = self.stage.load(service.port, SECONDS, rate)?;
        if spans > 0.0 {
            let due = answered.requests * spans;
            let told = self.sink.wait_for(arrived, due)?;
            ensure!(told >= due * TOLD, "{told} of {due} spans arrived");
        }
        let us = (spent()? - before).as_secs_f64() * 1e6 / answered.requests;
        Ok(Sample { us, per_second: answered.per_second })
    }

    /// Runs of programs in the interpreter's functions, for each request.
    fn probe_runs(&self, rate: f64) -> Result<Estimate> {
        let _statistics = statistics(self.stage)?;
        let agent = self.agent()?;
        let probes = || -> Result<f64> {
            let runs: BTreeMap<String, f64> = program_runs(self.stage, agent.pid())?;
            Ok(runs.iter().filter(|(name, _)| name.starts_with("py_")).map(|(_, runs)| runs).sum())
        };
        let before = probes()?;
        let answered = self.stage.load(self.plain.port, SECONDS, Some(rate))?;
        let runs = (probes()? - before) / answered.requests;
        agent.stop()?;
        Ok(Estimate::exact(runs))
    }
}
