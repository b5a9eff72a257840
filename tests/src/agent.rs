//! The agent under test, through its command line alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::otlp::{self, Span};
use crate::permission::{AGENT_VARIABLE, INITIAL_PID_NAMESPACE_INODE};
use crate::process::Process;
use crate::scene::Scene;
use crate::wait;

/// The agent promises to be ready in this time.
pub const READY_PROMISE: Duration = Duration::from_secs(5);
/// The agent promises to flush and end in this time.
pub const STOP_PROMISE: Duration = Duration::from_secs(10);
/// What tests allow for either that are not about these promises: the kernel takes more than a second of a processor to
/// check the programs, and the machine may be busy with other things.
pub const LIMIT: Duration = Duration::from_secs(60);
/// A line with this word on its error output says that it is ready.
const READY: &str = "ready";

/// An agent that is not started yet. It takes no notice of other agents, so that tests can be run beside one: what it is to
/// trace has to be named.
#[derive(Debug)]
pub struct Builder {
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    output: PathBuf,
    recording: Option<PathBuf>,
    second: bool,
}

impl Builder {
    /// `tracemend run`, writing spans to a file of the scene, with a log that can be read by programs.
    #[must_use]
    pub fn new(scene: &Scene) -> Self {
        Self::named(scene, "spans")
    }

    /// The same, writing to the file of this name.
    #[must_use]
    pub fn named(scene: &Scene, name: &str) -> Self {
        let output = scene.path(&format!("{name}.jsonl"));
        Self::run(output.clone()).argument("--exporter").argument("file").argument("--output").argument(output)
    }

    /// `tracemend run` as it is without a word on where spans go: it draws them.
    #[must_use]
    pub fn drawing() -> Self {
        Self::run(PathBuf::new())
    }

    /// `tracemend run`, exporting over OTLP to `endpoint`.
    #[must_use]
    pub fn exporting(endpoint: &str, protocol: &str) -> Self {
        Self::run(PathBuf::new())
            .variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    }

    fn run(output: PathBuf) -> Self {
        let arguments = ["--log-format", "json"].map(Into::into).to_vec();
        Self { arguments, variables: Vec::new(), output, recording: None, second: true }
    }

    /// Has it insist on being the only agent of the host, as it does by default.
    #[must_use]
    pub fn only(self) -> Self {
        Self { second: false, ..self }
    }

    /// Has it record everything its spans are made of to a file that is not there yet.
    #[must_use]
    pub fn recording(self, path: &Path) -> Self {
        Self { recording: Some(path.to_owned()), ..self }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Traces a process.
    #[must_use]
    pub fn pid(self, pid: u32) -> Self {
        self.argument("--pid").argument(pid.to_string())
    }

    /// Traces a program with all that it has forked so far.
    #[must_use]
    pub fn tree(self, process: &Process) -> Self {
        process.tree().into_iter().fold(self, Self::pid)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, ends, or is never ready.
    pub fn start(&self) -> Result<Agent> {
        let mut agent = self.start_unready()?;
        agent.process.says(READY, LIMIT)?;
        Ok(agent)
    }

    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_unready(&self) -> Result<Agent> {
        let program = env::var_os(AGENT_VARIABLE).context(AGENT_VARIABLE)?;
        let mut command = Command::new(program);
        match &self.recording {
            Some(path) => command.arg("record").arg(path),
            None => command.arg("run"),
        };
        command.args(self.second.then_some("--second")).args(&self.arguments);
        // What the caller's environment says about exporting is not meant for agents under test.
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"OTEL_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(Agent { process: Process::start("agent", &mut command)?, output: self.output.clone() })
    }
}

/// A running agent. Dropped, it is ended.
#[derive(Debug)]
pub struct Agent {
    /// Its process.
    pub process: Process,
    output: PathBuf,
}

/// What an agent left.
#[derive(Debug)]
pub struct Stopped {
    /// Every span it wrote.
    pub spans: Vec<Span>,
    /// What it lost, by reason, as it says at its end.
    pub losses: BTreeMap<String, u64>,
    /// What else it counted, by name.
    pub counts: BTreeMap<String, u64>,
    /// Its log.
    pub log: Vec<String>,
}

impl Agent {
    /// The spans written so far.
    ///
    /// # Errors
    /// What it wrote is not OTLP JSON lines.
    pub fn spans(&self) -> Result<Vec<Span>> {
        otlp::read_file(&self.output)
    }

    /// Waits until the spans written are `enough`.
    ///
    /// # Errors
    /// They are not within `limit`, it ended, or what it wrote is not OTLP JSON lines.
    pub fn wait_for(&mut self, limit: Duration, enough: impl Fn(&[Span]) -> bool) -> Result<Vec<Span>> {
        wait::until("the agent writes the spans", limit, || {
            self.process.check()?;
            Ok(Some(self.spans()?).filter(|spans| enough(spans)))
        })
    }

    /// Asks it to end; it must flush, and end well.
    ///
    /// # Errors
    /// It does not, or says nothing about its losses.
    pub fn stop(mut self) -> Result<Stopped> {
        let start = Instant::now();
        let status = self.process.terminate(LIMIT)?;
        ensure!(status.success(), "the agent ended with {status} after {:?}", start.elapsed());
        let log = self.process.lines();
        let (losses, counts) = log.iter().rev().find_map(|line| last_words(line)).context("the agent's last words")?;
        Ok(Stopped { spans: self.spans()?, losses, counts, log })
    }
}

impl Stopped {
    /// How much was lost, for whatever reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.values().sum()
    }

    /// How much was lost for this reason.
    #[must_use]
    pub fn lost_by(&self, reason: &str) -> u64 {
        self.losses.get(reason).copied().unwrap_or_default()
    }
}

/// The process that is the one agent of this host, as it holds the lock on the initial pid namespace that agents take
/// (proc_locks(5)).
///
/// # Errors
/// The kernel's list of locks cannot be read.
pub fn lock_holder() -> Result<Option<u32>> {
    let inode = format!(":{INITIAL_PID_NAMESPACE_INODE}");
    let locks = fs::read_to_string("/proc/locks")?;
    let of_agents =
        |line: &&str| line.contains(" FLOCK ") && line.split_whitespace().any(|word| word.ends_with(&inode));
    locks.lines().find(of_agents).map_or(Ok(None), |line| {
        Ok(Some(line.split_whitespace().nth(4).context("a process id")?.parse().with_context(|| line.to_owned())?))
    })
}

/// Losses, which are an object's text, and the numbers beside them in a line of the agent's log.
fn last_words(line: &str) -> Option<(BTreeMap<String, u64>, BTreeMap<String, u64>)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.as_object()?;
    let losses = serde_json::from_str(fields.get("losses")?.as_str()?).ok()?;
    let counts = fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect();
    Some((losses, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_losses_and_counts() {
        let line = r#"{"level":"INFO","message":"stats","spans":7,"losses":"{\"ring_full\":3}"}"#;
        let (losses, counts) = last_words(line).expect("last words");
        assert_eq!(losses, BTreeMap::from([("ring_full".to_owned(), 3)]));
        assert_eq!(counts, BTreeMap::from([("spans".to_owned(), 7)]));
        assert_eq!(last_words("stats losses={}"), None);
        assert_eq!(last_words(r#"{"message":"ready"}"#), None);
    }
}
