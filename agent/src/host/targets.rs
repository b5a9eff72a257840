//! Which processes are meant by the configured targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracemend_core::ids::Tgid;

use super::cgroup::Cgroups;
use super::limits::{CGROUP_BYTES_MAX, CMDLINE_BYTES_MAX, DESCRIPTORS_MAX};
use super::listeners;
use super::proc::ProcessDir;
use super::processes::Host;
use super::text::base_name;
use crate::config::Targets;

impl Host {
    /// The processes that `targets` name now, and all their descendants, in order of their ids. Nothing if `targets`
    /// name none: then there is nothing to select.
    pub fn targeted(&mut self, targets: &Targets) -> Vec<Tgid> {
        let none = targets.ports.is_empty();
        let owned = if none { BTreeMap::new() } else { self.owners(|port| targets.ports.contains(&port)) };
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut named = Vec::new();
        for pid in self.proc.pids().unwrap_or_default() {
            let Ok(dir) = self.proc.process(pid) else {
                continue;
            };
            let Some(stat) = dir.stat().filter(|stat| !stat.kernel) else {
                continue;
            };
            children.entry(stat.parent).or_default().push(pid);
            let dir = Arc::new(dir);
            if owns(&dir, &owned) || self.is_named(&dir, targets) {
                named.push(pid);
            }
        }
        below(named, &children).into_iter().collect()
    }

    /// The processes that are there now.
    #[must_use]
    pub fn all(&self) -> Vec<Tgid> {
        self.proc.pids().unwrap_or_default().into_iter().map(Tgid).collect()
    }

    /// The processes below another one, as they are now.
    #[must_use]
    pub fn descendants(&self, ancestor: Tgid) -> BTreeSet<Tgid> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for pid in self.proc.pids().unwrap_or_default() {
            if let Some(stat) = self.proc.process(pid).ok().and_then(|dir| dir.stat()) {
                children.entry(stat.parent).or_default().push(pid);
            }
        }
        let mut below = below(vec![ancestor.0], &children);
        below.remove(&ancestor);
        below
    }

    /// Whether `targets` name a process: by its id, executable or control group. For a process that executed something;
    /// its children need no question, and listening ports are found by [`Host::targeted`] only.
    pub fn is_target(&mut self, targets: &Targets, tgid: Tgid) -> bool {
        let dir = self.proc.process(tgid.0).map(Arc::new);
        dir.is_ok_and(|dir| self.is_named(&dir, targets))
    }

    /// Whether there is such a process.
    #[must_use]
    pub fn exists(&self, tgid: Tgid) -> bool {
        self.proc.process(tgid.0).is_ok()
    }

    fn is_named(&mut self, dir: &Arc<ProcessDir>, targets: &Targets) -> bool {
        targets.pids.contains(&dir.pid())
            || self.runs(dir, targets)
            || (!targets.cgroups.is_empty() && {
                let groups = dir.read("cgroup", CGROUP_BYTES_MAX).unwrap_or_default();
                let groups = Cgroups::parse(&groups);
                targets.cgroups.iter().any(|path| groups.is_below(path))
            })
    }

    /// By the executable's path, and by the name it was called by: `python3` is a link to `python3.11`. The latter is
    /// the process's own word, which can only get that process traced.
    fn runs(&mut self, dir: &Arc<ProcessDir>, targets: &Targets) -> bool {
        if targets.executables.is_empty() {
            return false;
        }
        let Ok(path) = dir.link("exe") else {
            return false;
        };
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        targets.executables.matches(path) || {
            let cmdline = self.memory.read(dir, "cmdline", CMDLINE_BYTES_MAX);
            cmdline.is_some_and(|cmdline| {
                let first = cmdline.split(|&byte| byte == 0).next().unwrap_or_default();
                let called = String::from_utf8_lossy(first);
                targets.executables.matches(base_name(&called))
            })
        }
    }

    /// Which of some processes hold a socket that listens.
    #[must_use]
    pub fn serving(&self, some: &[Tgid]) -> Vec<Tgid> {
        if some.is_empty() {
            return Vec::new();
        }
        let owned = self.owners(|_| true);
        let serves = |tgid: &&Tgid| self.proc.process(tgid.0).is_ok_and(|dir| owns(&dir, &owned));
        some.iter().filter(serves).copied().collect()
    }

    /// By network namespace, the inodes of the sockets that listen on ports that are meant.
    fn owners(&self, meant: impl Fn(u16) -> bool) -> BTreeMap<u32, BTreeSet<u64>> {
        let mut owned: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for (listener, inodes) in listeners::all(&self.proc) {
            if meant(listener.port) {
                owned.entry(listener.netns).or_default().extend(inodes);
            }
        }
        owned
    }
}

/// Some processes and all below them.
fn below(mut some: Vec<u32>, children: &BTreeMap<u32, Vec<u32>>) -> BTreeSet<Tgid> {
    let mut all = BTreeSet::new();
    while let Some(pid) = some.pop() {
        if all.insert(Tgid(pid)) {
            some.extend(children.get(&pid).into_iter().flatten());
        }
    }
    all
}

/// Whether a process holds one of the sockets. A process may have moved to another namespace since it opened one, but
/// its descriptors are searched only where such a socket is: searching all of every process takes seconds.
fn owns(dir: &ProcessDir, owned: &BTreeMap<u32, BTreeSet<u64>>) -> bool {
    let Some(inodes) = dir.namespace("net").and_then(|netns| owned.get(&netns)) else {
        return false;
    };
    let descriptors = dir.names("fd", DESCRIPTORS_MAX).unwrap_or_default();
    descriptors.iter().any(|descriptor| {
        dir.link(&format!("fd/{descriptor}"))
            .ok()
            .and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
            .is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};

    fn targets(settings: Settings) -> Targets {
        Config::new(settings, Settings::default()).expect("valid").targets
    }

    /// Starts a child of this process that waits for the end of its input.
    fn child() -> std::process::Child {
        std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat runs")
    }

    #[test]
    fn a_process_is_meant_with_its_descendants() {
        let mut child = child();
        let own = std::process::id();
        let targets = targets(Settings { pids: vec![own], ..Settings::default() });
        let mut host = Host::new().expect("/proc");
        let found = host.targeted(&targets);
        let meant = host.is_target(&targets, Tgid(own));
        let child_meant = host.is_target(&targets, Tgid(child.id()));
        child.kill().expect("runs");
        child.wait().expect("ends");
        assert!(found.contains(&Tgid(own)) && found.contains(&Tgid(child.id())));
        assert!(meant && !child_meant);
    }

    #[test]
    fn executables_and_ports_are_found() {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = socket.local_addr().expect("bound").port();
        let mut host = Host::new().expect("/proc");
        let own = Tgid(std::process::id());
        let by_port = targets(Settings { ports: vec![port], ..Settings::default() });
        assert!(host.targeted(&by_port).contains(&own));

        let path = std::env::current_exe().expect("has one");
        let by_path =
            targets(Settings { executables: vec![path.to_string_lossy().into_owned()], ..Settings::default() });
        assert!(host.is_target(&by_path, own));
        let other = targets(Settings { executables: vec!["no-such-program".into()], ..Settings::default() });
        assert_eq!(host.targeted(&other), []);
    }

    #[test]
    fn nothing_named_selects_nothing() {
        let mut host = Host::new().expect("/proc");
        assert_eq!(host.targeted(&Targets::default()), []);
    }
}
