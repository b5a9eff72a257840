//! User memory: the buffers of the current system call.

use core::ffi::c_void;
use core::hint::black_box;
use core::mem::MaybeUninit;

use agent_ebpf::rules::syscall::Buffers;
use agent_ebpf::wire::loss;
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::kernel::task::Registers;
use crate::maps::CAPTURE_BYTES_MAX;

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

/// Copies up to `wanted` bytes of the call's buffers to `target`, which holds twice [`CAPTURE_BYTES_MAX`].
#[inline(always)]
pub fn capture(registers: Registers, buffers: Buffers, wanted: u32, target: *mut u8) -> Captured {
    match buffers {
        Buffers::Flat => match fill(target, 0, wanted, registers.second()) {
            Some(bytes) => Captured { bytes, unseen: 0 },
            None => Captured { bytes: 0, unseen: loss::USER_FAULT },
        },
        Buffers::Vector => vectors(registers.second(), registers.third(), wanted, target),
        Buffers::Message => match read::<MessageHead>(registers.second()) {
            Some(head) => vectors(head.vectors, head.count, wanted, target),
            None => Captured { bytes: 0, unseen: loss::USER_FAULT },
        },
        Buffers::Many => Captured { bytes: 0, unseen: loss::MULTI_MESSAGE },
    }
}

#[inline(always)]
fn vectors(address: u64, count: u64, wanted: u32, target: *mut u8) -> Captured {
    let mut filled = 0_u32;
    for index in 0..BUFFERS_MAX {
        if index >= count || filled >= wanted {
            return Captured { bytes: filled, unseen: 0 };
        }
        let Some(vector) = read::<Vector>(address + index * size_of::<Vector>() as u64) else {
            return Captured { bytes: filled, unseen: loss::USER_FAULT };
        };
        let room = wanted - filled;
        let take = if vector.length < u64::from(room) { vector.length as u32 } else { room };
        if take == 0 {
            continue;
        }
        match fill(target, filled, take, vector.base) {
            Some(bytes) => filled += bytes,
            None => {
                return Captured { bytes: filled, unseen: loss::USER_FAULT };
            }
        }
    }
    let unseen = if filled < wanted && count > BUFFERS_MAX { loss::MANY_BUFFERS } else { 0 };
    Captured { bytes: filled, unseen }
}

/// Copies `length` bytes (at most [`CAPTURE_BYTES_MAX`]) to `target + filled`.
#[inline(always)]
fn fill(target: *mut u8, filled: u32, length: u32, source: u64) -> Option<u32> {
    const MASK: u64 = CAPTURE_BYTES_MAX as u64 - 1;
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
    let place = target.wrapping_add(at as usize);
    // SAFETY: `at` and `length` are each below the capture limit and the target holds twice that; the helper checks
    // the source itself and never faults a page in.
    let result = unsafe { bpf_probe_read_user(place.cast(), length as u32, source as *const c_void) };
    if result == 0 { Some(length as u32) } else { None }
}

#[inline(always)]
fn read<T: Copy>(address: u64) -> Option<T> {
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
