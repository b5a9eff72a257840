//! The agent that is measured: the release build, on stated processors, sending to a sink.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::stage::{Sink, Stage};
use crate::child::{self, Child};
use crate::{interrupt, shell};

/// A start that takes longer is a failure, not a measurement.
const READY_MAX: Duration = Duration::from_secs(30);

/// A running agent.
pub(super) struct Agent {
    child: Child,
    log: Receiver<(Instant, String)>,
    /// From its start until it said that it is ready.
    pub(super) ready: Duration,
}

/// What an agent says at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LastWords {
    /// By reason.
    pub(super) losses: BTreeMap<String, u64>,
    pub(super) spans: u64,
}

/// How an agent is started.
pub(super) struct Start<'a> {
    pub(super) cpus: &'a str,
    /// Where it records what it traces, if it does.
    pub(super) record: Option<&'a Path>,
    /// Further arguments.
    pub(super) arguments: &'a [&'a str],
    /// The `cgroup.procs` of the control group that it is to start in.
    pub(super) group: Option<&'a Path>,
}

impl<'a> Start<'a> {
    /// On these processors, tracing every process.
    pub(super) const fn on(cpus: &'a str) -> Self {
        Self { cpus, record: None, arguments: &[], group: None }
    }
}

impl Agent {
    /// Starts one and waits until it is ready.
    pub(super) fn start(stage: &Stage<'_>, sink: &Sink, start: &Start<'_>) -> Result<Self> {
        let mut command = match start.group {
            // It has to be there before its first page is.
            Some(procs) => {
                let mut shell = child::command("sh");
                shell.args(["-c", "echo $$ > \"$0\" && exec taskset --cpu-list \"$@\""]).arg(procs).arg(start.cpus);
                shell.arg(stage.tree.agent());
                shell
            }
            None => stage.on(start.cpus, stage.tree.agent()),
        };
        match start.record {
            Some(file) => command.arg("record").arg(file),
            None => command.arg("run"),
        };
        // `--second`: another agent of this machine would be measured too, but is no reason not to measure.
        command.args(["--second", "--log-format", "json", "--exporter", "otlp"]).args(start.arguments);
        unset_settings(&mut command);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        let begun = Instant::now();
        let mut child = Child::start("the agent", command.stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let stderr = child.pipes().1.context("asked for")?;
        let (lines, log) = channel();
        // Ends with the agent's output.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if lines.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let mut agent = Self { child, log, ready: Duration::ZERO };
        agent.ready = agent.wait_until_ready(begun)?;
        Ok(agent)
    }

    fn wait_until_ready(&mut self, begun: Instant) -> Result<Duration> {
        let mut said = Vec::new();
        while begun.elapsed() < READY_MAX {
            match self.log.recv_timeout(interrupt::LOOK_EVERY) {
                Ok((when, line)) if message(&line).as_deref() == Some("ready") => return Ok(when - begun),
                Ok((_, line)) => said.push(line),
                Err(RecvTimeoutError::Timeout) => interrupt::check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the agent ended before it was ready: {}", said.join(" | "))
                }
            }
        }
        bail!("the agent was not ready within {} s: {}", READY_MAX.as_secs(), said.join(" | "))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it as an init system would.
    pub(super) fn stop(mut self) -> Result<LastWords> {
        let status = self.child.stop()?;
        let said: Vec<_> = self.log.iter().map(|(_, line)| line).collect();
        ensure!(status.success(), "the agent ended with {status} when asked to stop: {}", said.join(" | "));
        let words = said.iter().rev().find_map(|line| LastWords::parse(line));
        words.context("the agent did not say what it lost")
    }
}

impl LastWords {
    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let losses = serde_json::from_str(line["losses"].as_str()?).ok()?;
        Some(Self { losses, spans: line["spans"].as_u64()? })
    }
}

/// Runs `sample` bare and traced in turn (bare, traced, traced, bare, bare, ...), so that what drifts meanwhile touches
/// both alike. Gives the pairs, bare first.
pub(super) fn pairs<T>(
    count: usize,
    start: impl Fn() -> Result<Agent>,
    mut sample: impl FnMut() -> Result<T>,
) -> Result<Vec<(T, T)>> {
    let mut pairs = Vec::with_capacity(count);
    while pairs.len() < count {
        interrupt::check()?;
        let before = sample()?;
        let agent = start()?;
        let traced = [sample()?, sample()?];
        agent.stop()?;
        let [first, second] = traced;
        pairs.push((before, first));
        pairs.push((sample()?, second));
    }
    Ok(pairs)
}

/// What the environment says to other agents is not meant for this one.
fn unset_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("OTEL_") || text.starts_with("TRACEMEND_") {
            command.env_remove(&name);
        }
    }
}

fn message(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(line["message"].as_str()?.to_owned())
}

/// What each BPF program that process `pid` holds has run so far: nanoseconds.
pub(super) fn program_times(stage: &Stage<'_>, pid: u32) -> Result<BTreeMap<String, f64>> {
    parse_programs(&programs(stage, pid)?, "ns")
}

/// How often each of them ran so far.
pub(super) fn program_runs(stage: &Stage<'_>, pid: u32) -> Result<BTreeMap<String, f64>> {
    parse_programs(&programs(stage, pid)?, "runs")
}

fn programs(stage: &Stage<'_>, pid: u32) -> Result<String> {
    shell::output(Command::new(stage.program("meter")).args(["read", &pid.to_string()]))
}

fn parse_programs(text: &str, number: &str) -> Result<BTreeMap<String, f64>> {
    let programs: BTreeMap<String, Value> = serde_json::from_str(text).context("the meter's answer is not JSON")?;
    ensure!(!programs.is_empty(), "the agent holds no BPF programs");
    let of = |value: &Value| value[number].as_f64().with_context(|| format!("a program without {number}"));
    programs.iter().map(|(name, value)| Ok((name.clone(), of(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_and_last_words_are_read_from_the_log() {
        assert_eq!(message(r#"{"level":"INFO","message":"ready","targets":"x"}"#).as_deref(), Some("ready"));
        assert_eq!(message("tracemend: ready"), None);
        let line = r#"{"message":"stats","spans":7,"losses":"{\"shed\":3}"}"#;
        let words = LastWords { losses: BTreeMap::from([("shed".to_owned(), 3)]), spans: 7 };
        assert_eq!(LastWords::parse(line), Some(words));
        assert_eq!(LastWords::parse(r#"{"message":"ready","spans":"terminal"}"#), None);
    }

    #[test]
    fn times_and_runs_of_programs_are_read_and_none_is_an_error() {
        let read = |number| parse_programs(r#"{"a":{"ns":12,"runs":3}}"#, number).expect("valid");
        assert_eq!(read("ns"), BTreeMap::from([("a".to_owned(), 12.0)]));
        assert_eq!(read("runs"), BTreeMap::from([("a".to_owned(), 3.0)]));
        assert!(parse_programs("{}", "ns").is_err());
    }
}
