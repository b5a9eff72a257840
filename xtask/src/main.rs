//! Development commands: `cargo xtask COMMAND`. Each file or folder here is one command; `tree` knows where things are
//! and `shell` runs other programs.

mod bench;
mod bless;
mod check;
mod child;
mod demo;
mod ebpf;
mod fuzz;
mod http;
mod interrupt;
mod jaeger;
mod manifests;
mod permission;
mod ports;
mod release;
mod score;
mod scratch;
mod setup;
mod shell;
mod test;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use tree::Tree;

/// Sets up, builds, checks, tests and shows Tracemend.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what a fresh Debian 12 machine needs beyond git, a Rust toolchain and Go
    Setup(setup::Args),
    /// Build the kernel half and check the object
    BuildEbpf,
    /// Build both halves and run `tracemend run ARGS`
    Run(release::Args),
    /// Trace a chain of real programs and show the assembled trace
    Demo(demo::Args),
    /// Set up, build, and run every check and every test
    Test(test::Args),
    /// Look for bytes that break a reader
    Fuzz(fuzz::Args),
    /// Measure what the agent costs
    Bench(bench::Args),
    /// Write down anew what replays of the recordings in tests/golden tell: review the diff
    Bless(bless::Args),
    /// Measure how many calls of every pattern of handing work over are linked right, not at all, or wrong
    Score(score::Args),
    /// Formatting, lints on the host and on the BPF target, and the rules of the house
    Check,
    /// The rules of the house alone
    Tidy,
    /// Check deploy/ against the types of the Kubernetes API
    Manifests(manifests::Args),
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let tree = Tree::find()?;
    match command {
        Command::Setup(args) => setup::command(&args),
        Command::BuildEbpf => ebpf::build(&tree).map(|_| ExitCode::SUCCESS),
        Command::Run(args) => release::run(&tree, &args),
        Command::Demo(args) => demo::command(&tree, &args),
        Command::Test(args) => test::command(&tree, &args),
        Command::Fuzz(args) => fuzz::command(&tree, &args),
        Command::Bench(args) => bench::command(&tree, &args),
        Command::Bless(args) => bless::command(&tree, &args),
        Command::Score(args) => score::command(&tree, &args),
        Command::Check => check::command(&tree),
        Command::Tidy => check::tidy_command(&tree),
        Command::Manifests(args) => manifests::command(&tree, &args),
    }
}
