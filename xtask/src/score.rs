//! `cargo xtask score`: the agent built, and its links measured on every pattern by a program of the test package.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{release, setup, shell, tree::Tree};

/// Names the agent for whoever tests it.
const AGENT: &str = "TRACEMEND_BIN";

/// Arguments of `cargo xtask score`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments of the measuring program; --help names them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    let has = |flag: &str| args.args.iter().any(|arg| arg == flag);
    if has("--prepare") {
        setup::ensure()?;
    } else if !has("--help") && !has("-h") {
        release::build(tree)?;
    }
    let status = measuring(tree).args(&args.args).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds what the patterns need.
pub(crate) fn prepare(tree: &Tree) -> Result<()> {
    shell::run(measuring(tree).arg("--prepare"))
}

/// Every pattern, quickly, held against the table of the last whole run.
pub(crate) fn quick(tree: &Tree) -> Command {
    let mut command = measuring(tree);
    command.args(["--quick", "--compare"]).arg(tree.root.join(TABLE));
    command
}

/// The table of the last whole run.
const TABLE: &str = "tests/score/table.json";

fn measuring(tree: &Tree) -> Command {
    let mut cargo = tree.cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "tracemend-tests", "--bin", "score", "--"]);
    cargo.env(AGENT, tree.agent());
    cargo
}
