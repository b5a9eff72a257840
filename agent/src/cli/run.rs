//! `tracemend run`.

use std::fmt;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};

use anyhow::anyhow;
use tracemend_core::ids::Tgid;

use super::args::{Record, Run};
use super::command::{self, Running};
use super::obstacles::{Obstacle, obstacles, shortcomings};
use super::signals::{self, Phase, SharedPhase};
use super::{ANOTHER, FAILED, NOT_PERMITTED, USAGE, log, variable};
use crate::attach::State;
use crate::config::{self, Config, Exporter, LogFormat};
use crate::export::otlp::{self, Signal};
use crate::export::{Console, Destination, EnvError, Sampler};
use crate::heap;
use crate::host::{Host, Instance, Kernel, Refused};
use crate::pipeline::{self, Options, Ready};
use crate::recording;
use crate::shutdown::Shutdown;

/// Why the agent does not run, or ended badly.
#[derive(Debug)]
enum Failure {
    /// What it was told makes no sense.
    Usage(anyhow::Error),
    /// It may not, or cannot, run here.
    NotPermitted(Vec<Obstacle>),
    /// Another agent runs.
    Another(Refused),
    /// It failed while running.
    Failed(anyhow::Error),
}

/// Traces until it is told to stop, or the command ends.
pub(super) fn run(arguments: &Run, record: Option<&Record>) -> ExitCode {
    heap::share();
    let config = match load(arguments) {
        Ok(config) => config,
        Err(error) => return usage(error).report(LogFormat::Text),
    };
    log::start(config.log_level, config.log_format);
    let format = config.log_format;
    trace(arguments, record, config).unwrap_or_else(|failure| failure.report(format))
}

fn trace(arguments: &Run, record: Option<&Record>, mut config: Config) -> Result<ExitCode, Failure> {
    let destination = destination(&config.exporter).map_err(usage)?;
    let sampler = Sampler::from_env(&variable).map_err(usage)?;
    let kernel = Kernel::read();
    let found = obstacles(&kernel);
    if !found.is_empty() {
        return Err(Failure::NotPermitted(found));
    }
    for short in shortcomings(&kernel) {
        tracing::warn!(remedy = short.remedy, "{}", short.what);
    }
    let _instance = claim(config.second)?;
    let host = Host::new().map_err(|error| Failure::Failed(error.into()))?;
    if let Some(pid) = config.targets.pids.iter().find(|&&pid| !host.exists(Tgid(pid))) {
        return Err(usage(anyhow!("--pid: there is no process {pid}")));
    }

    let shutdown = Shutdown::new();
    let phase = SharedPhase::default();
    signals::listen(shutdown.clone(), Arc::clone(&phase)).map_err(|error| Failure::Failed(error.into()))?;
    signals::guard(shutdown.clone());
    let mut held = match arguments.command.is_empty() {
        true => None,
        false => Some(command::start(&arguments.command).map_err(Failure::Failed)?),
    };
    config.targets.pids.extend(held.as_ref().map(|held| held.tgid().0));

    let format = config.log_format;
    let everything = config.targets.is_everything();
    let record = record.map(|record| pipeline::Record {
        path: record.file.clone(),
        options: recording::Options {
            with_secrets: record.with_secrets,
            bytes_max: record.max_mib.saturating_mul(1 << 20),
        },
    });
    let options = Options { config, destination, sampler, host, record, explain: arguments.explain };
    let outcome = pipeline::run(options, &shutdown, |ready| {
        let mut phase = phase.lock().unwrap_or_else(PoisonError::into_inner);
        announce(ready, everything, format);
        *phase = Phase::Tracing(held.take().and_then(|held| release(held, &shutdown)));
    });
    // A command that was never let run ends with the agent.
    drop(held);
    outcome.map_err(Failure::Failed)?;
    let status = match &*phase.lock().unwrap_or_else(PoisonError::into_inner) {
        Phase::Tracing(Some(running)) => running.exit_code(),
        Phase::Tracing(None) | Phase::Starting => None,
    };
    Ok(status.unwrap_or(ExitCode::SUCCESS))
}

fn load(arguments: &Run) -> Result<Config, config::Error> {
    let file = match &arguments.config {
        Some(path) => config::File::read(path)?,
        None => config::Settings::default(),
    };
    Config::new(arguments.settings(), file)
}

