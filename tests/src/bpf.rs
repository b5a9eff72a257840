//! What a process has loaded into the kernel, and what of it is there when the process is gone.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use aya::maps::loaded_maps;
use aya::programs::{loaded_links, loaded_programs};

/// Ids of programs, maps and links. The kernel counts each of them up, so that none is met again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Maps: those the process holds, and those its programs use.
    pub maps: BTreeSet<u32>,
    /// Links: attachments.
    pub links: BTreeSet<u32>,
}

impl Loaded {
    /// What a process holds, as its descriptors say (proc_pid_fdinfo(5)).
    ///
    /// # Errors
    /// It is gone, or holds nothing.
    pub fn by(pid: u32) -> Result<Self> {
        let mut loaded = Self::default();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
            // A descriptor may be closed meanwhile.
            let Ok(info) = fs::read_to_string(entry?.path()) else { continue };
            let id = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok());
            loaded.programs.extend(id("prog_id:"));
            loaded.maps.extend(id("map_id:"));
            loaded.links.extend(id("link_id:"));
        }
        for program in loaded_programs().filter_map(Result::ok) {
            if loaded.programs.contains(&program.id()) {
                loaded.maps.extend(program.map_ids()?.into_iter().flatten());
            }
        }
        ensure!(!loaded.programs.is_empty() && !loaded.links.is_empty(), "process {pid} has nothing loaded");
        Ok(loaded)
    }

    /// The part of it that the kernel still holds.
    #[must_use]
    pub fn left(&self) -> Self {
        // What goes while it is looked at cannot be asked for its id.
        let programs = loaded_programs().filter_map(|program| Some(program.ok()?.id()));
        let maps = loaded_maps().filter_map(|map| Some(map.ok()?.id()));
        let links = loaded_links().filter_map(|link| Some(link.ok()?.id()));
        Self {
            programs: programs.filter(|id| self.programs.contains(id)).collect(),
            maps: maps.filter(|id| self.maps.contains(id)).collect(),
            links: links.filter(|id| self.links.contains(id)).collect(),
        }
    }
}
