//! greenlet, below gevent: several stacks of one thread, of which one runs.
//!
//! Which one does is a variable of the thread's own (`g_thread_state_global`, TThreadStateCreator.hpp). It leads to a
//! `ThreadState` (TThreadState.hpp), whose first two members are the thread's first greenlet and the one that runs now, set at
//! every switch, whoever asked for it. So nothing that switches needs a probe, and nothing that switches gets one.
//!
//! Exported in every build since 2.0, stripped or not: `PyGreenlet_Type`, and the function that makes a greenlet, the
//! constructor of `UserGreenlet`. The variable has no name; it is the one through which what is found is a greenlet.

use std::fs::File;
use std::sync::Arc;

use agent_ebpf::wire::names::program;

use super::super::Refusal;
use super::super::elf::{Capped, Elf, Segment, word};
use super::super::maps::{Mapping, open};
use super::super::site::{Reach, Site};
use super::image::Images;

/// `PyObject.ob_type`, `PyTypeObject.tp_dealloc` and `tp_base` (Include/object.h, Include/cpython/object.h).
const OB_TYPE: u64 = 8;
const TP_DEALLOC: u64 = 48;
const TP_BASE: u64 = 256;
/// How far a class is from greenlet's own at most.
const BASES_MAX: usize = 16;
/// The constructor, in the names of compilers (Itanium C++ ABI, 5.1): whole, and for the part of a subclass.
const MAKE: [&str; 2] = ["_ZN8greenlet12UserGreenletC1E", "_ZN8greenlet12UserGreenletC2E"];
/// Bytes of variables of a thread's own that greenlet may have: 16 in all releases from 2.0.2 to 3.5.6.
const VARIABLES_MAX: u64 = 64;
/// Where a thread's pointer leads to its table of variables: the same in glibc (`tcbhead_t.dtv`) and musl.
const TABLE: u64 = 8;
/// Greenlets switch while they are looked at: it is looked so often.
const LOOKS: usize = 3;

/// The file of greenlet.
#[derive(Debug)]
pub(super) struct Image {
    /// Where probes go, in the order they are attached in.
    pub(super) sites: Vec<Site>,
    /// Address of `PyGreenlet_Type`, before it is moved.
    class: u64,
    /// Where the loader leaves greenlet's number among the owners of variables, likewise.
    number: u64,
    /// Bytes of its variables.
    variables: u64,
    segments: Vec<Segment>,
}

impl Image {
    /// Reads the file of greenlet.
    ///
    /// # Errors
    /// It is none, or none that is known.
    pub(super) fn read(file: &Arc<File>) -> Result<Self, Refusal> {
        let copy = file.try_clone().map_err(|_| Refusal::Unreadable("the file of greenlet"))?;
        let cache = Capped::new(copy);
        let elf = Elf::parse(&cache)?;
        let make = MAKE.iter().find_map(|name| elf.exported_as(name)).ok_or(Refusal::Symbols("UserGreenlet"))?;
        let class = elf.exported("PyGreenlet_Type")?;
        let free = elf.pointer(class.wrapping_add(TP_DEALLOC)).ok_or(Refusal::Symbols("tp_dealloc"))?;
        let site = |program, address| {
            let offset = elf.file_offset(elf.behind_marker(address)).ok_or(Refusal::Symbols("code within the file"))?;
            Ok(Site::new(program, file, offset, Reach::File))
        };
        Ok(Self {
            // What is freed must be known before what is made is.
            sites: vec![site(program::GREENLET_FREE, free)?, site(program::GREENLET_MAKE, make)?],
            class,
            number: elf.module_id().ok_or(Refusal::Symbols("variables of a thread's own"))?,
            variables: elf.thread_local_bytes(),
            segments: elf.segments(),
        })
    }
}

/// What is known of greenlets in a process.
pub(super) struct Greenlets {
    /// The file.
    pub(super) image: Arc<Image>,
    /// Where each is found.
    pub(super) places: Places,
    /// A thread was seen to use them. Before, the places are what they are in all releases.
    pub(super) seen: bool,
}

