//! `cargo xtask run`: both halves built, and the agent started in place of this program.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{ebpf, shell, tree::Tree};

/// Arguments of `cargo xtask run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of `tracemend run`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<std::ffi::OsString>,
}

/// The command; returns only if the agent cannot be started.
pub(crate) fn run(tree: &Tree, args: &Args) -> Result<ExitCode> {
    build(tree)?;
    let error = Command::new(tree.agent()).arg("run").args(&args.args).exec();
    Err(error).with_context(|| format!("cannot start {}", tree.agent().display()))
}

/// The kernel half first: the agent's build embeds it.
pub(crate) fn build(tree: &Tree) -> Result<()> {
    ebpf::build(tree)?;
    shell::run(tree.cargo().args(["build", "--release", "--package", "tracemend"]))
}
