use proptest::prelude::*;

use super::*;

/// What a stream handed on, easy to compare: offset, bytes or the length of a gap, and whether a turn begins.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Bytes(u64, Vec<u8>, bool),
    Gap(u64, u64, bool),
    Lost(u64, u64),
}

fn got(piece: Piece<'_>) -> Got {
    match piece.content {
        Content::Bytes { bytes, .. } => Got::Bytes(piece.offset, bytes.to_vec(), piece.turn_start),
        Content::Gap { len, lost: true, .. } => Got::Lost(piece.offset, len),
        Content::Gap { len, lost: false, .. } => Got::Gap(piece.offset, len, piece.turn_start),
    }
}

fn push(stream: &mut Stream, time: u64, offset: u64, len: u32, bytes: &[u8], turn_start: bool) -> Vec<Got> {
    let turn = stream.turn + u32::from(turn_start);
    push_turn(stream, time, offset, len, bytes, (turn.max(1), turn_start))
}

/// A chunk of this turn, which begins it or not.
fn push_turn(stream: &mut Stream, time: u64, offset: u64, len: u32, bytes: &[u8], turn: (u32, bool)) -> Vec<Got> {
    let mark = Mark { time: BootNanos(time), ..Mark::default() };
    let chunk = Chunk { offset, len, bytes, mark: &mark, turn_start: turn.1, turn: turn.0 };
    stream.push(&chunk).map(got).collect()
}

/// A chunk captured whole that goes on with a turn.
fn more(stream: &mut Stream, offset: u64, bytes: &[u8]) -> Vec<Got> {
    push(stream, 1, offset, bytes.len() as u32, bytes, false)
}

fn bytes(offset: u64, bytes: &[u8]) -> Got {
    Got::Bytes(offset, bytes.to_vec(), false)
}

/// A stream that came to offset 100 at time 7.
fn at_100() -> Stream {
    let mut stream = Stream::default();
    push(&mut stream, 7, 90, 10, b"0123456789", true);
    stream
}

#[test]
fn the_first_chunk_says_where_the_stream_begins() {
    let mut stream = Stream::default();
    let first = push(&mut stream, 1, 1 << 40, 2, b"ab", true);
    assert_eq!(first, [Got::Bytes(1 << 40, b"ab".to_vec(), true)]);
    assert_eq!(more(&mut stream, (1 << 40) + 2, b"c"), [bytes((1 << 40) + 2, b"c")]);
}

#[test]
fn a_first_chunk_inside_a_turn_is_behind_a_gap() {
    let mut stream = Stream::default();
    assert_eq!(more(&mut stream, 50, b"ab"), [Got::Lost(49, 1), bytes(50, b"ab")]);
    assert_eq!(more(&mut Stream::default(), 0, b"ab"), [bytes(0, b"ab")]);
}

#[test]
fn what_was_not_captured_is_a_gap_behind_the_bytes() {
    let pieces = push(&mut at_100(), 8, 100, 5, b"ab", true);
    assert_eq!(pieces, [Got::Bytes(100, b"ab".to_vec(), true), Got::Gap(102, 3, false)]);
}

#[test]
fn a_chunk_without_captured_bytes_is_a_gap_that_may_begin_a_turn() {
    assert_eq!(push(&mut at_100(), 8, 100, 5, b"", true), [Got::Gap(100, 5, true)]);
    assert_eq!(push(&mut at_100(), 8, 100, 0, b"", true), []);
}

#[test]
fn more_bytes_than_moved_are_cut() {
    assert_eq!(push(&mut at_100(), 8, 100, 1, b"abc", false), [bytes(100, b"a")]);
}

#[test]
fn a_jump_is_a_gap_of_the_time_before_it() {
    let mut stream = at_100();
    let mark = Mark { time: BootNanos(9), ..Mark::default() };
    let chunk = Chunk { offset: 150, len: 1, bytes: b"x", mark: &mark, turn_start: true, turn: 2 };
    let pieces: Vec<_> = stream.push(&chunk).collect();
    assert_eq!((pieces[0].len(), pieces[0].is_lost()), (50, false));
    assert_eq!((pieces[0].time, pieces[0].turn_start), (BootNanos(7), false));
    assert_eq!((pieces[1].time, pieces[1].turn_start), (BootNanos(9), true));
}

