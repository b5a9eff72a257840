//! What really happened, as the programs themselves tell it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Which end of an exchange told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The serving end, having read the request.
    In,
    /// The calling end, having read the answer.
    Out,
}

/// One end's word on one exchange.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// Which end.
    pub event: Event,
    /// The exchange. The id of what caused it is this one without its last `.part`; the driver's have none.
    pub id: String,
    /// The process, as it names itself (in a pid namespace that is not the host's number).
    pub pid: u32,
    /// Its end of the connection.
    pub local: String,
    /// The other end.
    pub peer: String,
    /// The exchange was under way from here, nanoseconds since the epoch ...
    pub from_ns: u64,
    /// ... to here.
    pub to_ns: u64,
}

impl Sighting {
    /// The id of the exchange that caused this one.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        cause(&self.id)
    }
}

/// The id of the exchange that caused the one with this id.
#[must_use]
pub fn cause(id: &str) -> Option<&str> {
    id.rsplit_once('.').map(|(cause, _)| cause)
}

/// Reads a log that the workloads wrote; none was written if nothing was sighted.
///
/// # Errors
/// A line is not a sighting.
pub fn read_log(path: &Path) -> Result<Vec<Sighting>> {
    let Ok(content) = fs::read_to_string(path) else {
        return Ok(Vec::new());
    };
    content.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
