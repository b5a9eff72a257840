//! User memory: the buffers of the current system call.

use core::ffi::c_void;
use core::hint::black_box;
use core::mem::MaybeUninit;

use agent_ebpf::rules::syscall::Buffers;
use agent_ebpf::wire::loss;
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::kernel::task::Registers;
use crate::maps::{CAPTURE_BYTES_MAX, SCRATCH, Scratch, Value};

/// Buffers of one call that are walked.
const BUFFERS_MAX: u64 = 8;

/// `struct iovec` (include/uapi/linux/uio.h).
#[derive(Clone, Copy)]
#[repr(C)]
struct Vector {
    base: u64,
    length: u64,
}

/// The part of `struct user_msghdr` (include/linux/socket.h) that names the buffers.
#[derive(Clone, Copy)]
#[repr(C)]
struct MessageHead {
    name: u64,
    name_length: u64,
    vectors: u64,
    count: u64,
}

/// What was captured, and why it falls short.
pub struct Captured {
    /// Bytes copied.
    pub bytes: u32,
    /// A loss reason, or 0.
    pub unseen: u16,
}

/// Copies up to `wanted` bytes of the call's buffers to the scratch buffer.
#[inline(always)]
pub fn capture(registers: Registers, buffers: Buffers, wanted: u32) -> Captured {
    match buffers {
        Buffers::Flat => match fill(0, wanted, registers.second()) {
            Some(bytes) => Captured { bytes, unseen: 0 },
            None => Captured { bytes: 0, unseen: loss::USER_FAULT },
        },
        Buffers::Vector => vectors(registers.second(), registers.third(), wanted),
        Buffers::Message => match read::<MessageHead>(registers.second()) {
            Some(head) => vectors(head.vectors, head.count, wanted),
            None => Captured { bytes: 0, unseen: loss::USER_FAULT },
        },
        Buffers::Many => Captured { bytes: 0, unseen: loss::MULTI_MESSAGE },
    }
}

#[inline(always)]
fn vectors(address: u64, count: u64, wanted: u32) -> Captured {
    let (first, second) = if count < 2 {
        (read::<Vector>(address), Vector { base: 0, length: 0 })
    } else {
        // A head and the beginning of its body are two buffers to many servers.
        match read::<[Vector; 2]>(address) {
            Some([first, second]) => (Some(first), second),
            None => (None, Vector { base: 0, length: 0 }),
        }
    };
    let mut filled = 0_u32;
    for index in 0..BUFFERS_MAX {
        if index >= count || filled >= wanted {
            return Captured { bytes: filled, unseen: 0 };
        }
        let vector = match index {
            0 => first,
            1 => Some(second),
            _ => read::<Vector>(address + index * size_of::<Vector>() as u64),
        };
        let now_filled = match vector {
            Some(Vector { base, length }) => take_buffer(base, length, u64::from(filled), u64::from(wanted)),
            None => FAULT,
        };
        if now_filled == FAULT {
            return Captured { bytes: filled, unseen: loss::USER_FAULT };
        }
        filled = now_filled as u32;
    }
    let unseen = if filled < wanted && count > BUFFERS_MAX { loss::MANY_BUFFERS } else { 0 };
    Captured { bytes: filled, unseen }
}

/// What [`take_buffer`] says of a buffer that cannot be read.
const FAULT: u64 = u64::MAX;

/// Appends the bytes of one buffer to the `filled` ones in the scratch buffer, up to `wanted`. How many there are then. In
/// numbers alone, so that the verifier checks it once and not for every turn of the loop.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn take_buffer(base: u64, length: u64, filled: u64, wanted: u64) -> u64 {
    let room = wanted.saturating_sub(filled);
    let take = if length < room { length } else { room };
    if take == 0 {
        return filled;
    }
    match fill(filled as u32, take as u32, base) {
        Some(bytes) => filled + u64::from(bytes),
        None => FAULT,
    }
}

/// Copies `length` bytes (at most [`CAPTURE_BYTES_MAX`]) to the scratch buffer, behind the `filled` ones.
#[inline(always)]
fn fill(filled: u32, length: u32, source: u64) -> Option<u32> {
    const MASK: u64 = CAPTURE_BYTES_MAX as u64 - 1;
    let mut scratch = SCRATCH.get_ptr_mut(0).and_then(Value::<Scratch>::new)?;
    // The verifier must see both bounds on the very registers it checks, whatever the compiler knows already.
    let at = black_box(u64::from(filled)) & MASK;
    let mut length = black_box(u64::from(length));
    if length > CAPTURE_BYTES_MAX as u64 {
        length = CAPTURE_BYTES_MAX as u64;
    }
    let length = black_box(length) & (2 * CAPTURE_BYTES_MAX as u64 - 1);
    if length > CAPTURE_BYTES_MAX as u64 {
        return None;
    }
    let place = scratch.bytes.as_mut_ptr().wrapping_add(at as usize);
    // SAFETY: `at` and `length` are each below the capture limit and the target holds twice that; the helper checks
    // the source itself and never faults a page in.
    let result = unsafe { bpf_probe_read_user(place.cast(), length as u32, source as *const c_void) };
    if result == 0 { Some(length as u32) } else { None }
}

/// Copies a value from an address of the current process; none if it is not there, or paged out.
#[inline(always)]
pub fn read<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes exactly the given size, and checks the source address itself.
    let result =
        unsafe { bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void) };
    if result != 0 {
        return None;
    }
    // SAFETY: the helper filled all of it; `T` is plain memory.
    Some(unsafe { value.assume_init() })
}
