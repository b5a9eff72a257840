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
    /// The exchange; what caused it is named in it, see [`causes`].
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

/// Stands where ids of causes would, if nothing caused the exchange: a timer's call, say.
pub const NOTHING: &str = "-";

/// The ids of the exchanges that caused the one with this id; none at all for what the driver sent.
///
/// An id is `CAUSE.PART`, `CAUSE+CAUSE+CAUSE.PART` for a call made for several requests at once, and `-.PART` for one made
/// for none. The driver's have no `.`.
#[must_use]
pub fn causes(id: &str) -> Option<Vec<&str>> {
    let causes = cause(id)?;
    Some(if causes == NOTHING { Vec::new() } else { causes.split('+').collect() })
}

/// Reads a log that the workloads write; none was written if nothing was sighted. A line without its end is being written.
///
/// # Errors
/// A line is not a sighting.
pub fn read_log(path: &Path) -> Result<Vec<Sighting>> {
    let Ok(content) = fs::read_to_string(path) else {
        return Ok(Vec::new());
    };
    let whole = content.rfind('\n').map_or("", |end| &content[..end]);
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_one_cause_several_or_none() {
        assert_eq!(causes("r1"), None);
        assert_eq!(causes("r1.1"), Some(vec!["r1"]));
        assert_eq!(causes("r1.2.1"), Some(vec!["r1.2"]));
        assert_eq!(causes("r1.2+r3.1.7"), Some(vec!["r1.2", "r3.1"]));
        assert_eq!(causes("-.7"), Some(vec![]));
    }
}
