//! What a measurement runs on and with: the processors, and the programs that are started on them.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::Value;

use crate::child::{self, Child};
use crate::scratch::Scratch;
use crate::tree::Tree;
use crate::{http, interrupt, ports, shell};

/// Programs of ours start within this.
pub(super) const START_MAX: Duration = Duration::from_secs(15);
/// Connections of a load, unless it is about their number.
pub(super) const CONNECTIONS: usize = 64;
/// nginx takes so many.
const CONNECTIONS_MAX: usize = 12_000;

/// Where programs run. Two processors, however many there are, so that numbers of different machines compare.
#[derive(Clone, Debug)]
pub(super) struct Cpus {
    /// The server's.
    pub(super) server: String,
    /// What drives it, and all that is beside it.
    pub(super) load: String,
    /// Both.
    pub(super) both: String,
}

/// The stage.
pub(super) struct Stage<'a> {
    pub(super) tree: &'a Tree,
    pub(super) scratch: &'a Scratch,
    pub(super) cpus: Cpus,
}

impl Cpus {
    /// The first two of those this process may use; the same one twice if there is no other.
    pub(super) fn find() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read the processors this process may use")?;
        Self::choose((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)))
    }

    fn choose(mut allowed: impl Iterator<Item = usize>) -> Result<Self> {
        let server = allowed.next().context("no processor")?;
        let load = allowed.next().unwrap_or(server);
        Ok(Self { server: server.to_string(), load: load.to_string(), both: format!("{server},{load}") })
    }
}

impl Stage<'_> {
    /// A command that runs on these processors only.
    pub(super) fn on(&self, cpus: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = child::command("taskset");
        command.args(["--cpu-list", cpus]).arg(program);
        command
    }

    /// A program of the package of tests.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.tree.target.join("release").join(name)
    }

    /// Drives a server on `port` from the load's processor: at `rate` requests a second, or as fast as it answers.
    pub(super) fn load(&self, port: u16, seconds: f64, rate: Option<f64>) -> Result<Answered> {
        let mut command = self.load_command(port, CONNECTIONS, seconds, rate);
        Answered::parse(&shell::output(&mut command)?)
    }

    /// The command that [`Self::load`] runs, with another number of connections.
    pub(super) fn load_command(&self, port: u16, connections: usize, seconds: f64, rate: Option<f64>) -> Command {
        let mut command = self.on(&self.cpus.load, self.program("load"));
        command.args([port.to_string(), connections.to_string(), seconds.to_string()]);
        command.args(rate.map(|rate| rate.to_string()));
        command
    }
}

/// What a load got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    /// The share of what was due that was sent.
    pub(super) kept: f64,
}

impl Answered {
    /// What a load says that was started with its output in a pipe, once it has ended.
    pub(super) fn of(mut load: Child) -> Result<Self> {
        let mut line = String::new();
        load.pipes().0.context("asked for")?.read_to_string(&mut line)?;
        ensure!(load.wait()?.success(), "the load failed");
        Self::parse(&line)
    }

    /// # Errors
    /// It is not what a load prints, nothing was answered, or a request failed: then there is no measurement.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line.trim()).with_context(|| format!("the load said {line:?}"))?;
        let number = |name: &str| line[name].as_f64().with_context(|| format!("the load said nothing of {name}"));
        let (requests, failed, late, seconds) =
            (number("requests")?, number("failed")?, number("late")?, number("seconds")?);
        ensure!(failed == 0.0, "{failed} requests failed");
        ensure!(requests > 0.0 && seconds > 0.0, "no request was answered");
        Ok(Self { requests, per_second: requests / seconds, kept: requests / (requests + late) })
    }
}

/// An nginx with one worker.
pub(super) struct Server {
    pub(super) port: u16,
    /// The process that serves.
    pub(super) worker: u32,
    _child: Child,
}

