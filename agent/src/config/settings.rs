//! What one source (flags and environment, or the file) says: every value optional.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;

/// What one source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Process ids to trace.
    pub pids: Vec<u32>,
    /// Patterns of executables to trace.
    pub executables: Vec<String>,
    /// Listening ports to trace.
    pub ports: Vec<u16>,
    /// Control groups to trace.
    pub cgroups: Vec<String>,
    /// Patterns of paths to leave out.
    pub exclude_paths: Vec<String>,
    /// Least severe level logged.
    pub log_level: Option<LogLevel>,
    /// Form of the log.
    pub log_format: Option<LogFormat>,
    /// Where spans go.
    pub exporter: Option<ExporterKind>,
    /// The file they go to.
    pub output: Option<PathBuf>,
    /// Bytes of one data ring.
    pub ring_bytes: Option<u32>,
    /// Bytes a process may put into the rings in 100 ms.
    pub process_budget_bytes: Option<u32>,
    /// Runs beside another agent.
    pub second: Option<bool>,
}

/// Least severe level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ends the agent or loses data.
    Error,
    /// What is switched off or degraded.
    Warn,
    /// What the agent does: a few lines.
    #[default]
    Info,
    /// Every decision about a process or a connection.
    Debug,
    /// Every record.
    Trace,
}

/// Form of the log, which goes to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ExporterKind {
    /// A collector, as the `OTEL_EXPORTER_OTLP_*` variables say.
    Otlp,
    /// A waterfall on standard output.
    Console,
    /// A file of OTLP JSON lines.
    File,
}

impl ExporterKind {
    /// The word for it on command lines and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Console => "console",
            Self::File => "file",
        }
    }
}
