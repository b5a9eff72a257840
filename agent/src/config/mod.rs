//! What the agent is told: flags over environment over file over defaults, checked once and then trusted.

mod error;
mod file;
mod patterns;
mod settings;

use std::path::PathBuf;

pub use error::Error;
pub use file::File;
pub use patterns::{Executables, Paths};
pub use settings::{ExporterKind, LogFormat, LogLevel, Settings};

/// Bytes of one data ring, by default: 4 MiB in each of four rings hold a quarter of a second of 50,000 requests a second.
pub const RING_BYTES: u32 = 4 << 20;

/// Bytes a process may put into the rings in 100 ms before its new turns are shed while a ring is half full, by
/// default: a quarter of four rings, so that four such processes fill them and one cannot.
pub const PROCESS_BUDGET_BYTES: u32 = 4 << 20;

/// Everything the agent is told, valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which processes are traced.
    pub targets: Targets,
    /// Requests whose path matches are left out.
    pub exclude_paths: Paths,
    /// Least severe level of the agent's own log.
    pub log_level: LogLevel,
    /// Form of the agent's own log.
    pub log_format: LogFormat,
    /// Where spans go.
    pub exporter: Exporter,
    /// Bounds that operators may move.
    pub limits: Limits,
    /// Runs beside another agent.
    pub second: bool,
}

/// Which processes are traced: those that any of these names, and their children. None at all means every process.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Executables.
    pub executables: Executables,
    /// TCP ports listened on.
    pub ports: Vec<u16>,
    /// Control groups, as paths below the root of any hierarchy, without a slash at the end.
    pub cgroups: Vec<String>,
}

impl Targets {
    /// Whether every process is traced.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.pids.is_empty() && self.executables.is_empty() && self.ports.is_empty() && self.cgroups.is_empty()
    }
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// As OpenTelemetry's variables say: to a collector if they name one, else to standard output.
    Unspecified,
    /// To a collector, as the `OTEL_EXPORTER_OTLP_*` variables say.
    Otlp,
    /// To standard output, as a waterfall.
    Console,
    /// To a file, one OTLP JSON export request a line.
    File(PathBuf),
}

/// Bounds that operators may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one data ring: a power of two.
    pub ring_bytes: u32,
    /// Bytes a process may put into the rings in 100 ms before its new turns are shed while a ring is half full.
    pub process_budget_bytes: u32,
}

impl Config {
    /// Merges and checks. `given` are flags and environment, which each win over what `file` says on the same matter; a
    /// list that is given replaces the file's.
    ///
    /// # Errors
    /// When a value is out of its range, a pattern is none, or an output is missing or has no use; the error names the
    /// key or flag.
    pub fn new(given: Settings, file: Settings) -> Result<Self, Error> {
        let exporter = match exporter(&given)?.or(exporter(&file)?) {
            Some((ExporterKind::Otlp, _)) => Exporter::Otlp,
            Some((ExporterKind::Console, _)) => Exporter::Console,
            Some((ExporterKind::File, output)) => {
                let output = output.or(given.output).or(file.output);
                Exporter::File(output.ok_or(Error::NoOutput)?)
            }
            None => Exporter::Unspecified,
        };
        let ring_bytes = given.ring_bytes.or(file.ring_bytes).unwrap_or(RING_BYTES);
        if !ring_bytes.is_power_of_two() || !(64 << 10..=1 << 30).contains(&ring_bytes) {
            return Err(Error::RingBytes(ring_bytes));
        }
        let process_budget_bytes =
            given.process_budget_bytes.or(file.process_budget_bytes).unwrap_or(PROCESS_BUDGET_BYTES);
        if process_budget_bytes < 64 << 10 {
            return Err(Error::ProcessBudget(process_budget_bytes));
        }
        Ok(Self {
            targets: Targets {
                pids: pids(either(given.pids, file.pids))?,
                executables: Executables::new(&either(given.executables, file.executables))?,
                ports: ports(either(given.ports, file.ports))?,
                cgroups: cgroups(either(given.cgroups, file.cgroups))?,
            },
            exclude_paths: Paths::new(&either(given.exclude_paths, file.exclude_paths))?,
            log_level: given.log_level.or(file.log_level).unwrap_or_default(),
            log_format: given.log_format.or(file.log_format).unwrap_or_default(),
            exporter,
            limits: Limits { ring_bytes, process_budget_bytes },
            second: given.second.or(file.second).unwrap_or(false),
        })
    }
}

fn either<T>(given: Vec<T>, file: Vec<T>) -> Vec<T> {
    if given.is_empty() { file } else { given }
}

/// The exporter one source chose, with its output; an output alone chooses the file exporter.
fn exporter(settings: &Settings) -> Result<Option<(ExporterKind, Option<PathBuf>)>, Error> {
    match (settings.exporter, &settings.output) {
        (Some(ExporterKind::File) | None, Some(output)) => Ok(Some((ExporterKind::File, Some(output.clone())))),
        (Some(kind), Some(_)) => Err(Error::UselessOutput(kind)),
        (Some(kind), None) => Ok(Some((kind, None))),
        (None, None) => Ok(None),
    }
}

fn pids(pids: Vec<u32>) -> Result<Vec<u32>, Error> {
    match pids.iter().find(|&&pid| pid == 0) {
        Some(_) => Err(Error::Pid),
        None => Ok(pids),
    }
}

fn ports(ports: Vec<u16>) -> Result<Vec<u16>, Error> {
    match ports.iter().find(|&&port| port == 0) {
        Some(_) => Err(Error::Port),
        None => Ok(ports),
    }
}

/// Paths as `/proc/PID/cgroup` has them; people copy them from the mounted tree too.
fn cgroups(paths: Vec<String>) -> Result<Vec<String>, Error> {
    paths
        .into_iter()
        .map(|path| {
            let below = path
                .strip_prefix("/sys/fs/cgroup")
                .map_or(path.as_str(), |rest| rest.strip_prefix("/unified").unwrap_or(rest))
                .trim_end_matches('/');
            if below.starts_with('/') { Ok(below.to_owned()) } else { Err(Error::Cgroup(path)) }
        })
        .collect()
}

#[cfg(test)]
mod tests;
