//! Which bytes of a call belong to the captured head of its turn.

/// Bytes of a call at `offset` of length `len` that lie in the head of the turn that began at `turn_start`: always a
/// prefix of the call, since bytes before the turn belong to another one.
#[must_use]
pub const fn head_bytes(turn_start: u64, offset: u64, len: u32, limit: u32) -> u32 {
    let into_turn = offset.wrapping_sub(turn_start);
    if into_turn >= limit as u64 {
        return 0;
    }
    let room = limit - into_turn as u32;
    if len < room { len } else { room }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_cut_at_the_limit_across_calls() {
        assert_eq!(head_bytes(100, 100, 50, 8192), 50);
        assert_eq!(head_bytes(100, 150, 9000, 8192), 8142);
        assert_eq!(head_bytes(100, 8292, 1, 8192), 0);
        assert_eq!(head_bytes(100, 8291, 5, 8192), 1);
    }

    #[test]
    fn bytes_before_the_turn_are_never_its_head() {
        assert_eq!(head_bytes(100, 99, 10, 8192), 0);
    }
}
