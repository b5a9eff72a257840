//! `cargo xtask manifests`: deploy/ decoded strictly into the types of the Kubernetes API, by a small Go program beside
//! this one. Types and names of fields are checked, and that none is given twice; what a server fills in is not.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{shell, tree::Tree};

/// The test target of this package that checks both the manifests and the check.
pub(crate) const TEST: &str = "manifests";

/// Go, and its module proxy for the API's types.
pub(crate) fn is_possible() -> bool {
    shell::find("go").is_some()
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    let files = if args.files.is_empty() { deployed(&tree.root.join("deploy"))? } else { absolute(&args.files)? };
    let go = shell::find("go")
        .context("Go is missing: the manifests are checked against the Go types of the Kubernetes API")?;
    let mut check = Command::new(go);
    check.args(["run", "."]).args(&files).current_dir(tree.root.join("xtask/manifests"));
    shell::run(&mut check)?;
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `cargo xtask manifests`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Manifests to check in place of those in deploy/
    files: Vec<PathBuf>,
}

fn deployed(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "no manifests in {}", dir.display());
    Ok(files)
}

fn absolute(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    files.iter().map(|file| file.canonicalize().with_context(|| format!("no file {}", file.display()))).collect()
}
