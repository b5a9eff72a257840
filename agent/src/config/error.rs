//! What can be wrong with a configuration.

use std::path::PathBuf;

use super::settings::ExporterKind;

/// What is wrong, in words that name the key and the flag.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not as it must be.
    #[error("configuration file {} is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A pattern is none.
    #[error("{key}: `{pattern}` is not a pattern")]
    Pattern {
        /// The key in the file, and the flag.
        key: &'static str,
        /// The pattern.
        pattern: String,
        /// Why.
        source: globset::Error,
    },
    /// A pattern that matches nothing.
    #[error("{0}: an empty pattern")]
    EmptyPattern(&'static str),
    /// Process id 0.
    #[error("targets.pids (--pid): 0 is not a process")]
    Pid,
    /// Port 0.
    #[error("targets.ports (--port): 0 is not a port that can be listened on")]
    Port,
    /// A control group that is no path, or the root.
    #[error("targets.cgroups (--cgroup): `{0}` is not the path of a group, such as /system.slice/shop.service")]
    Cgroup(String),
    /// The file exporter without a file.
    #[error("export.output (--output): the file exporter needs the file to write to")]
    NoOutput,
    /// An output beside an exporter that writes none.
    #[error("export.output (--output): only the file exporter writes a file, and the exporter is `{}`", .0.name())]
    UselessOutput(ExporterKind),
    /// A ring size the kernel would refuse, or no machine has.
    #[error("limits.ring_bytes: {0} is not a power of two from 65536 to 1073741824")]
    RingBytes(u32),
    /// A budget smaller than a few records.
    #[error("limits.process_budget_bytes: {0} is less than 65536")]
    ProcessBudget(u32),
}
