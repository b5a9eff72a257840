//! Typed reads of kernel structures.
//!
//! Hooks hand out BTF pointers; the verifier follows their types through direct loads at constant offsets and refuses
//! a program whose load it cannot prove. That is the argument of every read here. Where a type is lost (arrays of
//! pointers, `void *`), `bpf_probe_read_kernel` copies instead and fails on a bad address.

pub mod go;
pub mod greenlet;
pub mod python;
pub mod runtime;
pub mod sock;
pub mod task;
pub mod user;

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// Loads a member of a kernel structure behind a BTF pointer.
#[inline(always)]
fn load<T: Copy>(base: *const c_void, offset: u32) -> T {
    let member = base.wrapping_byte_add(offset as usize).cast::<T>();
    // SAFETY: the verifier proves the load against the structure's BTF, or refuses the program.
    unsafe { member.read_volatile() }
}

/// Copies a value from a kernel address of unproven type.
#[inline(always)]
fn copy<T: Copy>(address: *const c_void) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes exactly the given size, and checks the source address itself.
    let result = unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address) };
    if result != 0 {
        return None;
    }
    // SAFETY: the helper filled all of it; `T` is plain memory.
    Some(unsafe { value.assume_init() })
}
