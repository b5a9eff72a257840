//! The proof that a call's registers name the hook's socket, and the bytes copied on its strength.
//!
//! io_uring completions and sockets of the kernel's own fire the payload hooks under an unrelated system call. So the
//! task must be in a 64-bit call of its own that moves bytes in the hook's direction and is not over already, and the
//! call's descriptor must be the hook's socket.

use agent_ebpf::rules::syscall::{receiving, sending};
use agent_ebpf::wire::loss;
use agent_ebpf::wire::record::{direction, flag};

use crate::kernel::sock::{AF_UNIX, Sock};
use crate::kernel::task::Task;
use crate::kernel::user::{self, Captured};
use crate::maps::Scratch;

/// `MSG_TRUNC`: TCP takes the bytes from the stream and copies none of them (tcp(7)).
const MSG_TRUNC: u32 = 0x20;
/// `MSG_DONTWAIT`, which the kernel adds to a receive from a descriptor in non-blocking mode, and this file to a send.
const MSG_DONTWAIT: u32 = 0x40;
/// `O_NONBLOCK`.
const O_NONBLOCK: u32 = 0o4000;

/// What was proven and copied.
#[derive(Clone, Copy)]
pub struct Proof {
    /// Bytes copied to the scratch buffer.
    pub bytes: u32,
    /// Why there are fewer than wanted: a loss reason, or 0.
    pub unseen: u16,
    /// Bits of [`flag`].
    pub flags: u8,
}

/// Proves the call of the current task for a socket, and copies what is wanted of its bytes.
#[inline(always)]
pub fn prove(sock: Sock, scratch: &mut Scratch, family: u16, direction: u8, wanted: u32, call_flags: u32) -> Proof {
    let file_flags = sock.file(&mut scratch.file);
    let mut call_flags = if family == AF_UNIX { call_flags & !MSG_TRUNC } else { call_flags };
    if file_flags & O_NONBLOCK != 0 {
        call_flags |= MSG_DONTWAIT;
    }
    // SAFETY: it is a reference.
    let file = unsafe { core::ptr::read_volatile(&raw const scratch.file) };
    let proof = prove_call(file, u64::from(direction), u64::from(wanted), u64::from(call_flags));
    Proof { bytes: proof as u32, unseen: (proof >> 32) as u16, flags: (proof >> 48) as u8 }
}

/// [`prove`] in numbers alone, so that the verifier checks it once; `file` is the address of the socket's file.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn prove_call(file: u64, direction: u64, wanted: u64, call_flags: u64) -> u64 {
    let mut flags = 0;
    let captured = captured(file, direction as u8, wanted as u32, call_flags as u32, &mut flags);
    u64::from(captured.bytes) | u64::from(captured.unseen) << 32 | u64::from(flags) << 48
}

#[inline(always)]
fn captured(file: u64, direction: u8, wanted: u32, call_flags: u32, flags: &mut u8) -> Captured {
    let refused = |unseen| Captured { bytes: 0, unseen };
    let task = Task::current();
    if !task.has_user_registers() {
        return refused(loss::NO_USER_CALLER);
    }
    let registers = task.registers();
    let number = registers.number();
    let buffers = if direction == direction::SEND { sending(number) } else { receiving(number) };
    let Some(buffers) = buffers.filter(|_| registers.in_call()) else {
        return refused(loss::OTHER_SYSCALL);
    };
    if file == 0 || task.file_of(registers.first() as u32) != file {
        return refused(loss::OTHER_SOCKET);
    }
    *flags = flag::PROVEN;
    if call_flags & MSG_DONTWAIT == 0 {
        *flags |= flag::BLOCKING;
    }
    if wanted == 0 {
        return refused(0);
    }
    if direction == direction::RECV && call_flags & MSG_TRUNC != 0 {
        return refused(loss::TRUNCATED);
    }
    user::capture(registers, buffers, wanted)
}
