//! Network namespaces of the tests' own, gone with the test.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// A network namespace with its loopback up.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one.
    ///
    /// # Errors
    /// `ip netns` cannot.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tracemend-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        let made = Self { name };
        made.run("ip link set lo up")?;
        Ok(made)
    }

    /// Joins this namespace and another one by a wire: `name` here with one address, the same there with the other.
    ///
    /// # Errors
    /// There can be no such wire.
    pub fn wire(&self, name: &str, address: &str, other: &Self, other_name: &str, other_address: &str) -> Result<()> {
        ip(&[
            "link",
            "add",
            name,
            "netns",
            &self.name,
            "type",
            "veth",
            "peer",
            "name",
            other_name,
            "netns",
            &other.name,
        ])?;
        self.run(&format!("ip addr add {address} dev {name} && ip link set {name} up"))?;
        other.run(&format!("ip addr add {other_address} dev {other_name} && ip link set {other_name} up"))
    }

    /// Runs a shell line in it.
    ///
    /// # Errors
    /// It fails.
    pub fn run(&self, line: &str) -> Result<()> {
        let output = self.command("sh").arg("-ec").arg(line).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A command in it. `ip` becomes the program, which so keeps the process id it was started with.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// The same command, in it.
    #[must_use]
    pub fn with(&self, original: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(original.get_program()).args(original.get_args());
        for (name, value) in original.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output().context("ip")?;
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
