//! Names that are compared as one number.

/// The bytes of a name of at most seven, in the order memory has them.
#[must_use]
pub const fn word(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let mut index = 0;
    while index < name.len() {
        bytes[index] = name[index];
        index += 1;
    }
    u64::from_le_bytes(bytes)
}

/// True if the first eight bytes of a text say that it is this name: its bytes, and a zero behind them.
#[must_use]
pub const fn is(text: u64, name: u64) -> bool {
    let bytes = 8 - name.leading_zeros() / 8;
    let mask = if bytes >= 8 { u64::MAX } else { u64::MAX >> (64 - 8 * (bytes + 1)) };
    text & mask == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole() {
        let text = |text: &[u8; 8]| u64::from_le_bytes(*text);
        assert!(is(text(b"_put\0abc"), word(b"_put")));
        assert!(is(text(b"_put_no\0"), word(b"_put_no")));
        assert!(!is(text(b"_puts\0\0\0"), word(b"_put")));
        assert!(!is(text(b"_pu\0\0\0\0\0"), word(b"_put")));
        assert!(!is(0, word(b"_put")));
    }
}
