//! A program that makes the calls it is told to.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::{wait, workload};

/// One command is given this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A running `actor.py`.
pub(crate) struct Actor {
    process: Process,
    commands: usize,
}

impl Actor {
    /// Starts it, and has it do its first command, so that its own start lies behind it.
    pub(crate) fn start(scene: &Scene) -> Result<Self> {
        let process = Process::start("actor", &mut workload::python(scene, "actor.py", &[]))?;
        let mut actor = Self { process, commands: 0 };
        ensure!(actor.does("os.getpid()")? == actor.pid());
        Ok(actor)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Has it run Python statements; gives the value of the last one.
    pub(crate) fn does(&mut self, statements: &str) -> Result<Value> {
        self.begins(statements)?;
        self.is_done()
    }

    /// Has it begin to run Python statements.
    pub(crate) fn begins(&mut self, statements: &str) -> Result<()> {
        self.commands += 1;
        self.process.tell(&Value::from(statements).to_string())
    }

    /// Waits until it is done with what it began.
    pub(crate) fn is_done(&mut self) -> Result<Value> {
        let answer = format!("{} ", self.commands);
        let said = wait::until("the actor is done", LIMIT, || {
            self.process.check()?;
            Ok(self.process.lines().into_iter().find(|line| line.starts_with(&answer)))
        })?;
        Ok(serde_json::from_str(&said[answer.len()..])?)
    }

    /// The value of an expression that is a number.
    pub(crate) fn number(&mut self, expression: &str) -> Result<u64> {
        self.does(expression)?.as_u64().with_context(|| expression.to_owned())
    }

    /// The cookie of the socket with this name.
    pub(crate) fn cookie(&mut self, name: &str) -> Result<u64> {
        self.number(&format!("cookie({name})"))
    }
}