fn destination(exporter: &Exporter) -> Result<Destination, EnvError> {
    match exporter {
        Exporter::Unspecified => Destination::from_env(&variable),
        Exporter::Otlp => {
            let config = otlp::Config::from_env(Signal::Traces, &variable)?;
            Ok(Destination::Otlp(Box::new(config)))
        }
        Exporter::Console => Ok(Destination::Console(Console::stdout(&variable))),
        Exporter::File(path) => Ok(Destination::File(path.clone())),
    }
}

/// The one agent of this host. A holder that is no agent, or a system without such locks, keeps nobody from running.
fn claim(second: bool) -> Result<Option<Instance>, Failure> {
    match Instance::claim() {
        Ok(instance) => Ok(Some(instance)),
        Err(Refused::Held(holder)) if second => {
            tracing::warn!(pid = holder.pid, "running beside another agent");
            Ok(None)
        }
        Err(Refused::Held(holder)) if !holder.privileged => {
            tracing::warn!(pid = holder.pid, "a process that is no agent holds the lock of agents");
            Ok(None)
        }
        Err(held @ Refused::Held(_)) => Err(Failure::Another(held)),
        Err(Refused::Unusable(error)) => {
            tracing::warn!(%error, "cannot tell whether another agent is running");
            Ok(None)
        }
    }
}

fn announce(ready: &Ready, everything: bool, format: LogFormat) {
    for hook in ready.hooks.iter().filter(|hook| hook.state == State::Off) {
        tracing::warn!(hook = hook.name, purpose = hook.purpose, why = hook.why, "hook is off");
    }
    let targets = if everything { "every process" } else { "the targets" };
    tracing::info!(targets, spans = ready.destination, "ready");
    if format == LogFormat::Text {
        // Said at every log level: people and scripts wait for it.
        eprintln!("tracemend: ready, tracing {targets}, spans go to {}", ready.destination);
    }
}

fn release(held: command::Held, shutdown: &Shutdown) -> Option<Running> {
    let released = held.release(shutdown.clone());
    if let Err(error) = &released {
        tracing::error!(error = format!("{error:#}"), "cannot let the command run");
        shutdown.request();
    }
    released.ok()
}

fn usage(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Usage(error.into())
}

impl Failure {
    /// Says it in the form of the log, and gives the exit status for it.
    fn report(&self, format: LogFormat) -> ExitCode {
        match format {
            LogFormat::Text => eprint!("{self}"),
            LogFormat::Json => tracing::error!(reason = %self, "cannot run"),
        }
        self.exit_code()
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => USAGE,
            Self::NotPermitted(_) => NOT_PERMITTED,
            Self::Another(_) => ANOTHER,
            Self::Failed(_) => FAILED,
        })
    }
}

impl fmt::Display for Failure {
    /// Whole lines, for standard error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) | Self::Failed(error) => writeln!(f, "tracemend: {error:#}"),
            Self::Another(refused) => {
                writeln!(f, "tracemend: {refused}")?;
                writeln!(f, "  two would report every request twice; --second runs this one all the same")
            }
            Self::NotPermitted(obstacles) => {
                writeln!(f, "tracemend: cannot trace here")?;
                for Obstacle { what, remedy } in obstacles {
                    writeln!(f, "  {what}")?;
                    writeln!(f, "    -> {remedy}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Holder;

    #[test]
    fn every_failure_has_its_status_and_says_what_to_do() {
        let held = Refused::Held(Holder { pid: Some(4711), privileged: true });
        let another = Failure::Another(held);
        let text = another.to_string();
        assert!(text.contains("another agent is running (pid 4711)") && text.contains("--second"), "{text}");
        assert_eq!(another.exit_code(), ExitCode::from(4));

        let obstacle = Obstacle { what: "missing CAP_BPF".into(), remedy: "run as root" };
        let denied = Failure::NotPermitted(vec![obstacle]);
        let text = denied.to_string();
        assert!(text.contains("missing CAP_BPF\n    -> run as root"), "{text}");
        assert_eq!(denied.exit_code(), ExitCode::from(3));
    }

    #[test]
    fn a_configuration_file_is_merged_under_the_flags() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, "[targets]\nports = [80]\n[export]\noutput = \"spans\"\n").expect("written");
        let arguments = Run { config: Some(path.clone()), ports: vec![8080], ..Run::default() };
        let config = load(&arguments).expect("valid");
        assert_eq!(config.targets.ports, [8080]);
        assert_eq!(config.exporter, Exporter::File("spans".into()));

        std::fs::write(&path, "[targets]\nport = 80\n").expect("written");
        let text = usage(load(&arguments).expect_err("refused")).to_string();
        assert!(text.contains("agent.toml") && text.contains("line 2") && text.contains("`port`"), "{text}");
    }
}
