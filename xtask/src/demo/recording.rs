//! The demo as it once ran, for where BPF is not permitted: the same spans, of a recording.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{shell, tree::Tree};

const RULE: &str = "************************************************************************";

fn path(tree: &Tree) -> PathBuf {
    tree.root.join("tests/golden/demo.tmrec")
}

/// Replays the recording, after saying loudly that it is one.
pub(super) fn show(tree: &Tree, reason: &str) -> Result<ExitCode> {
    eprintln!("{RULE}\nBPF is not permitted here: {}", reason.trim());
    eprintln!("NOTHING IS TRACED ON THIS MACHINE. What follows is a recording of the demo,");
    eprintln!("made elsewhere, from which the agent makes the spans again.\n{RULE}");
    // The kernel half is not needed for that, nor what builds it.
    shell::timed("build", || shell::run(tree.cargo().args(["build", "--release", "--package", "tracemend"])))?;
    println!();
    shell::run(Command::new(tree.agent()).arg("replay").arg(path(tree)))?;
    println!("demo: replayed a recording, since BPF is not permitted here");
    Ok(ExitCode::SUCCESS)
}

/// Makes the recording, by the demo itself.
pub(super) fn make(tree: &Tree) -> Result<()> {
    let path = path(tree);
    if path.exists() {
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    shell::run(shell::this().args(["demo", "--record"]).arg(&path))
}