/// Where a thread keeps its greenlets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Where in a thread's table of variables those of greenlet are told.
    pub(super) slot: u32,
    /// Which of them leads to the thread's greenlets.
    pub(super) variable: u32,
    /// Address of `PyGreenlet_Type`.
    pub(super) class: u64,
}

/// Looks for greenlet in a process, whose threads have these thread pointers.
///
/// # Errors
/// The reason why its greenlets are not known.
pub(super) fn find(tgid: u32, threads: &[u64], all: &[Mapping], images: &mut Images) -> Result<Greenlets, Refusal> {
    let named = |start: &str, mapping: &Mapping| mapping.name().starts_with(start);
    let mapping = all.iter().find(|mapping| named("_greenlet.", mapping)).ok_or(Refusal::NoRuntime)?;
    let file = open(&mapping.file_of(tgid)).map_err(|_| Refusal::Unreadable("the file of greenlet"))?;
    let image = images.greenlets.of(file, Image::read)?;
    let bias = Segment::bias(&image.segments, mapping.start, mapping.offset);
    let bias = bias.ok_or(Refusal::Unreadable("where greenlet is"))?;
    let memory = File::open(format!("/proc/{tgid}/mem")).map_err(|_| Refusal::Unreadable("its memory"))?;
    let number = word(&memory, image.number.wrapping_add(bias)).map_err(|_| Refusal::Unreadable("its memory"))?;
    // musl's table holds a pointer for each owner; glibc's another word with it.
    let entry = if all.iter().any(|mapping| named("ld-musl-", mapping)) { 8 } else { 16 };
    let slot = number.checked_mul(entry).and_then(|slot| u32::try_from(slot).ok()).filter(|slot| *slot != 0);
    let slot = slot.ok_or(Refusal::Check("greenlet's variables lead nowhere"))?;
    let process = Process { memory, slot, class: image.class.wrapping_add(bias) };
    let seen = (0..LOOKS).find_map(|_| process.variable(threads, image.variables));
    // The last of them in all releases.
    let variable = seen.or_else(|| u32::try_from(image.variables.checked_sub(8)?).ok());
    let variable = variable.ok_or(Refusal::Check("greenlet has no variables"))?;
    let places = Places { slot, variable, class: process.class };
    Ok(Greenlets { image, places, seen: seen.is_some() })
}

/// A process's memory, and what is known of it so far.
struct Process {
    memory: File,
    slot: u32,
    class: u64,
}

impl Process {
    /// The variable that leads to greenlets, on any of the threads; none if no thread has used greenlets yet.
    fn variable(&self, threads: &[u64], bytes: u64) -> Option<u32> {
        let variables = || (0..bytes.min(VARIABLES_MAX)).step_by(8);
        let block = |pointer: &u64| {
            let table = self.word(pointer.wrapping_add(TABLE))?;
            self.word(table.wrapping_add(self.slot.into()))
        };
        let found = threads.iter().filter_map(block).find_map(|block| {
            variables().find(|variable| self.leads_to_greenlets(block.wrapping_add(*variable)).is_some())
        });
        found.and_then(|variable| u32::try_from(variable).ok())
    }

    /// A thread's first greenlet is greenlet's own class, and the one that runs at least derived from it.
    fn leads_to_greenlets(&self, variable: u64) -> Option<()> {
        let state = self.word(variable)?;
        let (first, current) = (self.word(state)?, self.word(state.wrapping_add(8))?);
        let class = |object: u64| self.word(object.wrapping_add(OB_TYPE));
        (class(first)? == self.class).then_some(())?;
        let mut of_current = class(current)?;
        for _ in 0..BASES_MAX {
            if of_current == self.class {
                return Some(());
            }
            of_current = self.word(of_current.wrapping_add(TP_BASE))?;
        }
        None
    }

    fn word(&self, address: u64) -> Option<u64> {
        word(&self.memory, address).ok()
    }
}
