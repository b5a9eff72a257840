//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{ExporterKind, LogFormat, LogLevel, Settings};

/// Rebuilds distributed traces from the kernel, without changing the applications.
#[derive(Debug, Parser)]
#[command(name = "tracemend", version, arg_required_else_help = true, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sudo tracemend run                     trace everything, show it here
  sudo tracemend run -- python3 app.py   start a program and trace it
  sudo tracemend run --port 8080         trace what listens on port 8080
  sudo tracemend doctor                  what works here, and what does not

Spans go to a collector if OTEL_EXPORTER_OTLP_ENDPOINT names one, such as
http://localhost:4317, else to the terminal.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(Box<Run>),
    Record(Box<Record>),
    Replay(Replay),
    /// Says what works on this machine, what does not, and why
    #[command(after_help = "Exit status: 0 everything works, 1 reduced, 2 nothing can be traced")]
    Doctor,
    Show(Show),
    Hold(Hold),
}

/// Traces processes until it is stopped (Ctrl-C), or until COMMAND ends
#[derive(Debug, Default, Args)]
#[command(after_help = RUN_HELP)]
pub(super) struct Run {
    /// Trace this process and its descendants
    #[arg(long = "pid", value_name = "PID", help_heading = WHICH)]
    pub(super) pids: Vec<u32>,

    /// Trace what runs this executable: a name (nginx, 'python3*') or a path (/opt/**/java)
    #[arg(long = "executable", value_name = "GLOB", help_heading = WHICH)]
    pub(super) executables: Vec<String>,

    /// Trace what listens on this TCP port
    #[arg(long = "port", value_name = "PORT", help_heading = WHICH)]
    pub(super) ports: Vec<u16>,

    /// Trace what is in this control group or below it (/system.slice/shop.service)
    #[arg(long = "cgroup", value_name = "PATH", help_heading = WHICH)]
    pub(super) cgroups: Vec<String>,

    /// Leave out requests to this path ('/healthz', '/static/**')
    #[arg(long = "exclude-path", value_name = "GLOB", help_heading = WHICH)]
    pub(super) exclude_paths: Vec<String>,

    /// Where spans go; by default to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, else to the console
    #[arg(long, value_enum, value_name = "KIND", env = "TRACEMEND_EXPORTER", hide_env_values = true, help_heading = WHERE)]
    pub(super) exporter: Option<ExporterKind>,

    /// Append spans to this file, one OTLP JSON export request a line
    #[arg(long, value_name = "FILE", env = "TRACEMEND_OUTPUT", hide_env_values = true, help_heading = WHERE)]
    pub(super) output: Option<PathBuf>,

    /// Read settings from this TOML file; flags and environment win over it
    #[arg(long, value_name = "FILE", env = "TRACEMEND_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,

    /// Least severe messages of the agent's own log, which goes to standard error
    #[arg(long, value_enum, value_name = "LEVEL", env = "TRACEMEND_LOG_LEVEL", hide_env_values = true)]
    pub(super) log_level: Option<LogLevel>,

    /// Form of the agent's own log
    #[arg(long, value_enum, value_name = "FORMAT", env = "TRACEMEND_LOG_FORMAT", hide_env_values = true)]
    pub(super) log_format: Option<LogFormat>,

    /// Say of every span which candidates for its parent there were, and why each was taken or refused
    #[arg(long)]
    pub(super) explain: bool,

    /// Run although another agent runs on this host; both then trace and export the same requests
    #[arg(long)]
    pub(super) second: bool,

    /// Start this program, trace it from its first byte on, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

const WHICH: &str = "Which processes and requests (default: all)";
const WHERE: &str = "Where spans go";

const RUN_HELP: &str = "\
Processes that any of --pid, --executable, --port and --cgroup names are
traced, with their children; each may be given several times. Without any,
every process is.

Examples:
  sudo tracemend run
  sudo tracemend run --executable nginx --executable 'python3*'
  sudo OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 tracemend run
  sudo tracemend run --output spans.jsonl -- node server.js
  tracemend show spans.jsonl

Exit status:
  0  stopped by SIGINT, SIGTERM or SIGHUP, after sending what it had
  1  failed while running
  2  wrong usage or configuration
  3  not permitted, or not possible on this kernel (see tracemend doctor)
  4  another agent is running
With COMMAND: its own status, 128 + signal if a signal ended it, 127 if it is
not found, 126 if it cannot be executed.";

/// Runs, and records everything the spans are made of, for `tracemend replay`
#[derive(Debug, Args)]
#[command(after_help = RECORD_HELP)]
pub(super) struct Record {
    /// The file that is created, for its owner alone
    pub(super) file: PathBuf,

