//! Probes of runtimes, attached once for each file, and what the kernel half is told of each process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agent_ebpf::wire::config::{Python, UnitKey, UnitState};
use agent_ebpf::wire::names;
use anyhow::{Context as _, Result, bail};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};
use aya::programs::UProbe;
use aya::programs::uprobe::UProbeScope;
use zerocopy::FromBytes as _;

use super::python::Found;
use super::selftest;

/// Files with probes. Each has two, and a probe takes about 0.1 s to detach: so many are gone within 10 s.
const FILES_MAX: usize = 48;

type Bytes<const N: usize> = [u8; N];

/// What is attached.
pub(in crate::attach) struct Probes {
    pythons: HashMap<MapData, u32, Bytes<{ size_of::<Python>() }>>,
    units: HashMap<MapData, Bytes<{ size_of::<UnitKey>() }>, Bytes<{ size_of::<UnitState>() }>>,
    /// Device and inode of each file with probes.
    files: BTreeSet<(u64, u64)>,
    /// The agent's own program.
    program: PathBuf,
    /// What became of the programs, once they were asked for.
    loaded: Option<Result<(), String>>,
}

impl Probes {
    pub(in crate::attach) fn new(ebpf: &mut Ebpf, program: PathBuf) -> Result<Self> {
        let mut take = |name: &str| ebpf.take_map(name).with_context(|| format!("the kernel half has no map {name}"));
        Ok(Self {
            pythons: HashMap::try_from(take(names::PYTHONS)?)?,
            units: HashMap::try_from(take(names::UNITS)?)?,
            files: BTreeSet::new(),
            program,
            loaded: None,
        })
    }

    /// Attaches the probes that a process needs, and tells the kernel half of it.
    pub(in crate::attach) fn adapt(&mut self, ebpf: &mut Ebpf, found: &Found) -> Result<()> {
        if let Err(why) =
            self.loaded.get_or_insert_with(|| load(ebpf, &self.program).map_err(|error| format!("{error:#}")))
        {
            bail!("{why}");
        }
        if !self.files.contains(&found.inode) {
            if self.files.len() >= FILES_MAX {
                bail!("{FILES_MAX} files have probes, and no more are attached");
            }
            // What is freed must be known before what is made is.
            let sites = [(names::program::PYTHON_FREE, found.free), (names::program::PYTHON_COPY, found.copy)];
            for (name, offset) in sites {
                let link = probe(ebpf, name)?.attach(offset, &found.file, UProbeScope::AllProcesses);
                link.with_context(|| format!("cannot attach {name} to {}", found.file.display()))?;
            }
            self.files.insert(found.inode);
        }
        let python: Bytes<{ size_of::<Python>() }> = zerocopy::transmute!(found.python);
        self.pythons.insert(found.tgid, python, 0).context("too many Python processes")
    }

    pub(in crate::attach) fn units(&self) -> usize {
        self.units.keys().flatten().count()
    }

    /// Forgets the units of processes that have ended.
    pub(in crate::attach) fn forget(&mut self, ended: &BTreeSet<u32>) {
        let is_of = |key: &Bytes<{ size_of::<UnitKey>() }>| {
            UnitKey::read_from_bytes(key).is_ok_and(|key| ended.contains(&key.tgid))
        };
        let keys: Vec<_> = self.units.keys().flatten().filter(is_of).collect();
        for key in keys {
            // A probe may have been first.
            let _ = self.units.remove(&key);
        }
    }
}

/// Loads the programs, and makes sure that they harm nobody.
pub(in crate::attach) fn load(ebpf: &mut Ebpf, program: &Path) -> Result<()> {
    for name in [names::program::PYTHON_FREE, names::program::PYTHON_COPY] {
        probe(ebpf, name)?.load().with_context(|| format!("cannot load {name}"))?;
    }
    selftest::run(probe(ebpf, names::program::PYTHON_COPY)?, program).map_err(anyhow::Error::msg)
}

fn probe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe> {
    let program = ebpf.program_mut(name).with_context(|| format!("the kernel half has no program {name}"))?;
    Ok(program.try_into()?)
}
