//! Go from 1.18 on: what the probes of goroutines need, found in the executable, stripped or not.
//!
//! - `table`: functions by name, from the table that Go keeps for its own tracebacks
//! - `layout`: offsets, from the code that uses them
//! - `sites`: where probes go; `channels`: those of channels

mod channels;
mod layout;
mod sites;
mod table;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::elf::{Capped, Elf, Segment};
use super::maps::{Mapping, open};
use super::site::{Reach, Site};
use super::{Found, Images, Kind, Layout, Refusal};
use sites::Build;
use table::Table;

/// What a program's file says.
#[derive(Debug)]
pub(super) struct Image {
    version: String,
    sites: Vec<Site>,
    layout: agent_ebpf::wire::config::Go,
    segments: Vec<Segment>,
    /// Where its table of functions is, and what that begins with.
    table: (u64, [u8; 4]),
}

/// Looks at a process.
///
/// # Errors
/// The reason why it is not adapted.
pub(super) fn find(tgid: u32, images: &mut Images) -> Result<Found, Refusal> {
    let program = std::fs::read_link(format!("/proc/{tgid}/exe")).map_err(|_| Refusal::NoRuntime)?;
    let mappings = Mapping::all(tgid).map_err(|_| Refusal::Unreadable("its mappings"))?;
    let mapping = mappings.iter().find(|mapping| program.as_os_str() == mapping.path.as_str());
    let mapping = mapping.ok_or(Refusal::NoRuntime)?;
    let file = open(&mapping.file_of(tgid)).map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
    let image = images.programs.of(file, Image::read)?;
    let layout = image.check(tgid, mapping)?;
    Ok(Found {
        tgid,
        kind: Kind::Go,
        version: image.version.clone(),
        sites: image.sites.clone(),
        greenlets: Ok(()),
        unused: None,
        layout: Some(Layout::Go(layout)),
    })
}

/// Where probes go in a program.
///
/// # Errors
/// It is none of Go's, or none that is known.
pub(super) fn read(file: &Arc<File>) -> Result<Vec<Site>, Refusal> {
    Image::read(file).map(|image| image.sites)
}

impl Image {
    fn read(file: &Arc<File>) -> Result<Self, Refusal> {
        let own = file.try_clone().map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
        let cache = Capped::new(own);
        let elf = Elf::parse(&cache).map_err(|_| Refusal::NoRuntime)?;
        let build = Build::of(&elf, &Table::parse(&elf)?)?;
        let in_file = |(program, address), reach| {
            let offset = elf.file_offset(address).ok_or(Refusal::Symbols("code within the file"))?;
            Ok(Site::new(program, file, offset, reach))
        };
        let always = build.sites.into_iter().map(|site| in_file(site, Reach::File));
        let serving = build.serving.into_iter().map(|site| in_file(site, Reach::Serving));
        let handing = build.handing.into_iter().map(|site| in_file(site, Reach::Watched));
        Ok(Self {
            version: table::version(&elf).unwrap_or_else(|| "go".to_owned()),
            sites: always.chain(serving).chain(handing).collect::<Result<_, _>>()?,
            layout: build.layout,
            segments: elf.segments(),
            table: Table::beginning(&elf).ok_or(Refusal::NoRuntime)?,
        })
    }

    /// The process has its table of functions where its file says. What is read of goroutines is checked each time it is: a `g`
    /// must be what its thread's `m` runs. Gives where things are in this process.
    fn check(&self, tgid: u32, mapping: &Mapping) -> Result<agent_ebpf::wire::config::Go, Refusal> {
        let bias = Segment::bias(&self.segments, mapping.start, mapping.offset);
        let bias = bias.ok_or(Refusal::Unreadable("where its runtime is"))?;
        let memory = File::open(format!("/proc/{tgid}/mem")).map_err(|_| Refusal::Unreadable("its memory"))?;
        let (address, expected) = self.table;
        let mut magic = [0; 4];
        memory.read_exact_at(&mut magic, address.wrapping_add(bias)).map_err(|_| Refusal::Unreadable("its memory"))?;
        if magic != expected {
            return Err(Refusal::Check("its memory is not its file's"));
        }
        let there = |address: u64| if address == 0 { 0 } else { address.wrapping_add(bias) };
        let layout = self.layout;
        Ok(agent_ebpf::wire::config::Go {
            coroutine: there(layout.coroutine),
            runtime: layout.runtime.map(there),
            http: layout.http.map(there),
            cancels: layout.cancels.map(there),
            deadlines: layout.deadlines.map(there),
            permits: layout.permits.map(there),
            ..layout
        })
    }
}
