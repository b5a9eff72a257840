//! The agent's own heap.

/// Gives memory that is free, but was not given back, to the system. The start reads and parses the kernel's type
/// information: some 15 MiB that are free again before the first span, below blocks that stay.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    {
        #[expect(unsafe_code, reason = "glibc's heap has no safe interface")]
        // SAFETY: the function has no preconditions; it takes the heap's own locks, and moves no block that is in use.
        unsafe {
            // Whether there was anything to give is of no interest.
            let _ = libc::malloc_trim(0);
        }
    }
}
