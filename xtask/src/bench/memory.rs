//! The agent's memory with 10,000 connections open: all that its control group is charged with, BPF maps and rings
//! included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Numbers;
use super::agent::{Agent, Start};
use super::stage::{Answered, Server, Sink, Stage};
use super::stats::Estimate;
use crate::child::Child;
use crate::interrupt;

/// Connections that stay open, all of them used.
const CONNECTIONS: usize = 10_000;
/// Requests a second over them: each is used every two seconds.
const RATE: f64 = 5_000.0;
const SECONDS: f64 = 30.0;
/// The memory is looked at so often, from the moment on when every connection was used.
const SETTLED: Duration = Duration::from_secs(8);
const LOOKS: usize = 9;
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let (server, sink) = (Server::start(stage, &stage.cpus.server)?, Sink::start(stage)?);
    let group = Group::create()?;
    let procs = group.path.join("cgroup.procs");
    let agent = Agent::start(stage, &sink, &Start { group: Some(&procs), ..Start::on(&stage.cpus.load) })?;
    let mut command = stage.load_command(server.port, CONNECTIONS, SECONDS, Some(RATE));
    let mut load = Child::start("the load", command.stdout(Stdio::piped()))?;
    rest(SETTLED)?;
    let mut samples = Vec::with_capacity(LOOKS);
    for _ in 0..LOOKS {
        load.check_running()?;
        samples.push(group.used_mib()?);
        rest(LOOK)?;
    }
    Answered::of(load)?;
    agent.stop()?;
    Ok(vec![("agent_memory_mib", Estimate::of(&samples).context("no samples")?)])
}

fn rest(time: Duration) -> Result<()> {
    interrupt::wait_for(time, || Ok(None::<()>)).map(drop)
}

/// A control group of the memory controller, of either version.
struct Group {
    path: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Group {
    /// Below the root of the hierarchy, where no other group's rules are in the way.
    fn create() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        let (root, version) = hierarchy(&mounts, |path| {
            let controllers = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
            controllers.split_whitespace().any(|name| name == "memory")
        })
        .context("no control group hierarchy has the memory controller")?;
        let path = root.join(format!("tracemend-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, version })
    }

    /// All that is charged but file pages that can be dropped at once: the "working set" that Kubernetes limits by.
    fn used_mib(&self) -> Result<f64> {
        let (usage, inactive) = match self.version {
            Version::One => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::Two => ("memory.current", "inactive_file"),
        };
        let read = |name: &str| {
            fs::read_to_string(self.path.join(name)).with_context(|| format!("cannot read {name} of the control group"))
        };
        let usage: f64 = read(usage)?.trim().parse().context("a memory usage that is no number")?;
        let inactive = field(&read("memory.stat")?, inactive).context("no inactive file pages in memory.stat")?;
        Ok((usage - inactive) / (1 << 20) as f64)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Refused while somebody is in it: then it stays, empty, until the next start of the machine.
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where the memory controller is: a mount of version 1, else of version 2 if it `has_memory`.
fn hierarchy(mounts: &str, has_memory: impl Fn(&Path) -> bool) -> Option<(PathBuf, Version)> {
    let of = |kind: &str| {
        let lines = mounts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.filter(|words| words.len() > 3 && words[2] == kind).collect::<Vec<_>>()
    };
    let is_memory = |words: &Vec<&str>| words[3].split(',').any(|option| option == "memory");
    let first = of("cgroup").into_iter().find(is_memory).map(|words| (PathBuf::from(words[1]), Version::One));
    let second = || of("cgroup2").into_iter().map(|words| PathBuf::from(words[1])).find(|path| has_memory(path));
    first.or_else(|| second().map(|path| (path, Version::Two)))
}

fn field(stat: &str, name: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_controller_is_found_in_either_version() {
        let hybrid = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(hierarchy(hybrid, |_| false), Some(("/sys/fs/cgroup/memory".into(), Version::One)));
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(hierarchy(unified, |_| true), Some(("/sys/fs/cgroup".into(), Version::Two)));
        assert_eq!(hierarchy(unified, |_| false), None);
    }

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let stat = "inactive_file 1\ntotal_inactive_file 8192\n";
        assert_eq!(field(stat, "total_inactive_file"), Some(8192.0));
        assert_eq!(field(stat, "inactive_file"), Some(1.0));
        assert_eq!(field(stat, "file"), None);
    }
}
