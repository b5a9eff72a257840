//! What the files of CPython say: read once, and remembered for as long as they are the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use agent_ebpf::wire::names::program;

use super::super::elf::{Capped, Elf, Segment};
use super::super::site::{Reach, Site};
use super::super::{Refusal, go};
use super::layout::{Layout, Version};
use super::queues::{self, Queues};
use super::takes::Registers;
use super::{copies, greenlet};

/// `PyTypeObject.tp_dealloc` (Include/cpython/object.h): the same since 3.0.
const TP_DEALLOC: u64 = 48;
/// Files that are remembered. Beyond it all are read anew.
const FILES_MAX: usize = 128;

/// A file of CPython.
#[derive(Debug)]
pub(super) struct Image {
    /// The version.
    pub(super) version: Version,
    /// Where that keeps things.
    pub(super) layout: Layout,
    /// Address of `_PyRuntime`, before it is moved.
    pub(super) runtime: u64,
    /// Address of `PyContext_Type`, likewise.
    pub(super) context_type: u64,
    /// Address of `None`, likewise.
    pub(super) none: u64,
    /// Where probes go, in the order they are attached in.
    pub(super) sites: Vec<Site>,
    /// Which registers hold what was taken from a `SimpleQueue`, if the runtime has that itself.
    pub(super) taken: Option<Registers>,
    segments: Vec<Segment>,
}

impl Image {
    /// Reads the file of a runtime.
    ///
    /// # Errors
    /// It is none, or none that is supported.
    pub(super) fn read(file: &Arc<File>) -> Result<Self, Refusal> {
        let copy = file.try_clone().map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
        let cache = Capped::new(copy);
        let elf = Elf::parse(&cache)?;
        let (version, layout) = Layout::of(&elf)?;
        let copy = elf.exported("PyContext_CopyCurrent")?;
        let context_type = elf.exported("PyContext_Type")?;
        let free = elf.pointer(context_type.wrapping_add(TP_DEALLOC)).ok_or(Refusal::Symbols("tp_dealloc"))?;
        let in_file = |address| elf.file_offset(address).ok_or(Refusal::Symbols("code within the file"));
        // What is freed must be known before what is made is.
        let mut sites = vec![Site::new(program::PYTHON_FREE, file, in_file(elf.behind_marker(free))?, Reach::File)];
        match copies::find(&elf, copy) {
            Ok(copies) => {
                for (program, at) in copies {
                    sites.push(Site::new(program, file, in_file(at)?, Reach::File));
                }
            }
            // A build that is not known: what the function returns is the same.
            Err(_) => sites.push(Site::new(program::PYTHON_COPY, file, in_file(copy)?, Reach::Serving)),
        }
        let queues = queues::in_runtime(&elf, file, layout.simple_list);
        sites.extend(queues.sites);
        Ok(Self {
            version,
            layout,
            runtime: elf.exported("_PyRuntime")?,
            context_type,
            none: elf.exported("_Py_NoneStruct")?,
            sites,
            taken: queues.taken,
            segments: elf.segments(),
        })
    }

    /// What is added to addresses in a process that has mapped the file's part from `offset` on at `start`.
    pub(super) fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        Segment::bias(&self.segments, start, offset)
    }
}

/// What is remembered of files.
#[derive(Debug, Default)]
pub struct Images {
    /// Of runtimes.
    pub(super) runtimes: Remembered<Image>,
    /// Of greenlet.
    pub(super) greenlets: Remembered<greenlet::Image>,
    /// Of Go's programs.
    pub(in crate::attach::runtime) programs: Remembered<go::Image>,
    /// Of the extension with the queues.
    pub(super) extensions: Remembered<Queues>,
    /// Of the C library.
    pub(in crate::attach::runtime) libraries: Remembered<Vec<Site>>,
}

/// What was read of files.
#[derive(Debug)]
pub(in crate::attach::runtime) struct Remembered<T>(BTreeMap<FileId, Result<Arc<T>, Refusal>>);

/// What tells a file from another, and from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Remembered<T> {
    /// What a file says, read if it was not before.
    ///
    /// # Errors
    /// The reason why it says nothing.
    pub(in crate::attach::runtime) fn of(
        &mut self,
        file: File,
        read: impl FnOnce(&Arc<File>) -> Result<T, Refusal>,
    ) -> Result<Arc<T>, Refusal> {
        let about = file.metadata().map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
        let changed = (about.ctime(), about.ctime_nsec());
        let id = FileId { device: about.dev(), inode: about.ino(), size: about.size(), changed };
        if let Some(known) = self.0.get(&id) {
            return known.clone();
        }
        let outcome = read(&Arc::new(file)).map(Arc::new);
        if self.0.len() >= FILES_MAX {
            self.0.clear();
        }
        self.0.insert(id, outcome.clone());
        outcome
    }
}
