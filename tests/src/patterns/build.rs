//! What patterns need that is not installed but built: `cargo xtask score --prepare`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Variant;
use crate::permission;

/// Where what is built is kept, and recordings of what went wrong.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/score")
}

/// Builds everything that can be built here. What cannot is said when its pattern is to be run.
///
/// # Errors
/// Something that is there could not be built.
pub fn prepare() -> Result<()> {
    fs::create_dir_all(directory())?;
    super::c::prepare()?;
    super::go::prepare()?;
    super::java::prepare()?;
    super::rust::prepare()?;
    super::python::prepare()?;
    crate::applications::prepare()
}

/// A program that is built, as a variant.
pub(super) fn built(name: String, file: &str) -> Variant {
    let program = directory().join(file);
    let missing = || format!("{file} is not built (`cargo xtask score --prepare` builds it)");
    Variant { name, program: if program.is_file() { Ok(program) } else { Err(missing()) } }
}

/// A program that is installed, as a variant.
pub(super) fn installed(name: String, program: &str) -> Variant {
    let missing = || format!("{program} is not installed (`cargo xtask setup` installs it)");
    Variant { name, program: permission::program(program).ok_or_else(missing) }
}

/// Runs a step of building.
pub(crate) fn step(command: &mut Command) -> Result<()> {
    println!("+ {command:?}");
    let status = command.status().with_context(|| format!("starting {}", command.get_program().display()))?;
    ensure!(status.success(), "{} failed ({status})", command.get_program().display());
    Ok(())
}

/// What a program says when it is asked something; none if it cannot be asked.
pub(super) fn answer(program: impl AsRef<Path>, question: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref()).args(question).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).trim().to_owned()).filter(|text| !text.is_empty())
}
