//! Running one `cargo test`, counting it, and ending it if it hangs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::tally::{Reader, Tally};
use crate::child::Child;
use crate::interrupt;

/// Runs `command`, a `cargo test`, showing what it prints. After `limit` it and its test programs are ended, and that is
/// a failure.
pub(super) fn run(part: &str, command: &mut Command, limit: Duration) -> Result<Tally> {
    let mut child = Child::start("cargo test", command.stdout(Stdio::piped()))?;
    let stdout = child.pipes().0.context("no pipe from cargo")?;
    let (sender, lines) = mpsc::channel();
    // Ends with the pipe; the receiver below outlives it or does not care.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });

    let end = Instant::now() + limit;
    let mut reader = Reader::default();
    loop {
        match lines.recv_timeout(interrupt::LOOK_EVERY) {
            Ok(line) => {
                println!("{line}");
                reader.line(&line);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if interrupt::raised() {
                    child.kill()?;
                    bail!("interrupted");
                }
                if Instant::now() > end {
                    child.kill()?;
                    let mut tally = reader.finish(part, true);
                    tally.add(Tally::failure(format!("{part}: not over after {} s", limit.as_secs())));
                    return Ok(tally);
                }
            }
        }
    }
    let status = child.wait()?;
    Ok(reader.finish(part, status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_counted_and_the_exit_code_too() {
        let limit = Duration::from_secs(60);
        let good = "echo 'running 1 test'; echo 'test a ... ok'; echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured'";
        let tally = run("part", &mut shell(good), limit).expect("runs");
        assert_eq!((tally.passed, tally.failed), (1, 0));
        let tally = run("part", &mut shell(&format!("{good}; exit 101")), limit).expect("runs");
        assert_eq!((tally.passed, tally.failed), (1, 1));
    }

    #[test]
    fn a_hanging_part_is_ended_and_failed() {
        let tally =
            run("part", &mut shell("echo 'running 1 test'; sleep 600"), Duration::from_millis(200)).expect("ends");
        assert_eq!(tally.failures, ["a test program that ended without a result", "part: not over after 0 s"]);
    }
}
