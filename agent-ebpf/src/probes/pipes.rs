//! Pipes between processes: what is written to them, and read.
//!
//! Hooks: probes in the C library's `write` (POSIX; the number of bytes in the third argument) on the first jump that depends
//! on a condition, before its system call, where the arguments are still in their registers; and in its `read` on the one
//! behind each system call, where `rax` has the number of bytes, and the kernel has left the arguments alone. Only in
//! processes that have such pipes: these functions are called for everything.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;

use crate::kernel::task::Registers;
use crate::messages;

/// Bytes are about to be written.
#[uprobe]
pub fn pipe_write_in(ctx: ProbeContext) -> u32 {
    if let (Some(fd), Some(buffer), Some(length)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2)) {
        messages::written(fd, buffer, length);
    }
    0
}

/// Bytes were read.
#[uprobe]
pub fn pipe_read_out(ctx: ProbeContext) -> u32 {
    let result = Registers::from_probe(ctx.as_ptr()).rax();
    if result.cast_signed() > 0
        && let (Some(fd), Some(buffer), Some(wanted)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2))
    {
        messages::was_read(fd, buffer, wanted, result);
    }
    0
}
