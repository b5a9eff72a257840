//! The `tracemend` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracemend::attach::runtime::selftest::play().unwrap_or_else(tracemend::cli::run)
}
