//! Signals that end the agent.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::command::Running;
use crate::shutdown::{FLUSH_MAX, Shutdown};

/// How long a traced command has to end by the signal that ended the agent, so that its last spans are seen.
const COMMAND_MAX: Duration = Duration::from_secs(2);

/// How much longer than its deadline flushing may take before the agent is ended regardless: a bug, not a slow
/// collector.
const SPARE: Duration = Duration::from_millis(500);

/// How far the agent has come.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// The hooks do not stand yet: there is nothing to flush, and a command is still held.
    #[default]
    Starting,
    /// It traces, and the command runs if there is one.
    Tracing(Option<Running>),
}

/// Shared with the thread that is told to stop. Locked while the phase changes, so that no command begins after that.
pub(super) type SharedPhase = Arc<Mutex<Phase>>;

/// Turns SIGTERM, SIGINT and SIGHUP into a request for shutdown, on a thread. A second signal ends the agent at once.
pub(super) fn listen(shutdown: Shutdown, phase: SharedPhase) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first = true;
        for number in signals.forever() {
            if !first {
                tracing::warn!(signal = number, "second signal: leaving without flushing");
                std::process::exit(128 + number);
            }
            first = false;
            tracing::info!(signal = number, "stopping");
            let (shutdown, phase) = (shutdown.clone(), Arc::clone(&phase));
            std::thread::spawn(move || stop(number, &shutdown, &phase));
        }
    })?;
    Ok(())
}

fn stop(number: i32, shutdown: &Shutdown, phase: &SharedPhase) {
    let locked = phase.lock().unwrap_or_else(PoisonError::into_inner);
    let running = match &*locked {
        // Loading the hooks may take seconds yet. The kernel takes back what was loaded, and ends a held command.
        Phase::Starting => std::process::exit(0),
        Phase::Tracing(None) => return shutdown.request(),
        Phase::Tracing(Some(running)) => running.clone(),
    };
    drop(locked);
    if let Some(signal) = forwarded(number, std::io::stdin().is_terminal()) {
        running.signal(signal);
    }
    // Its end requests the shutdown too, and then the wait is over.
    if !shutdown.wait_timeout(COMMAND_MAX) {
        tracing::warn!(pid = running.tgid().0, "the command goes on, untraced from now on");
    }
    shutdown.request();
}

/// What the command is sent. A terminal's Ctrl-C reaches it without us, and many programs take a second one for "at
/// once".
fn forwarded(number: i32, on_terminal: bool) -> Option<Signal> {
    match number {
        SIGINT if on_terminal => None,
        SIGINT => Some(Signal::INT),
        SIGHUP if on_terminal => None,
        SIGHUP => Some(Signal::HUP),
        _ => Some(Signal::TERM),
    }
}

/// Ends the agent should it not end by itself after a shutdown was requested.
pub(super) fn guard(shutdown: Shutdown) {
    std::thread::spawn(move || {
        shutdown.wait();
        std::thread::sleep(FLUSH_MAX + SPARE);
        tracing::error!("could not finish in time: spans are lost");
        std::process::exit(super::FAILED.into());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_signals_the_command_itself() {
        assert_eq!(forwarded(SIGINT, true), None);
        assert_eq!(forwarded(SIGINT, false), Some(Signal::INT));
        assert_eq!(forwarded(SIGHUP, false), Some(Signal::HUP));
        assert_eq!(forwarded(SIGTERM, true), Some(Signal::TERM));
    }

    #[test]
    fn a_signal_with_a_command_flush_and_all_ends_within_ten_seconds() {
        assert!(COMMAND_MAX + FLUSH_MAX + SPARE < Duration::from_secs(10));
    }
}
