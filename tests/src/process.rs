//! Programs under test, ended with the test.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, kill_process_group, prlimit, waitid,
};

use crate::target::Target;
use crate::wait;

/// Lines kept of what a program printed; older ones are forgotten.
const LINES_MAX: usize = 2_000;
/// A program that was asked to end is given this long.
const GRACE: Duration = Duration::from_secs(2);
/// A program is given this long to listen, or to fork: some bring a thousand modules with them, and the machine is shared.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What programs printed is of no interest.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on programs end without a word: for where no harness captures it.
pub fn quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// A running program with everything it prints.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Arc<Lines>,
}

/// What a program printed, and news of it.
#[derive(Debug, Default)]
struct Lines {
    all: Mutex<VecDeque<String>>,
    more: Condvar,
}

impl Process {
    /// Starts a program in a process group of its own, so that what it forks ends with it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let lines: Arc<Lines> = Arc::default();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        for stream in streams.into_iter().flatten() {
            collect(stream, Arc::clone(&lines));
        }
        Ok(Self { name: name.to_owned(), input: child.stdin.take(), child, lines })
    }

    /// Starts a server and waits until it accepts a connection on `target`.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not listen in time.
    pub fn serving(name: &str, command: &mut Command, target: &Target) -> Result<Self> {
        let mut process = Self::start(name, command)?;
        wait::until(&format!("{name} listens on {target}"), START_LIMIT, || {
            process.check()?;
            Ok(target.connect().ok().map(drop))
        })?;
        Ok(process)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process id and those of everything it forked, however deep.
    #[must_use]
    pub fn tree(&self) -> Vec<u32> {
        let mut pids = vec![self.pid()];
        let mut next = 0;
        while next < pids.len() {
            pids.extend(children(pids[next]));
            next += 1;
        }
        pids
    }

    /// Waits until its tree has `count` processes.
    ///
    /// # Errors
    /// They are not there in time.
    pub fn forked(self, count: usize) -> Result<Self> {
        wait::until(&format!("{} has {count} processes", self.name), START_LIMIT, || {
            Ok((self.tree().len() >= count).then_some(()))
        })?;
        Ok(self)
    }

    /// Writes a line to its input.
    ///
    /// # Errors
    /// It does not read any more.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").with_context(|| format!("telling {} to {line}", self.name))
    }

    /// Ends its input.
    pub fn hush(&mut self) {
        self.input = None;
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Errors
    /// It ends or does not print it in time.
    pub fn says(&mut self, text: &str, limit: Duration) -> Result<String> {
        let what = format!("{} says {text:?}", self.name);
        wait::until(&what, limit, || {
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return Ok(Some(line));
            }
            self.check().map(|()| None)
        })
    }

    /// What it printed, output and errors, so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.all.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits for a line that begins with `text`, and gives what follows: at once when it is printed.
    ///
    /// # Errors
    /// It ends or does not print it in time.
    pub fn answers(&mut self, text: &str, limit: Duration) -> Result<String> {
        /// How often it is asked whether it still lives.
        const LOOK: Duration = Duration::from_millis(100);
        let start = Instant::now();
        loop {
            {
                let lines = self.lines.all.lock().unwrap_or_else(PoisonError::into_inner);
                let said = |lines: &VecDeque<String>| lines.iter().rev().any(|line| line.starts_with(text));
                let waited = self.lines.more.wait_timeout_while(lines, LOOK, |lines| !said(lines));
                let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if let Some(rest) = lines.iter().rev().find_map(|line| line.strip_prefix(text)) {
                    return Ok(rest.to_owned());
                }
            }
            self.check()?;
            ensure!(start.elapsed() < limit, "{} does not answer {text:?} within {limit:?}", self.name);
        }
    }

    /// Fails if it has ended, with what it printed.
    ///
    /// # Errors
    /// It has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            // Its last lines may still be in the pipe.
            thread::sleep(Duration::from_millis(50));
            bail!("{} ended with {status}:\n{}", self.name, self.lines().join("\n"));
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        kill_process(self.id()?, Signal::TERM)?;
        self.ended(limit)
    }

    /// Ends it at once (SIGKILL), and waits for that.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        kill_process(self.id()?, Signal::KILL)?;
        self.ended(GRACE)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        let status = wait::until(&what, limit, || Ok(self.child.try_wait()?))?;
        thread::sleep(Duration::from_millis(50));
        Ok(status)
    }

    /// Memory it holds now, in MiB (`VmRSS`).
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_mib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context(line.to_owned())?;
        Ok(kib >> 10)
    }

    /// The descriptors it holds.
    ///
    /// # Errors
    /// It has ended.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Limits how many descriptors it may hold (`RLIMIT_NOFILE`); gives the limit it had.
    ///
    /// # Errors
    /// It has ended.
    pub fn limit_descriptors(&self, count: u64) -> Result<u64> {
        // More than our own hard limit may be more than the kernel grants anybody.
        let maximum = getrlimit(Resource::Nofile).maximum;
        let before = prlimit(Some(self.id()?), Resource::Nofile, Rlimit { current: Some(count), maximum })?;
        before.current.context("no limit")
    }

    fn id(&self) -> Result<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("a process id")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Captured by the harness, so seen only where a test failed.
        if !QUIET.load(Ordering::Relaxed) {
            println!("--- {} (pid {}) printed:\n{}", self.name, self.pid(), self.lines().join("\n"));
        }
        drop(self.input.take());
        let Ok(id) = self.id() else { return };
        // Left unreaped until its group is gone: so long its id cannot have become another program's.
        let exited = || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG);
        let Ok(status) = exited() else { return };
        if status.is_none() && kill_process(id, Signal::TERM).is_ok() {
            _ = wait::until("its end", GRACE, || Ok(exited()?.map(drop)));
        }
        _ = kill_process_group(id, Signal::KILL);
        _ = self.child.wait();
    }
}

fn collect(stream: Box<dyn Read + Send>, printed: Arc<Lines>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = printed.all.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line);
            printed.more.notify_all();
        }
    });
}

fn children(pid: u32) -> Vec<u32> {
    // One file per thread: each lists the children which that thread forked.
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
