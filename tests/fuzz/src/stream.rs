//! Chunks at any offsets, each of eight bytes: which byte is there is a function of its offset, so that what comes out can be
//! told from what went in.

use tracemend_core::decode::Actor;
use tracemend_core::ids::BootNanos;
use tracemend_core::stream::{Chunk, Content, Mark, Stream};

/// Near the ends of the range of offsets, and far from them.
const BASES: [u64; 4] = [0, 1 << 20, u64::MAX - 70_000, u64::MAX - 300];

pub(crate) fn run(bytes: &[u8]) {
    let Some((base, acts)) = bytes.split_first() else { return };
    let base = BASES[usize::from(*base) % BASES.len()];
    let mut stream = Stream::default();
    // Raw offset behind the last piece, and the latest turn.
    let (mut next, mut turn) = (None, 0);
    for (number, act) in acts.chunks_exact(8).enumerate() {
        let short = |at: usize| u16::from_le_bytes([act[at], act[at + 1]]);
        let offset = base.saturating_add(u64::from(short(0)));
        let len = u32::from(short(2) % 4_096);
        let time = BootNanos(number as u64);
        if act[4] & 1 != 0 {
            let end = offset.saturating_add(u64::from(len));
            if let Some(gap) = stream.reach(end, time) {
                assert!(gap.is_gap() && !gap.turn_start);
                follows(&mut next, gap.offset, gap.len());
            }
            continue;
        }
        let captured: Vec<u8> = (0..u64::from(act[5]) * 16).map(|at| byte(offset.wrapping_add(at))).collect();
        let mark = Mark { time, actor: Actor::default(), blocking: false, stale: false };
        let (turn_start, number) = (act[4] & 2 != 0, u32::from(act[6]));
        let chunk = Chunk { offset, len, bytes: &captured, mark: &mark, turn_start, turn: number };
        for piece in stream.push(&chunk) {
            assert!(!piece.is_empty());
            follows(&mut next, piece.offset, piece.len());
            assert!(piece.turn >= turn, "turns go backwards");
            assert!(!piece.turn_start || (turn_start && piece.offset == offset), "a turn begins where its chunk does");
            turn = piece.turn;
            if let Content::Bytes { bytes, .. } = piece.content {
                let true_byte = |(at, found): (u64, &u8)| *found == byte(piece.offset + at);
                assert!((0..).zip(bytes).all(true_byte), "bytes of other offsets");
            }
        }
    }
    stream.take_overlapped_bytes();
}

/// Each piece begins where the one before ended.
fn follows(next: &mut Option<u64>, offset: u64, len: u64) {
    assert!(next.is_none_or(|next| next == offset), "a piece at {offset} behind {next:?}");
    *next = Some(offset.checked_add(len).expect("a piece ends within the range of offsets"));
}

fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
