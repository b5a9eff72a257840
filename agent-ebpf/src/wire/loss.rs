//! Why something was not seen: a closed, numbered list. Numbers are never reused.

/// Declares the reasons once: constants for the kernel half, names for metrics and `doctor`.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $constant:ident = $number:literal, $name:literal;)+) => {
        $($(#[doc = $doc])+ pub const $constant: u16 = $number;)+

        /// Number, name and meaning of every reason.
        pub const ALL: &[(u16, &str, &str)] = &[$(($number, $name, concat!($($doc),+)),)+];
    };
}

reasons! {
    /// A ring buffer was full: the record is lost.
    RING_FULL = 1, "ring_full";
    /// The ring was more than half full and the process over its byte budget: a whole turn was shed, or the
    /// rest of one whose request head went on.
    SHED = 2, "shed";
    /// Socket storage could not be had: the connection's bytes are unseen.
    SOCKET_STORAGE = 3, "socket_storage";
    /// Task storage could not be had: the thread has no tags.
    TASK_STORAGE = 4, "task_storage";
    /// The scratch buffer of this CPU was in use (the hook was preempted): the record is lost.
    SCRATCH_BUSY = 5, "scratch_busy";
    /// The process map was full: the process has no policy and no budget.
    PROCESSES_FULL = 6, "processes_full";
    /// The caller is a kernel thread, an io_uring worker or a 32-bit task: its registers prove no buffer.
    NO_USER_CALLER = 7, "no_user_caller";
    /// The current system call is not one that moves these bytes from or to user memory (io_uring, sendfile, splice).
    OTHER_SYSCALL = 8, "other_syscall";
    /// The descriptor in the registers is not the hook's socket.
    OTHER_SOCKET = 9, "other_socket";
    /// sendmmsg or recvmmsg: several messages in one call.
    MULTI_MESSAGE = 10, "multi_message";
    /// The buffer could not be read (paged out, or unmapped by another thread).
    USER_FAULT = 11, "user_fault";
    /// More than eight buffers in one call: those behind the eighth are unseen.
    MANY_BUFFERS = 12, "many_buffers";
    /// Bytes were dropped by the call itself (`MSG_TRUNC` on TCP).
    TRUNCATED = 13, "truncated";
    /// The map of counted bytes was full: the end of a long message may be seen late.
    COUNTS_FULL = 14, "counts_full";
    /// A stream socket that is neither TCP nor unix (MPTCP, SCTP): its offsets are unknown, and its bytes unseen.
    OTHER_PROTOCOL = 15, "other_protocol";
    /// The map of units was full, or the process's share of it: what the unit calls for is not known.
    UNITS_FULL = 16, "units_full";
    /// The map of items in queues, or the process's share of it, or the map of what units took was full: what is done for an item
    /// is not known.
    ITEMS_FULL = 17, "items_full";
    /// User space gave up an item in a queue that nobody took for ten minutes: what is done for it is not known.
    ITEMS_OLD = 18, "items_old";
    /// How a job from a pool's pipe begins could not be kept until its reader called: what it names is not known.
    JOBS_FULL = 19, "jobs_full";
}

/// One more than the greatest number: the size of the kernel half's counter array.
pub const COUNT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_names_unique() {
        for (index, (number, name, _)) in ALL.iter().enumerate() {
            assert_eq!(usize::from(*number), index + 1);
            assert!(ALL.iter().filter(|(_, other, _)| other == name).count() == 1, "{name}");
        }
        assert_eq!(COUNT, ALL.len() + 1);
    }
}
