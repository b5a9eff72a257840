//! A command that is started, and traced from its first byte on.
//!
//! The agent starts itself as `tracemend hold -- COMMAND`, which stops itself at once. By then its process id is known,
//! so it can be made a target; when the hooks stand, it is continued and becomes the command. No descriptor, variable
//! or parent is left behind that the command could notice.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use tracemend_core::ids::Tgid;

use crate::shutdown::Shutdown;

/// A command that was started and is held before its first instruction. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Held {
    pid: Pid,
    /// Taken when it is let run.
    child: Option<Child>,
}

/// A command that runs, or ran.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pid: Pid,
    status: Arc<OnceLock<ExitStatus>>,
}

/// Starts a command and holds it.
pub(super) fn start(command: &[OsString]) -> anyhow::Result<Held> {
    let child = std::process::Command::new("/proc/self/exe")
        .arg0("tracemend")
        .args(["hold", "--"])
        .args(command)
        .spawn()
        .context("cannot start a process for the command")?;
    let held = Held { pid: Pid::from_child(&child), child: Some(child) };
    match waitpid(Some(held.pid), WaitOptions::UNTRACED)? {
        Some((_, status)) if status.stopped() => Ok(held),
        _ => bail!("the process started for the command ended at once"),
    }
}

impl Held {
    /// The process id it has now and keeps.
    pub(super) fn tgid(&self) -> Tgid {
        tgid(self.pid)
    }

    /// Lets it run. When it ends, `shutdown` is requested.
    pub(super) fn release(mut self, shutdown: Shutdown) -> anyhow::Result<Running> {
        kill_process(self.pid, Signal::CONT)?;
        let mut child = self.child.take().context("released already")?;
        let running = Running { pid: self.pid, status: Arc::default() };
        let status = Arc::clone(&running.status);
        std::thread::Builder::new().name("command".into()).spawn(move || {
            if let Ok(ended) = child.wait() {
                status.get_or_init(|| ended);
            }
            shutdown.request();
        })?;
        Ok(running)
    }
}

fn tgid(pid: Pid) -> Tgid {
    Tgid(pid.as_raw_nonzero().get().unsigned_abs())
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It ended by itself otherwise: nothing is left to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    /// Its process id.
    pub(super) fn tgid(&self) -> Tgid {
        tgid(self.pid)
    }

    /// Sends it a signal, if it runs.
    pub(super) fn signal(&self, signal: Signal) {
        if self.status.get().is_none() {
            // It ended in between: then the signal has done its work.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Its status as a shell tells it, if it ended.
    pub(super) fn exit_code(&self) -> Option<ExitCode> {
        let status = self.status.get()?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal))?;
        Some(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
    }
}

/// What `tracemend hold` does: stops, and when continued becomes the command. Returns only if it cannot.
pub(super) fn hold(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(2);
    };
    // An agent that dies before it lets this run must not leave a stopped process behind.
    let outcome = rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .and_then(|()| kill_process(getpid(), Signal::STOP))
        .and_then(|()| rustix::process::set_parent_process_death_signal(None));
    let error = match outcome {
        Ok(()) => std::process::Command::new(program).args(arguments).exec(),
        Err(errno) => errno.into(),
    };
    eprintln!("tracemend: cannot run {}: {error}", program.display());
    let not_found = error.kind() == std::io::ErrorKind::NotFound;
    ExitCode::from(if not_found { 127 } else { 126 })
}
