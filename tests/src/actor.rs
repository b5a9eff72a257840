//! A program that makes the calls it is told to.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::netns::Netns;
use crate::process::Process;
use crate::scene::Scene;
use crate::workload;

/// One command is given this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A running `actor.py`.
#[derive(Debug)]
pub struct Actor {
    process: Process,
    commands: usize,
}

impl Actor {
    /// Starts it, and has it do its first command, so that its own start lies behind it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(scene: &Scene) -> Result<Self> {
        Self::run(&mut workload::python(scene, "actor.py", &[]))
    }

    /// The same under another interpreter.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_under(scene: &Scene, interpreter: &Path) -> Result<Self> {
        Self::run(&mut workload::python_of(scene, interpreter, "actor.py", &[]))
    }

    /// The same in a network of its own.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_in(scene: &Scene, network: &Netns) -> Result<Self> {
        Self::run(&mut network.with(&workload::python(scene, "actor.py", &[])))
    }

    fn run(command: &mut Command) -> Result<Self> {
        let process = Process::start("actor", command)?;
        let mut actor = Self { process, commands: 0 };
        ensure!(actor.does("os.getpid()")? == actor.pid());
        Ok(actor)
    }

    /// The process that was started; it may have forked since, and have the child go on.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Has it run Python statements; gives the value of the last one.
    ///
    /// # Errors
    /// A statement fails, or takes too long.
    pub fn does(&mut self, statements: &str) -> Result<Value> {
        self.begins(statements)?;
        self.is_done()
    }

    /// Has it begin to run Python statements.
    ///
    /// # Errors
    /// It ended.
    pub fn begins(&mut self, statements: &str) -> Result<()> {
        self.commands += 1;
        self.process.tell(&Value::from(statements).to_string())
    }

    /// Waits until it is done with what it began.
    ///
    /// # Errors
    /// A statement fails, or takes too long.
    pub fn is_done(&mut self) -> Result<Value> {
        let said = self.process.answers(&format!("{} ", self.commands), LIMIT)?;
        Ok(serde_json::from_str(&said)?)
    }

    /// The value of an expression that is a number.
    ///
    /// # Errors
    /// It fails, or is none.
    pub fn number(&mut self, expression: &str) -> Result<u64> {
        self.does(expression)?.as_u64().with_context(|| expression.to_owned())
    }

    /// The cookie of the socket with this name.
    ///
    /// # Errors
    /// It is no socket.
    pub fn cookie(&mut self, name: &str) -> Result<u64> {
        self.number(&format!("cookie({name})"))
    }

    /// Number of its latest command.
    #[must_use]
    pub const fn commands(&self) -> usize {
        self.commands
    }

    /// Ends it at once (SIGKILL), whatever it does.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Its process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }
}
