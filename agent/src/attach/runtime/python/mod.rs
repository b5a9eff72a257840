//! CPython: what the probes of contexts need, found in its file and checked against the process.
//!
//! - `layout`: versions, and where each keeps what is read
//! - `check`: whether a process is what it seems
//!
//! Exported in every build, stripped or not: `_PyRuntime`, `PyContext_CopyCurrent`, `PyContext_Type`, `Py_GetVersion` and,
//! from 3.11 on, `Py_Version`. The function that frees contexts is in the slot `tp_dealloc` of the type.

mod check;
mod layout;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use agent_ebpf::wire::config::Python;

use super::Refusal;
use super::elf::{Capped, Elf};
use super::maps::{Mapping, open};
use check::Expected;
use layout::Layout;

/// `PyTypeObject.tp_dealloc` (Include/cpython/object.h): the same since 3.0.
const TP_DEALLOC: u64 = 48;

/// A Python process, and where the probes of its runtime go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub tgid: u32,
    /// The version, in words.
    pub version: String,
    /// The file its runtime is in, as a path that leads to it now.
    pub file: PathBuf,
    /// Device and inode of the file.
    pub inode: (u64, u64),
    /// Where in the file `PyContext_CopyCurrent` begins.
    pub copy: u64,
    /// Where in the file contexts are freed.
    pub free: u64,
    /// What the kernel half is told.
    pub python: Python,
}

/// Looks at a process.
///
/// # Errors
/// The reason why it is not adapted.
pub fn find(tgid: u32) -> Result<Found, Refusal> {
    let is_python = |name: &str| name.starts_with("python") || name.starts_with("libpython");
    let mappings = Mapping::of(tgid, is_python).map_err(|_| Refusal::Unreadable("its mappings"))?;
    let mut refusal = Refusal::NoRuntime;
    // An interpreter may have its runtime in a library, and then exports nothing itself.
    for mapping in mappings.iter().rev() {
        match look(tgid, mapping) {
            Err(why) => refusal = why,
            found => return found,
        }
    }
    Err(refusal)
}

fn look(tgid: u32, mapping: &Mapping) -> Result<Found, Refusal> {
    let path = mapping.file_of(tgid);
    let file = open(&path).map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
    let about = file.metadata().map_err(|_| Refusal::Unreadable("the file of its runtime"))?;
    let cache = Capped::new(file);
    let elf = Elf::parse(&cache)?;
    let (version, layout) = Layout::of(&elf)?;
    let bias = elf.bias(mapping.start, mapping.offset).ok_or(Refusal::Unreadable("where its runtime is"))?;
    let runtime = elf.exported("_PyRuntime")?.wrapping_add(bias);
    let copy = elf.exported("PyContext_CopyCurrent")?;
    let context_type = elf.exported("PyContext_Type")?;
    let free = elf.pointer(context_type + TP_DEALLOC).ok_or(Refusal::Symbols("tp_dealloc"))?;
    Expected { tgid, runtime, context_type: context_type.wrapping_add(bias), layout }.check()?;
    let python = Python {
        runtime,
        interpreters_head: layout.interpreters_head,
        threads_head: layout.threads_head,
        thread_next: layout.thread_next,
        thread_id: layout.thread_id,
        thread_context: layout.context,
        pad: 0,
    };
    let in_file = |address| elf.file_offset(address).ok_or(Refusal::Symbols("code within the file"));
    Ok(Found {
        tgid,
        version: version.to_string(),
        file: path,
        inode: (about.dev(), about.ino()),
        copy: in_file(copy)?,
        free: in_file(behind_marker(&elf, free))?,
        python,
    })
}

/// The first instruction that does something. The mark of a jump's target would have to be stepped over by itself, at
/// about ten times the cost of the probe; what commonly follows, a push, is emulated.
fn behind_marker(elf: &Elf<'_>, address: u64) -> u64 {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    if elf.bytes(address) == Some(ENDBR64) { address + ENDBR64.len() as u64 } else { address }
}
