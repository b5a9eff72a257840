//! Which system calls prove the buffer of a socket hook, and where their registers hold it.

/// How a system call names its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// Second argument is the buffer.
    Flat,
    /// Second argument is an array of `struct iovec`, third its length.
    Vector,
    /// Second argument is a `struct msghdr`.
    Message,
    /// Several messages in one call: bytes are counted, not read.
    Many,
}

/// The buffers of x86-64 system call `number` if it receives bytes (Linux `syscall_64.tbl`).
#[must_use]
pub const fn receiving(number: u64) -> Option<Buffers> {
    match number {
        0 | 45 => Some(Buffers::Flat),     // read, recvfrom
        19 | 327 => Some(Buffers::Vector), // readv, preadv2
        47 => Some(Buffers::Message),      // recvmsg
        299 => Some(Buffers::Many),        // recvmmsg
        _ => None,
    }
}

/// The buffers of x86-64 system call `number` if it sends bytes.
#[must_use]
pub const fn sending(number: u64) -> Option<Buffers> {
    match number {
        1 | 44 => Some(Buffers::Flat),     // write, sendto
        20 | 328 => Some(Buffers::Vector), // writev, pwritev2
        46 => Some(Buffers::Message),      // sendmsg
        307 => Some(Buffers::Many),        // sendmmsg
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_do_not_overlap() {
        for number in 0..512 {
            assert!(receiving(number).is_none() || sending(number).is_none(), "{number}");
        }
    }

    #[test]
    fn calls_that_move_no_user_bytes_prove_nothing() {
        for number in [40, 275, 276, 426] {
            assert_eq!(receiving(number), None); // sendfile, splice, tee, io_uring_enter
            assert_eq!(sending(number), None);
        }
    }
}
