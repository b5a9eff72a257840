//! Pipes through which a process hands work to its children: where what is written to them is seen, and read.
//!
//! The C library's `write` and `read` are called for everything, so they have probes only in processes that loaded what pools
//! of processes are made of. Sites are the conditional jumps that these functions have anyway, which the kernel emulates: the
//! first one of `write`, where it asks whether there are other threads, and the ones behind the system calls of `read`, where
//! it asks whether they failed (glibc, sysdeps/unix/sysv/linux/read.c up to 2.40).

use std::fs::File;
use std::sync::Arc;

use agent_ebpf::wire::names::program;
use iced_x86::{FlowControl, Instruction, Mnemonic};

use super::code::{BYTES_MAX, Code};
use super::elf::{Capped, Elf};
use super::maps::{Mapping, open};
use super::site::{Reach, Site};
use super::{Images, Refusal};

/// Names that begin so: the extension that Python's `multiprocessing` waits with, and Celery's version of it.
const POOLS: [&str; 2] = ["_multiprocessing.", "_billiard."];
/// The C library, by its names of today and before glibc 2.34.
fn is_library(name: &str) -> bool {
    name == "libc.so.6" || name.starts_with("libc-2.")
}

/// Where probes go in a process that may hand work on through pipes; none if it does not, or nothing is known of its library.
pub(super) fn find(tgid: u32, all: &[Mapping], images: &mut Images) -> Option<Arc<Vec<Site>>> {
    let has_pools = all.iter().any(|mapping| POOLS.iter().any(|name| mapping.name().starts_with(name)));
    if !has_pools {
        return None;
    }
    let library = Mapping::first(all, is_library);
    let file = open(&library.first()?.file_of(tgid)).ok()?;
    images.libraries.of(file, read).ok()
}

/// Where probes go in the file of a C library.
///
/// # Errors
/// It is none, or none that is known.
pub(super) fn read(file: &Arc<File>) -> Result<Vec<Site>, Refusal> {
    let copy = file.try_clone().map_err(|_| Refusal::Unreadable("the file of its C library"))?;
    let cache = Capped::new(copy);
    let elf = Elf::parse(&cache)?;
    let function = |name| {
        let (address, size) = elf.exported_function(name)?;
        let bytes = elf.piece(address, size.min(BYTES_MAX)).ok_or(Refusal::Symbols("code within the file"))?;
        Ok(Code::new(address, bytes))
    };
    let write = before_call(function("write")?.instructions()).ok_or(Refusal::Symbols("a jump in write"))?;
    let reads = behind_calls(function("read")?.instructions());
    if reads.is_empty() {
        return Err(Refusal::Symbols("a jump behind the system call of read"));
    }
    let site = |program, address| {
        let offset = elf.file_offset(address).ok_or(Refusal::Symbols("code within the file"))?;
        Ok(Site::new(program, file, offset, Reach::Process))
    };
    // What is written must be known before it is read.
    let sites = std::iter::once((program::PIPE_WRITE, write));
    sites.chain(reads.into_iter().map(|at| (program::PIPE_READ, at))).map(|(program, at)| site(program, at)).collect()
}

/// The first conditional jump, if nothing before it leads elsewhere or is a system call.
fn before_call(code: &[Instruction]) -> Option<u64> {
    let first =
        code.iter().find(|one| one.flow_control() != FlowControl::Next || one.mnemonic() == Mnemonic::Syscall)?;
    is_conditional(first).then(|| first.ip())
}

/// The conditional jump two instructions behind each system call: a comparison, and what is done about it.
fn behind_calls(code: &[Instruction]) -> Vec<u64> {
    let calls = code.windows(3).filter(|three| three[0].mnemonic() == Mnemonic::Syscall);
    let asks = calls.filter(|three| three[1].mnemonic() == Mnemonic::Cmp && is_conditional(&three[2]));
    asks.map(|three| three[2].ip()).collect()
}

fn is_conditional(instruction: &Instruction) -> bool {
    instruction.flow_control() == FlowControl::ConditionalBranch
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cmp byte [rip], 0; je +12; xor eax, eax; syscall; cmp rax, -4096; ja +1; ret; ret`.
    const READ: &[u8] = b"\x80\x3d\0\0\0\0\0\x74\x0d\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x77\x01\xc3\xc3";

    #[test]
    fn sites_are_jumps_around_system_calls() {
        let code = Code::new(0x1000, READ);
        assert_eq!(before_call(code.instructions()), Some(0x1007));
        assert_eq!(behind_calls(code.instructions()), [0x1013]);
        let behind = Code::new(0x1009, &READ[9..]);
        assert_eq!(before_call(behind.instructions()), None, "the call comes first");
        assert!(behind_calls(Code::new(0, b"\x0f\x05\xc3\xc3\xc3").instructions()).is_empty());
    }

    #[test]
    fn this_machines_library_has_them() {
        let all = Mapping::all(std::process::id()).expect("readable");
        let library = Mapping::first(&all, is_library);
        let file = open(&library[0].file_of(std::process::id())).expect("readable");
        let sites = read(&Arc::new(file)).expect("known");
        let programs: Vec<_> = sites.iter().map(|site| site.program).collect();
        assert_eq!(programs[0], program::PIPE_WRITE);
        assert!(programs[1..].iter().all(|name| *name == program::PIPE_READ) && programs.len() > 1, "{programs:?}");
    }
}
