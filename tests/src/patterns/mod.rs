//! The patterns of handing work over that the agent is measured by: small servers in the runtime's usual libraries, each
//! of which takes a request, hands it over in one way, and calls a backend. docs/SCORING.md says how they are judged.

mod build;
mod c;
mod go;
mod java;
mod nginx;
mod node;
mod python;
mod rust;
mod trial;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use build::step;
pub use build::{directory, prepare};
pub(crate) use go::go as find_go;
pub use trial::{Outcome, Trial};

use crate::process::Process;
use crate::scene::Scene;
use crate::target::Target;

/// One way of handing work over, in one runtime.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// `runtime/name`.
    pub id: &'static str,
    /// Calls that each request causes.
    pub calls: usize,
    /// Requests that a call is made for, about: more than one where calls are shared.
    pub shared: usize,
    /// The client leaves each answer at its beginning.
    leaves: bool,
    /// Requests that the client sends at once over a connection.
    pipelined: usize,
    /// Path of the driver's requests: the same for all.
    path: &'static str,
    /// What it can be run by on this machine.
    variants: fn() -> Vec<Variant>,
    start: fn(&Start<'_>) -> Result<Vec<Process>>,
}

/// What is not scored, but tested.
pub fn unscored() -> impl Iterator<Item = Pattern> {
    python::UNSCORED.into_iter().chain([go::UNSCORED])
}

/// A build of a runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Build and version.
    pub name: String,
    /// The executable; what is missing, where there is none.
    pub program: Result<PathBuf, String>,
}

/// What a pattern is started with.
struct Start<'a> {
    scene: &'a Scene,
    program: &'a Path,
    /// Where it listens.
    front: &'a Target,
    /// What it calls.
    backend: &'a Target,
}

impl Pattern {
    /// Every pattern.
    pub fn all() -> impl Iterator<Item = Self> {
        [python::PATTERNS, node::PATTERNS, go::PATTERNS, java::PATTERNS, rust::PATTERNS, c::PATTERNS, nginx::PATTERNS]
            .into_iter()
            .flatten()
            .copied()
    }

    /// The pattern with this id.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        Self::all().find(|pattern| pattern.id == id)
    }

    /// What it can be run by, or could if it were there.
    #[must_use]
    pub fn variants(&self) -> Vec<Variant> {
        (self.variants)()
    }

    /// The same program asked for another path, which causes so many calls.
    #[must_use]
    pub const fn at(self, path: &'static str, calls: usize) -> Self {
        Self { path, calls, ..self }
    }

    /// Requests that make so many calls, about.
    #[must_use]
    pub const fn requests(&self, calls: usize) -> usize {
        (calls * self.shared).div_ceil(self.calls)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_pattern_has_a_variant() {
        let ids: Vec<_> = Pattern::all().map(|pattern| pattern.id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        for pattern in Pattern::all() {
            assert!(pattern.calls > 0 && !pattern.variants().is_empty(), "{}", pattern.id);
        }
    }
}
