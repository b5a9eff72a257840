//! What the host knows of its processes, remembered.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tracemend_core::decode::Process;
use tracemend_core::ids::{BootNanos, ProcessId, Tgid};

use super::cgroup::Cgroups;
use super::declared::Declared;
use super::identity::Identity;
use super::limits::{
    ANCESTORS_MAX, CGROUP_BYTES_MAX, CMDLINE_BYTES_MAX, ENVIRON_BYTES_MAX, KNOWN_PROCESSES_MAX, NAME_CHARS_MAX,
    VALUE_CHARS_MAX,
};
use super::listeners::{self, Listener};
use super::memory::MemoryReader;
use super::proc::{Proc, ProcessDir, Stat};
use super::resource::{self, Life};
use super::service::{self, Source};
use super::text::{base_name, clean};
use super::unix_sockets;

/// `/proc` counts a process's start in ticks of 10 ms (`USER_HZ` is 100 on every architecture Linux runs on today).
const TICK_NS: u64 = 10_000_000;

/// Whether a start time of a kernel record, in nanoseconds, is the one `/proc/PID/stat` shows in ticks: the kernel cuts
/// it off to ticks there.
#[must_use]
pub const fn same_start(start: BootNanos, ticks: u64) -> bool {
    start.0 / TICK_NS == ticks
}

/// What the host knows.
#[derive(Debug)]
pub struct Host {
    pub(super) proc: Proc,
    pub(super) memory: MemoryReader,
    identity: Identity,
    known: HashMap<Tgid, Known>,
    /// Counts look-ups, for telling which entries were not asked for in a long time.
    clock: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Known {
    process: Arc<Process>,
    last_used: u64,
}

/// What was lost, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Processes forgotten because too many are known; they are read again when asked for.
    pub processes_evicted: u64,
    /// Command lines and environments not read because their process did not let them be read in time.
    pub memory_reads_stalled: u64,
}

