//! The agent under the demo: the release build, started as a user would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child::{self, Child};
use crate::scratch::Scratch;
use crate::tree::Tree;

/// The agent promises to be ready within 5 s; this machine may be building something beside it.
const READY_MAX: Duration = Duration::from_secs(15);

/// Its log, in the demo's folder.
pub(super) const LOG: &str = "agent.log";

/// Where the agent sends spans.
pub(super) enum Export<'a> {
    /// To a file of OTLP JSON lines.
    File(&'a Path),
    /// To the OTLP receiver at this base URL, as http/protobuf. If it is the demo's own, nothing of the environment's
    /// exporter settings is meant for it.
    Otlp { endpoint: &'a str, is_ours: bool },
}

/// The running agent.
pub(super) struct Agent {
    child: Child,
}

impl Agent {
    /// Starts it on everything that serves or calls, and waits until it says that it is ready. With `record` it records
    /// these processes to this file, and traces nothing else.
    pub(super) fn start(
        tree: &Tree,
        export: &Export<'_>,
        record: Option<(&Path, impl Iterator<Item = u32>)>,
        scratch: &Scratch,
    ) -> Result<Self> {
        let path = scratch.path().join(LOG);
        let log = fs::File::create(&path).context("cannot create the agent's log")?;
        let mut command = child::command(tree.agent());
        // `--second`: an agent that watches this machine already is no reason against a demo.
        match record {
            None => command.arg("run"),
            Some((path, pids)) => {
                command.arg("record").arg(path).args(pids.flat_map(|pid| ["--pid".to_owned(), pid.to_string()]))
            }
        };
        command.arg("--second").stdout(Stdio::from(log.try_clone()?)).stderr(log);
        // The name is the demo's own, its trace is to be kept, and flags alone say what this agent does.
        for name in ["OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"] {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRACEMEND_")) {
            command.env_remove(name);
        }
        export.apply(&mut command);
        let mut child = Child::start("the agent", &mut command)?;
        let is_ready = || fs::read_to_string(&path).is_ok_and(|text| says_ready(&text)).then_some(());
        child::wait_until(&mut child, "the agent's \"ready\"", READY_MAX, is_ready)?;
        Ok(Self { child })
    }

    /// An error if it has ended.
    pub(super) fn check_running(&mut self) -> Result<()> {
        self.child.check_running()
    }

    /// Ends it as an init system would, which must make it flush and exit with 0.
    pub(super) fn stop(mut self) -> Result<()> {
        let status = self.child.stop()?;
        ensure!(status.success(), "the agent ended with {status} when asked to stop");
        Ok(())
    }
}

impl Export<'_> {
    fn apply(&self, command: &mut Command) {
        match self {
            Self::File(path) => {
                command.args(["--exporter", "file", "--output"]).arg(path);
            }
            Self::Otlp { endpoint, is_ours } => {
                if *is_ours {
                    for (name, _) in
                        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_EXPORTER_"))
                    {
                        command.env_remove(name);
                    }
                }
                command.args(["--exporter", "otlp"]);
                command
                    .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                    .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
            }
        }
    }
}

/// Asks the agent what this kernel offers: none if it can work, else what it says is missing.
pub(super) fn unusable(agent: &PathBuf) -> Result<Option<String>> {
    let output =
        Command::new(agent).arg("doctor").output().with_context(|| format!("cannot start {}", agent.display()))?;
    // 0 full, 1 reduced, 2 unusable.
    Ok((output.status.code() == Some(2))
        .then(|| format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))))
}

/// A line with the word; "already" is another one.
fn says_ready(log: &str) -> bool {
    log.lines().any(|line| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "ready"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_word() {
        assert!(says_ready("2026-01-01 INFO tracemend: ready programs=9\n"));
        assert!(says_ready("{\"message\":\"ready\"}"));
        assert!(!says_ready("already running\nunready\n"));
    }

    #[test]
    fn a_jaeger_of_ours_gets_none_of_the_environments_exporter_settings() {
        let mut command = Command::new("x");
        Export::Otlp { endpoint: "http://127.0.0.1:1", is_ours: true }.apply(&mut command);
        let set = |name: &str| command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        assert_eq!(set("OTEL_EXPORTER_OTLP_ENDPOINT"), Some("http://127.0.0.1:1".as_ref()));
        assert_eq!(set("OTEL_EXPORTER_OTLP_PROTOCOL"), Some("http/protobuf".as_ref()));
    }
}
