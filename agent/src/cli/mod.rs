//! The commands: `run`, `record`, `replay`, `doctor`, `show`.

mod args;
mod command;
mod doctor;
mod log;
mod obstacles;
mod replay;
mod run;
mod show;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Command, CommandLine};

/// Exit status: failed while running.
const FAILED: u8 = 1;
/// Exit status: wrong usage or configuration; what the parser of the command line uses too.
const USAGE: u8 = 2;
/// Exit status: not permitted, or not possible on this kernel.
const NOT_PERMITTED: u8 = 3;
/// Exit status: another agent is running.
const ANOTHER: u8 = 4;

/// Does what the command line says. Mistakes in it, and requests for help, are answered and end the process.
#[must_use]
pub fn run() -> ExitCode {
    match CommandLine::parse().command {
        Command::Run(arguments) => run::run(&arguments, None),
        Command::Record(arguments) => run::run(&arguments.run, Some(&arguments)),
        Command::Doctor => doctor::run(),
        Command::Replay(arguments) => or_failed(replay::run(&arguments)),
        Command::Show(arguments) => or_failed(show::run(&arguments.file)),
        Command::Hold(arguments) => command::hold(&arguments.command),
    }
}

fn or_failed(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("tracemend: {error:#}");
        ExitCode::from(FAILED)
    })
}

/// A variable of the agent's environment, as the exporters ask for them.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