impl Host {
    /// Reads the host's identity; processes are read when asked for.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn new() -> io::Result<Self> {
        Self::with_proc(Path::new("/proc"))
    }

    pub(super) fn with_proc(root: &Path) -> io::Result<Self> {
        let proc = Proc::open(root)?;
        Ok(Self {
            identity: Identity::read(&proc),
            memory: MemoryReader::new(),
            proc,
            known: HashMap::new(),
            clock: 0,
            evicted: 0,
        })
    }

    /// Which host this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What was lost.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { processes_evicted: self.evicted, memory_reads_stalled: self.memory.stalls }
    }

    /// A process that a kernel record names; its facts carry the record's id. None if it is gone, or its number is
    /// another process's now.
    pub fn process(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        if let Some(known) = self.recall(id) {
            return Some(known);
        }
        let process = self.read(id.tgid.0, Some(id), ANCESTORS_MAX)?;
        Some(self.remember(process))
    }

    /// A process that was gone before it could be asked, as far as the kernel named it. It is not remembered: what is
    /// learned later is better.
    #[must_use]
    pub fn gone(&self, id: ProcessId, comm: &str) -> Arc<Process> {
        let program = clean(comm.as_bytes(), NAME_CHARS_MAX).unwrap_or_default();
        let facts = resource::Facts {
            identity: &self.identity,
            declared: &Declared::default(),
            cgroups: &Cgroups::default(),
            service: &service::name(&program, b"").text,
            executable_name: &program,
            executable_path: "",
            life: Life { pid: id.tgid.0, parent: 0, start_ticks: id.start.0 / TICK_NS },
        };
        let mut resource = resource::attributes(&facts);
        resource.retain(|(name, value)| !value.is_empty() && name != "process.parent_pid");
        // Any process may call itself so: it is no proof of what the program is.
        Arc::new(Process { id, executable: String::new(), resource })
    }

    /// The process that has a number now. Its start is known in ticks only, so its id is not that of kernel records.
    pub fn find(&mut self, tgid: Tgid) -> Option<Arc<Process>> {
        let process = self.read(tgid.0, None, ANCESTORS_MAX)?;
        Some(Arc::new(process))
    }

    /// A process that was forked: the same program as its parent, and the same service, until it executes another. None
    /// if neither of them can be read.
    pub fn forked(&mut self, parent: ProcessId, child: ProcessId) -> Option<Arc<Process>> {
        let Some(parent) = self.process(parent) else {
            return self.process(child);
        };
        let mut process = Process { id: child, ..(*parent).clone() };
        let life = Life { pid: child.tgid.0, parent: parent.id.tgid.0, start_ticks: child.start.0 / TICK_NS };
        resource::relive(&mut process.resource, &self.identity, life);
        Some(self.remember(process))
    }

    /// A process that executed a new program: what was known of it is void. None if it is gone already.
    pub fn executed(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        self.known.remove(&id.tgid);
        self.process(id)
    }

    /// Forgets a process that ended.
    pub fn exited(&mut self, id: ProcessId) {
        if self.known.get(&id.tgid).is_some_and(|known| known.process.id == id) {
            self.known.remove(&id.tgid);
        }
    }

    /// Inodes of the unix stream sockets that are connected now, in every network namespace that a process is in.
    #[must_use]
    pub fn unix_connections(&self) -> Vec<u64> {
        unix_sockets::connected(&self.proc)
    }

    /// Ports listened on, in every network namespace that a process is in.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        listeners::all(&self.proc).into_keys().collect()
    }

    fn recall(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        self.clock += 1;
        let known = self.known.get_mut(&id.tgid)?;
        if known.process.id != id {
            return None;
        }
        known.last_used = self.clock;
        Some(Arc::clone(&known.process))
    }

    fn remember(&mut self, process: Process) -> Arc<Process> {
        if self.known.len() >= KNOWN_PROCESSES_MAX && !self.known.contains_key(&process.id.tgid) {
            self.forget_half();
        }
        self.clock += 1;
        let process = Arc::new(process);
        let known = Known { process: Arc::clone(&process), last_used: self.clock };
        self.known.insert(process.id.tgid, known);
        process
    }

    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.known.values().map(|known| known.last_used).collect();
        let middle = uses.len() / 2;
        let (_, &mut median, _) = uses.select_nth_unstable(middle);
        let before = self.known.len();
        self.known.retain(|_, known| known.last_used > median);
        self.evicted += (before - self.known.len()) as u64;
    }

    /// Reads a process's facts. `id`: the one it must be. `ancestors`: how many parents may be asked for a name.
    fn read(&mut self, pid: u32, id: Option<ProcessId>, ancestors: usize) -> Option<Process> {
        let dir = Arc::new(self.proc.process(pid).ok()?);
        let stat = dir.stat().filter(|stat| !stat.over)?;
        if id.is_some_and(|id| !same_start(id.start, stat.start_ticks)) {
            return None;
        }
        let path = match dir.link("exe") {
            // It gave up its memory, and with it its command, on its way out.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !stat.kernel => return None,
            path => path.unwrap_or_default(),
        };
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        let said = self.said(&dir, &stat, path, ancestors);
        let cgroups = dir.read("cgroup", CGROUP_BYTES_MAX).unwrap_or_default();
        let executable = clean(base_name(path).as_bytes(), NAME_CHARS_MAX).unwrap_or_default();
        let facts = resource::Facts {
            identity: &self.identity,
            declared: &said.declared,
            cgroups: &Cgroups::parse(&cgroups),
            service: &said.name,
            executable_name: &executable,
            executable_path: &clean(path.as_bytes(), VALUE_CHARS_MAX).unwrap_or_default(),
            life: Life { pid, parent: stat.parent, start_ticks: stat.start_ticks },
        };
        let resource = resource::attributes(&facts);
        let start = BootNanos(stat.start_ticks.saturating_mul(TICK_NS));
        Some(Process { id: id.unwrap_or(ProcessId { tgid: Tgid(pid), start }), executable, resource })
    }

    /// What a process says of itself, or a parent for it: workers belong to the service of their master.
    fn said(&mut self, dir: &Arc<ProcessDir>, stat: &Stat, path: &str, ancestors: usize) -> Said {
        let cmdline = self.memory.read(dir, "cmdline", CMDLINE_BYTES_MAX);
        let environ = self.memory.read(dir, "environ", ENVIRON_BYTES_MAX).unwrap_or_default();
        let declared = Declared::parse(&environ, environ.len() == ENVIRON_BYTES_MAX);
        let name = service::name(path, &cmdline.unwrap_or_default());
        if declared.is_empty()
            && ancestors > 0
            && let Some((parent, parent_stat)) = self.spokesman(dir, stat, name.source)
        {
            return self.said(&parent, &parent_stat, path, ancestors - 1);
        }
        Said { declared, name: name.text }
    }

    /// The parent, if it speaks for the process. A process with a title must have been forked from it and not have
    /// executed anything since: a supervisor written in Python starts other services' Python. One that runs unnamed
    /// program text is its parent's helper wherever both run the same interpreter.
    fn spokesman(&self, dir: &ProcessDir, stat: &Stat, source: Source) -> Option<(Arc<ProcessDir>, Stat)> {
        if source == Source::Command {
            return None;
        }
        let parent = self.proc.process(stat.parent).ok()?;
        let parent_stat = parent.stat()?;
        // The paths, not the files behind them: a look at a file on a dead server would never return.
        let executable = dir.link("exe").ok();
        let speaks = executable.is_some()
            && executable == parent.link("exe").ok()
            && (source == Source::Interpreter || (stat.stack.is_some() && stat.stack == parent_stat.stack));
        speaks.then(|| (Arc::new(parent), parent_stat))
    }
}

/// What a process says of itself, or its parent for it.
struct Said {
    declared: Declared,
    name: String,
}

#[cfg(test)]
mod tests;
