//! The agent's own heap.

/// One heap for all threads, and pages of large blocks given back when these are freed. By itself glibc makes a heap for
/// each thread that allocates beside others, and keeps what a file that was read, or a table that grew, once took: some
/// 6 MiB with 10,000 connections open, for no difference in processor time (docs/performance.md).
///
/// Before the first thread is started: later ones have their heaps already.
pub(crate) fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Blocks from this size on are mapped apart.
        const MAPPED_BYTES: libc::c_int = 256 << 10;
        /// So much may stay free at the heap's end.
        const KEPT_BYTES: libc::c_int = 1 << 20;
        let wishes =
            [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, MAPPED_BYTES), (libc::M_TRIM_THRESHOLD, KEPT_BYTES)];
        for (what, value) in wishes {
            #[expect(unsafe_code, reason = "glibc's heap has no safe interface")]
            // SAFETY: the function has no preconditions; it takes the heap's own locks, and moves no block that is in use.
            unsafe {
                // A wish that is refused costs memory, and nothing else.
                let _ = libc::mallopt(what, value);
            }
        }
    }
}

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
