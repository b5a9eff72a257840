//! Where one test plays: a directory of its own, and the machine to itself.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tempfile::TempDir;

use crate::permission;
use crate::truth::{self, Sighting};

/// One agent at a time, and no load beside a measurement: scenes are played one after the other.
static STAGE: Mutex<()> = Mutex::new(());

/// A test's directory and its turn on the machine.
#[derive(Debug)]
pub struct Scene {
    directory: TempDir,
    variables: Vec<(String, String)>,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Opens a scene with an agent in it, when the machine lets an agent run and has the named programs. Otherwise says
    /// so, past the harness's capturing, in the line that `cargo xtask test` counts.
    ///
    /// # Errors
    /// No temporary directory could be made.
    pub fn open(test: &str, programs: &[&str]) -> Result<Option<Self>> {
        if let Some(reason) = permission::missing() {
            skip(test, &reason);
            return Ok(None);
        }
        Self::without_agent(test, programs)
    }

    /// Opens a scene with the kernel half in it, but no agent.
    ///
    /// # Errors
    /// No temporary directory could be made.
    pub fn with_kernel_half(test: &str, programs: &[&str]) -> Result<Option<Self>> {
        if let Some(reason) = permission::missing_for_bpf() {
            skip(test, &reason);
            return Ok(None);
        }
        Self::without_agent(test, programs)
    }

    /// Opens a scene for the programs alone.
    ///
    /// # Errors
    /// No temporary directory could be made.
    pub fn without_agent(test: &str, programs: &[&str]) -> Result<Option<Self>> {
        if let Some(name) = programs.iter().find(|name| permission::program(name).is_none()) {
            skip(test, format_args!("{name} is not installed (`cargo xtask setup` installs it)"));
            return Ok(None);
        }
        // A test that failed poisons the turn and leaves nothing else behind.
        let turn = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::Builder::new().prefix("tracemend-").tempdir()?;
        Ok(Some(Self { directory, variables: Vec::new(), _turn: turn }))
    }

    /// Every workload that is started from now on gets this environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Display) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// The environment variables that workloads get.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A path in the scene's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The scene's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the workloads tell the truth.
    #[must_use]
    pub fn truth_log(&self) -> PathBuf {
        self.path("truth.jsonl")
    }

    /// What the workloads told so far.
    ///
    /// # Errors
    /// The log cannot be read, or a line is not a sighting.
    pub fn truth(&self) -> Result<Vec<Sighting>> {
        truth::read_log(&self.truth_log())
    }
}

/// Says that a test did not run and why, as `skipped: TEST: REASON` on a line of its own.
pub fn skip(test: &str, reason: impl Display) {
    // Not eprintln, which the harness would swallow, and in one write: a skipped test has to be loud.
    let line = format!("\nskipped: {test}: {reason}\n");
    // A closed stderr leaves nobody to tell.
    _ = io::stderr().lock().write_all(line.as_bytes());
}
