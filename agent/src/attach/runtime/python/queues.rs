//! Queues of CPython: where what is put into them, and taken, is seen.
//!
//! `SimpleQueue` (Modules/_queuemodule.c) is what executors wait at. `queue.Queue` and `asyncio.Queue` keep their items in a
//! `deque` (Modules/_collectionsmodule.c), as the loops of asyncio and much else do: probes there are for the processes that
//! serve. None of these functions is exported, but the tables of methods name them, also where symbols are stripped.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use agent_ebpf::wire::names::program;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::super::Refusal;
use super::super::elf::{Capped, Elf};
use super::super::maps::Mapping;
use super::super::site::{Reach, Site};
use super::layout::Version;
use super::takes::{self, Registers};

/// Names that stand in the table of methods of a deque, and in no other type's.
const DEQUE: [&str; 3] = ["append", "appendleft", "popleft"];
/// Likewise of a `SimpleQueue`.
const SIMPLE_QUEUE: [&str; 4] = ["get", "get_nowait", "put", "put_nowait"];
/// Names of a directory of extensions that are looked at.
const NAMES_MAX: usize = 1024;

/// Where the queues in a file are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    /// Places.
    pub(super) sites: Vec<Site>,
    /// Which registers hold what was taken from a `SimpleQueue`; none where that is what `get` returns.
    pub(super) taken: Option<Registers>,
}

/// Those in the file of the runtime itself. `list` is where a `SimpleQueue` leads to its list; 0 where it has none.
pub(super) fn in_runtime(elf: &Elf<'_>, file: &Arc<File>, list: u32) -> Queues {
    let mut queues = simple_queue(elf, file, list);
    if let Some([append, _, popleft]) = elf.methods(DEQUE) {
        let hot = |program, at| {
            let offset = elf.file_offset(elf.behind_marker(at))?;
            Some(Site::new(program, file, offset, Reach::Watched))
        };
        // What is put must be seen taken, so that comes first.
        queues.sites.extend(hot(program::PYTHON_POPLEFT, popleft));
        queues.sites.extend(hot(program::PYTHON_APPEND, append));
    }
    queues
}

/// Those in the extension.
///
/// # Errors
/// It is no extension.
pub(super) fn in_extension(file: &Arc<File>, list: u32) -> Result<Queues, Refusal> {
    let copy = file.try_clone().map_err(|_| Refusal::Unreadable("the file of its queues"))?;
    let cache = Capped::new(copy);
    Ok(simple_queue(&Elf::parse(&cache)?, file, list))
}

fn simple_queue(elf: &Elf<'_>, file: &Arc<File>, list: u32) -> Queues {
    let Some([get, get_nowait, put, put_nowait]) = elf.methods(SIMPLE_QUEUE) else { return Queues::default() };
    let site = |program, at, reach| Some(Site::new(program, file, elf.file_offset(at)?, reach));
    let found = if list == 0 { None } else { takes::find(elf, &[get, get_nowait], list.into()) };
    let taken = found.iter().flatten().map(|taken| taken.registers).next();
    let takes: Vec<_> = match found {
        Some(found) => found.iter().map(|taken| site(program::PYTHON_TAKEN, taken.at, Reach::File)).collect(),
        // A return probe needs the very beginning.
        None => [get, get_nowait].map(|at| site(program::PYTHON_GET, at, Reach::Serving)).into(),
    };
    let puts = [put, put_nowait].map(|at| site(program::PYTHON_PUT, elf.behind_marker(at), Reach::File));
    Queues { sites: takes.into_iter().chain(puts).flatten().collect(), taken }
}

/// The file of the extension with the queues. It is loaded when a program first asks for it, and may not be yet, so it is
/// looked for where extensions are: beside others of the process, or where those of the interpreter commonly are.
pub(super) fn extension(tgid: u32, version: Version, runtime: &Path, mappings: &[Mapping]) -> Option<File> {
    let beside = mappings.iter().filter_map(|mapping| Path::new(&mapping.path).parent());
    let library = format!("python{}.{}/lib-dynload", version.major, version.minor);
    let above = runtime.parent()?;
    let common = [above.join(&library), above.parent()?.join("lib").join(&library)];
    let beside = beside.filter(|directory| directory.ends_with("lib-dynload")).map(Path::to_owned);
    let mut seen: Vec<PathBuf> = Vec::new();
    for directory in beside.chain(common) {
        if !seen.contains(&directory) {
            if let Some(file) = named_queue(tgid, &directory) {
                return Some(file);
            }
            seen.push(directory);
        }
    }
    None
}

fn named_queue(tgid: u32, directory: &Path) -> Option<File> {
    let listed = within(tgid, directory, OFlags::DIRECTORY)?;
    let entries = rustix::fs::Dir::read_from(&listed).ok()?.take(NAMES_MAX).flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    let name = names.find(|name| name.starts_with("_queue.") && name.ends_with(".so"))?;
    let file = within(tgid, &directory.join(name), OFlags::NONBLOCK)?;
    file.metadata().is_ok_and(|about| about.is_file()).then_some(file)
}

/// Opens a path as the process sees it: whatever it leads to is below the process's own root.
fn within(tgid: u32, path: &Path, flags: OFlags) -> Option<File> {
    let root = File::open(format!("/proc/{tgid}/root")).ok()?;
    let inside: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat2(&root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS);
    Some(opened.ok()?.into())
}
