//! The commands: `run`, `doctor`, `show`.

mod args;
mod command;
mod doctor;
mod log;
mod obstacles;
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
        Command::Run(arguments) => run::run(&arguments),
        Command::Doctor => doctor::run(),
        Command::Show(arguments) => show::run(&arguments.file).unwrap_or_else(|error| {
            eprintln!("tracemend: {error:#}");
            ExitCode::from(FAILED)
        }),
        Command::Hold(arguments) => command::hold(&arguments.command),
    }
}

/// A variable of the agent's environment, as the exporters ask for them.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
