//! CPython: what the probes of contexts need, found in its file and checked against the process.
//!
//! Exported in every build, stripped or not: `_PyRuntime`, `PyContext_CopyCurrent`, `PyContext_Type` and, from 3.11 on,
//! `Py_Version`. The function that frees contexts is in the slot `tp_dealloc` of the type.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use agent_ebpf::wire::config::Python;

use super::Refusal;
use super::elf::{Capped, Elf, word};
use super::maps::{Mapping, open};

/// `PyTypeObject.tp_dealloc` (Include/cpython/object.h): the same since 3.0.
const TP_DEALLOC: u64 = 48;
/// Thread states that are looked at.
const THREADS_MAX: usize = 256;

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

/// Offsets of a version's structures: `_PyRuntimeState.interpreters.head`, `PyInterpreterState.threads.head`,
/// `PyThreadState.next`, `thread_id` and `context`. Read out of debugging information of a build of each, and checked against
/// the thread list of every process before they are used.
const fn offsets(minor: u8) -> Option<[u32; 5]> {
    match minor {
        11 => Some([40, 16, 8, 152, 224]),
        _ => None,
    }
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
    let (major, minor, micro) = version(&elf)?;
    let version = format!("{major}.{minor}.{micro}");
    let Some([interpreters_head, threads_head, thread_next, thread_id, thread_context]) =
        offsets(minor).filter(|_| major == 3)
    else {
        return Err(Refusal::Version(version));
    };
    let bias = elf.bias(mapping.start, mapping.offset).ok_or(Refusal::Unreadable("where its runtime is"))?;
    let runtime = elf.exported("_PyRuntime")?.wrapping_add(bias);
    let copy = elf.exported("PyContext_CopyCurrent")?;
    let free = elf.pointer(elf.exported("PyContext_Type")? + TP_DEALLOC).ok_or(Refusal::Symbols("tp_dealloc"))?;
    let python = Python { runtime, interpreters_head, threads_head, thread_next, thread_id, thread_context, pad: 0 };
    check(tgid, &python)?;
    let in_file = |address| elf.file_offset(address).ok_or(Refusal::Symbols("code within the file"));
    Ok(Found {
        tgid,
        version,
        file: path,
        inode: (about.dev(), about.ino()),
        copy: in_file(copy)?,
        free: in_file(behind_marker(&elf, free))?,
        python,
    })
}

/// `Py_Version` (Include/pylifecycle.h): major, minor and micro version in the highest three of four bytes.
fn version(elf: &Elf<'_>) -> Result<(u8, u8, u8), Refusal> {
    let address = elf.exported("Py_Version")?;
    let [_, micro, minor, major] = elf.bytes(address).ok_or(Refusal::Symbols("Py_Version"))?;
    Ok((major, minor, micro))
}

/// The first instruction that does something. The mark of a jump's target would have to be stepped over by itself, at
/// about ten times the cost of the probe; what commonly follows, a push, is emulated.
fn behind_marker(elf: &Elf<'_>, address: u64) -> u64 {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    if elf.bytes(address) == Some(ENDBR64) { address + ENDBR64.len() as u64 } else { address }
}

/// Every thread that the runtime lists is one of the kernel's.
fn check(tgid: u32, python: &Python) -> Result<(), Refusal> {
    let unreadable = |_| Refusal::Unreadable("its memory");
    let memory = File::open(format!("/proc/{tgid}/mem")).map_err(unreadable)?;
    let interpreter = word(&memory, python.runtime + u64::from(python.interpreters_head)).map_err(unreadable)?;
    if interpreter == 0 {
        return Err(Refusal::NotStarted);
    }
    let broken = |_| Refusal::Check("a list of threads leads nowhere");
    let mut state = word(&memory, interpreter.wrapping_add(python.threads_head.into())).map_err(broken)?;
    if state == 0 {
        return Err(Refusal::NotStarted);
    }
    let tasks = tasks(tgid).ok_or(Refusal::Unreadable("its threads"))?;
    for _ in 0..THREADS_MAX {
        if state == 0 {
            return Ok(());
        }
        let member = |offset: u32| word(&memory, state.wrapping_add(offset.into())).map_err(broken);
        // `native_thread_id` follows `thread_id`.
        let native = member(python.thread_id + 8)?;
        // One that is just being made, or has ended, is in no list.
        if native != 0 && !tasks.contains(&native) && !gone_meanwhile(tgid, native) {
            return Err(Refusal::Check("it lists a thread that the kernel does not know"));
        }
        state = member(python.thread_next)?;
    }
    Ok(())
}

/// Thread ids as the process itself knows them.
fn tasks(tgid: u32) -> Option<BTreeSet<u64>> {
    let threads = std::fs::read_dir(format!("/proc/{tgid}/task")).ok()?.flatten().take(4 * THREADS_MAX);
    Some(threads.filter_map(|task| inner_id(&task.path().join("status"))).collect())
}

/// The last number of `NSpid` (proc_pid_status(5)).
fn inner_id(status: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

/// True if the process's threads changed while they were looked at.
fn gone_meanwhile(tgid: u32, native: u64) -> bool {
    tasks(tgid).is_none_or(|tasks| tasks.contains(&native))
}