#[test]
fn a_jump_is_a_loss_if_turns_began_in_it() {
    let jump = |turn| push_turn(&mut at_100(), 8, 150, 1, b"x", turn);
    let begins = Got::Bytes(150, b"x".to_vec(), true);
    assert_eq!(jump((1, false)), [Got::Gap(100, 50, false), bytes(150, b"x")]);
    assert_eq!(jump((2, false)), [Got::Lost(100, 50), bytes(150, b"x")]);
    assert_eq!(jump((3, true)), [Got::Lost(100, 50), begins]);
    let begins = Got::Bytes(50, b"x".to_vec(), true);
    assert_eq!(push_turn(&mut Stream::default(), 8, 50, 1, b"x", (2, true)), [Got::Lost(49, 1), begins]);
}

#[test]
fn pieces_are_of_the_turn_of_their_last_byte() {
    let mut stream = at_100();
    let mark = Mark::default();
    let mut turns = |offset, turn_start, turn| {
        let chunk = Chunk { offset, len: 9, bytes: b"x", mark: &mark, turn_start, turn };
        stream.push(&chunk).map(|piece| piece.turn).collect::<Vec<_>>()
    };
    assert_eq!(turns(110, true, 4), [3, 4, 4]);
    assert_eq!(turns(130, false, 6), [6, 6, 6]);
    assert_eq!(turns(132, true, 2), [6], "a late record of an earlier turn");
    assert_eq!(stream.reach(900, BootNanos(9)).map(|piece| piece.turn), Some(6));
}

#[test]
fn repeated_and_backward_chunks_give_nothing_and_are_counted() {
    let mut stream = at_100();
    assert_eq!(more(&mut stream, 90, b"0123456789"), []);
    assert_eq!(more(&mut stream, 3, b"xyz"), []);
    assert_eq!(stream.take_overlapped_bytes(), 13);
    assert_eq!(stream.take_overlapped_bytes(), 0);
}

#[test]
fn of_an_overlap_only_the_new_part_counts_and_it_begins_no_turn() {
    let pieces = push(&mut at_100(), 8, 98, 4, b"abcd", true);
    assert_eq!(pieces, [bytes(100, b"cd")]);
    let pieces = push(&mut at_100(), 8, 98, 9, b"a", false);
    assert_eq!(pieces, [Got::Gap(100, 7, false)]);
}

#[test]
fn a_count_is_a_gap_up_to_its_end_and_a_late_one_is_nothing() {
    let mut stream = at_100();
    assert_eq!(stream.reach(130, BootNanos(9)).map(got), Some(Got::Gap(100, 30, false)));
    assert_eq!(stream.reach(130, BootNanos(9)), None);
    assert_eq!(stream.reach(20, BootNanos(9)), None);
    let first = Stream::default().reach(130, BootNanos(9)).map(got);
    assert_eq!(first, Some(Got::Gap(129, 1, false)));
    assert_eq!(Stream::default().reach(0, BootNanos(9)), None);
}

#[test]
fn offsets_at_the_end_of_their_range_do_not_wrap() {
    let mut stream = Stream::default();
    push(&mut stream, 1, u64::MAX - 1, 1, b"a", true);
    assert_eq!(more(&mut stream, u64::MAX, b"b"), []);
    assert_eq!(more(&mut stream, u64::MAX - 1, b"ab"), []);
    assert_eq!(stream.reach(u64::MAX, BootNanos(1)), None);
}

proptest! {
    #[test]
    fn pieces_are_gapless_ordered_and_true_to_the_bytes(
        chunks in prop::collection::vec((0_u64..400, 0_u32..60, 0_usize..60, any::<bool>()), 0..40)
    ) {
        let truth: Vec<u8> = (0..600).map(|n| (n % 251) as u8).collect();
        let mut stream = Stream::default();
        let mut next = None;
        for (offset, len, captured, count) in chunks {
            let from = offset as usize;
            let pieces = if count {
                stream.reach(offset, BootNanos(1)).map(got).into_iter().collect()
            } else {
                push(&mut stream, 1, offset, len, &truth[from..from + captured], true)
            };
            for piece in pieces {
                let (start, end) = match piece {
                    Got::Bytes(start, bytes, _) => {
                        prop_assert_eq!(&bytes[..], &truth[start as usize..][..bytes.len()]);
                        (start, start + bytes.len() as u64)
                    }
                    Got::Gap(start, len, _) | Got::Lost(start, len) => (start, start + len),
                };
                prop_assert!(start < end);
                prop_assert!(next.is_none_or(|next| next == start));
                next = Some(end);
            }
        }
    }
}
