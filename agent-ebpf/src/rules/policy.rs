//! Where the capture policy of a connection stands: in one word of a table, which also says whose it is.
//!
//! The table is read at every turn, so it must not be a hash: the word of a cookie is found without a look-up, words of
//! cookies that were given out together share a cache line, and no reader sees half of one.

/// Words of the table. The kernel gives cookies out in order (in batches of 4,096 a CPU), so two connections share
/// a word only if about as many sockets were made between them: then the later one's policy stands, and of the earlier one
/// heads are copied on as they were.
pub const WORDS: usize = 65_536;

/// Bits of a policy, a value of [`crate::wire::config::capture`].
const POLICY_BITS: u32 = 3;

/// Which word is that of a socket.
#[must_use]
pub const fn index(cookie: u64) -> u32 {
    (cookie % WORDS as u64) as u32
}

/// The word that says `policy` of a socket.
#[must_use]
pub const fn word(cookie: u64, policy: u32) -> u64 {
    cookie << POLICY_BITS | policy as u64
}

/// What a word says of a socket, if it is that socket's. No cookie is 0, so an empty word is nobody's.
#[must_use]
pub const fn said(word: u64, cookie: u64) -> Option<u32> {
    if word >> POLICY_BITS == cookie { Some((word & ((1 << POLICY_BITS) - 1)) as u32) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::config::capture;

    #[test]
    fn a_word_speaks_of_its_own_socket_only() {
        for policy in [capture::HEAD, capture::NONE, capture::FULL, capture::HEAD_CLIENT, capture::HEAD_SERVER] {
            let word = word(70_000, policy);
            assert_eq!(said(word, 70_000), Some(policy));
            assert_eq!(index(70_000), index(70_000 + WORDS as u64));
            assert_eq!(said(word, 70_000 + WORDS as u64), None);
        }
        assert_eq!(said(0, 1), None);
    }

    #[test]
    fn sockets_made_one_after_the_other_do_not_share_a_word() {
        assert!((1..WORDS as u64).all(|cookie| index(cookie) != index(cookie + 1)));
        assert!(index(u64::MAX) < WORDS as u32);
    }
}