impl Server {
    /// On these processors.
    pub(super) fn start(stage: &Stage<'_>, cpus: &str) -> Result<Self> {
        let [port] = ports::free()?;
        let template = stage.tree.root.join("xtask/bench/nginx.conf");
        let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        let dir = stage.scratch.path();
        let text = text
            .replace("DIR", &dir.display().to_string())
            .replace("WORKER_CONNECTIONS", &CONNECTIONS_MAX.to_string())
            .replace("DESCRIPTORS", &(CONNECTIONS_MAX + 1_000).to_string())
            .replace("PORT", &port.to_string())
            .replace("ANSWER", &"x".repeat(1024));
        let config = dir.join("nginx.conf");
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = stage.on(cpus, "/usr/sbin/nginx");
        command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(config);
        let mut child = Child::start("nginx", &mut command)?;
        let master = child.pid();
        let worker = child::wait_until(&mut child, "the start of nginx", START_MAX, || {
            let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
            let worker = children.split_whitespace().next()?.parse().ok()?;
            ports::is_open(port).then_some(worker)
        })?;
        Ok(Self { port, worker, _child: child })
    }

    /// Requests a second that it can answer, bare.
    pub(super) fn saturation(&self, stage: &Stage<'_>) -> Result<f64> {
        // The first load warms it up.
        stage.load(self.port, 0.5, None)?;
        Ok(stage.load(self.port, 2.0, None)?.per_second)
    }
}

/// A collector that only counts.
pub(super) struct Sink {
    port: u16,
    _child: Child,
}

impl Sink {
    pub(super) fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut command = stage.on(&stage.cpus.load, stage.program("sink"));
        let mut child = Child::start("the sink", command.arg("0").stdout(Stdio::piped()))?;
        let mut line = String::new();
        let stdout = child.pipes().0.context("asked for")?;
        BufReader::new(stdout).read_line(&mut line).context("the sink says nothing")?;
        let port = line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok());
        Ok(Self { port: port.with_context(|| format!("the sink said {line:?}"))?, _child: child })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Spans that it was sent so far.
    pub(super) fn spans(&self) -> Result<f64> {
        let answer = http::get(&self.endpoint(), &[])?;
        let counts: Value = serde_json::from_str(&answer.body).context("the sink's answer is not JSON")?;
        counts["spans"].as_f64().context("the sink does not say how many spans")
    }

    /// Waits until it was sent that many more than `before`, or no more come.
    pub(super) fn wait_for(&self, before: f64, more: f64) -> Result<f64> {
        /// Spans leave an agent within 2 s of the end of what they tell, and an SDK within 5 (its schedule's delay).
        const STILL: Duration = Duration::from_secs(7);
        let mut latest = 0.0;
        loop {
            let arrived = interrupt::wait_for(STILL, || {
                let arrived = self.spans()? - before;
                Ok((arrived >= more || arrived > latest).then_some(arrived))
            })?;
            match arrived {
                Some(arrived) if arrived < more => latest = arrived,
                Some(arrived) => return Ok(arrived),
                None if latest == 0.0 => bail!("no span arrived at the sink"),
                None => return Ok(latest),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_processors_are_used_or_one_twice() {
        let cpus = Cpus::choose([2, 5, 7].into_iter()).expect("processors");
        assert_eq!((cpus.server.as_str(), cpus.load.as_str(), cpus.both.as_str()), ("2", "5", "2,5"));
        assert_eq!(Cpus::choose([3].into_iter()).expect("a processor").both, "3,3");
        Cpus::find().expect("this process runs somewhere");
    }

    #[test]
    fn a_load_that_failed_is_no_measurement() {
        let line = |failed: u32| format!("{{\"failed\":{failed},\"late\":10,\"requests\":90,\"seconds\":2.0}}\n");
        let answered = Answered::parse(&line(0)).expect("whole");
        assert_eq!(answered, Answered { requests: 90.0, per_second: 45.0, kept: 0.9 });
        assert!(Answered::parse(&line(3)).is_err_and(|error| error.to_string() == "3 requests failed"));
        assert!(Answered::parse("load: cannot connect").is_err());
    }
}
