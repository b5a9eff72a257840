//! Programs started beside this one, which end with it in every case: by [`Drop`] when it returns, fails or is
//! interrupted, and by the kernel when it is killed.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{interrupt, shell};

/// A program asked to end gets this long before it is made to: the agent may need 10 s to flush.
const PATIENCE: Duration = Duration::from_secs(12);

/// A running program and its descendants that stayed in its process group.
pub(crate) struct Child {
    name: String,
    child: std::process::Child,
    over: bool,
}

/// A command that the kernel ends (SIGTERM) when the thread that started it dies: `setpriv` of util-linux sets this for
/// the program it becomes, so process id and parent stay what they are.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    match shell::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

impl Child {
    /// Starts `command` in a process group of its own: a Ctrl-C reaches this program first, which then ends the others
    /// in order.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", shell::line(command)))?;
        Ok(Self { name: name.to_owned(), child, over: false })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipes that were asked for.
    pub(crate) fn pipes(&mut self) -> (Option<std::process::ChildStdout>, Option<std::process::ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// An error if the program has ended.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended by itself ({status})", self.name);
        }
        Ok(())
    }

    /// How the program ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))?;
        self.over |= status.is_some();
        Ok(status)
    }

    /// Waits for the program's own end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        self.over = true;
        Ok(status)
    }

    /// Asks the program to end (SIGTERM), waits, and makes it end if it does not.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        let pid = self.group()?;
        // Gone between the look and the signal: the wait below knows.
        let _ = kill_process(pid, Signal::TERM);
        let end = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < end {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(interrupt::LOOK_EVERY);
        }
        self.kill()
    }

    /// Ends the program and its group at once.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        // The group still has its number while its leader is not waited for.
        let _ = kill_process_group(self.group()?, Signal::KILL);
        self.wait()
    }

    fn group(&self) -> Result<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("a process id out of range")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.over {
            // On the way out: nobody is left to tell.
            let _ = self.stop();
        }
    }
}

/// Waits until `probe` answers, and fails at once if `child` ends meanwhile.
pub(crate) fn wait_until<T>(
    child: &mut Child,
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    let answer = interrupt::wait_for(limit, || {
        child.check_running()?;
        Ok(probe())
    })?;
    answer.with_context(|| format!("{what} did not happen within {} s", limit.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_alive(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn dropping_ends_the_program_itself_and_not_a_wrapper() {
        let child = Child::start("sleep", command("sleep").arg("600")).expect("starts");
        let pid = child.pid();
        let named = || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep");
        assert_eq!(
            interrupt::wait_for(Duration::from_secs(5), || Ok(named().then_some(()))).expect("no signal"),
            Some(())
        );
        drop(child);
        assert!(!is_alive(pid));
    }

    #[test]
    fn one_that_ended_by_itself_is_told_of() {
        let mut child = Child::start("false", &mut command("false")).expect("starts");
        let error = wait_until(&mut child, "nothing", Duration::from_secs(5), || None::<()>).expect_err("it ended");
        assert!(error.to_string().starts_with("false ended by itself"), "{error}");
    }

    #[test]
    fn killing_takes_the_whole_group() {
        let mut shell = command("sh");
        shell.args(["-c", "trap '' TERM; sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut child = Child::start("sh", &mut shell).expect("starts");
        let mut line = String::new();
        let stdout = child.pipes().0.expect("asked for");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
        let grandchild = line.trim().parse().expect("a pid");
        assert!(is_alive(grandchild));
        child.kill().expect("killed");
        let gone =
            || std::fs::read_to_string(format!("/proc/{grandchild}/stat")).map_or(true, |stat| stat.contains(") Z "));
        assert_eq!(
            interrupt::wait_for(Duration::from_secs(5), || Ok(gone().then_some(()))).expect("no signal"),
            Some(())
        );
    }
}
