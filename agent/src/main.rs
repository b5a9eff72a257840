//! The `tracemend` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracemend::cli::run()
}