    /// Record bodies, query strings and values of all header fields too; they are masked otherwise
    #[arg(long)]
    pub(super) with_secrets: bool,

    /// End the recording when its file has so many MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(super) max_mib: u64,

    #[command(flatten)]
    pub(super) run: Run,
}

const RECORD_HELP: &str = "\
Examples:
  sudo tracemend record run.tmrec --port 8080
  sudo tracemend record run.tmrec -- python3 app.py
  tracemend replay run.tmrec

Exit status: as of tracemend run; 1 if the recording is not whole";

/// Makes the spans of a recording again, on any machine and without root
#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(super) struct Replay {
    /// A file that `tracemend record` wrote
    pub(super) file: PathBuf,

    /// Write the spans to this file, as OTLP JSON lines, and draw nothing; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Say which candidates for the parent of this span there were, and why each was taken or refused
    #[arg(long, value_name = "SPAN", value_parser = span_id, conflicts_with_all = ["output", "lose_per_million"])]
    pub(super) explain: Option<String>,

    /// Say how long the core alone takes for it, as JSON, and draw nothing
    #[arg(long, hide = true, conflicts_with_all = ["output", "explain"])]
    pub(super) measure: bool,

    /// Lose so many of a million records on the way, to see what becomes of the links
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(super) lose_per_million: u32,

    /// Which ones are lost
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
}

const REPLAY_HELP: &str = "\
Examples:
  tracemend replay run.tmrec | less -R
  tracemend replay run.tmrec --explain 5fb397be34d23b60

Exit status: 0 replayed, 1 not, or not to its end";

/// A span id in hex, or its beginning.
fn span_id(text: &str) -> Result<String, String> {
    let hex = !text.is_empty() && text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { Ok(text.to_owned()) } else { Err("not a span id of up to 16 hexadecimal digits".into()) }
}

/// Draws the traces in a file that `run --output FILE` wrote
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tracemend show spans.jsonl | less -R")]
pub(super) struct Show {
    /// A file of OTLP JSON lines; - for standard input
    pub(super) file: PathBuf,
}

/// Waits, stopped, until the agent is ready, and then becomes COMMAND: how `run` starts one.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Hold {
    #[arg(last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

impl Run {
    /// What flags and environment say.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            pids: self.pids.clone(),
            executables: self.executables.clone(),
            ports: self.ports.clone(),
            cgroups: self.cgroups.clone(),
            exclude_paths: self.exclude_paths.clone(),
            log_level: self.log_level,
            log_format: self.log_format,
            exporter: self.exporter,
            output: self.output.clone(),
            ring_bytes: None,
            process_budget_bytes: None,
            second: self.second.then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(arguments: &[&str]) -> Run {
        let line = ["tracemend", "run"].iter().chain(arguments);
        match CommandLine::try_parse_from(line).expect("valid").command {
            Command::Run(run) => *run,
            other => panic!("not run: {other:?}"),
        }
    }

    fn refused(arguments: &[&str]) -> String {
        let line = ["tracemend"].iter().chain(arguments);
        CommandLine::try_parse_from(line).expect_err("refused").to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_flag_becomes_a_setting() {
        let settings = run(&[
            "--pid",
            "7",
            "--pid",
            "8",
            "--executable",
            "nginx",
            "--port",
            "80",
            "--cgroup",
            "/a",
            "--exclude-path",
            "/healthz",
            "--exporter",
            "file",
            "--output",
            "x",
            "--log-level",
            "debug",
            "--log-format",
            "json",
            "--second",
        ])
        .settings();
        let expected = Settings {
            pids: vec![7, 8],
            executables: vec!["nginx".into()],
            ports: vec![80],
            cgroups: vec!["/a".into()],
            exclude_paths: vec!["/healthz".into()],
            exporter: Some(ExporterKind::File),
            output: Some("x".into()),
            log_level: Some(LogLevel::Debug),
            log_format: Some(LogFormat::Json),
            second: Some(true),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_command_keeps_its_own_flags() {
        let run = run(&["--port", "80", "--", "python3", "app.py", "--port", "8000", "--help"]);
        assert_eq!(run.ports, [80]);
        assert_eq!(run.command, ["python3", "app.py", "--port", "8000", "--help"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(refused(&["run", "--pid", "me"]).contains("--pid"));
        assert!(refused(&["run", "--port", "70000"]).contains("70000"));
        assert!(refused(&["run", "--exporter", "jaeger"]).contains("otlp, console, file"));
        assert!(refused(&["run", "python3"]).contains("python3"));
        assert!(refused(&["walk"]).contains("walk"));
    }
}
