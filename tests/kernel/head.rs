//! How much of a turn is copied, and how the rest is counted.

use anyhow::{Context, Result};
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::decode::{Count, Data};

use crate::stage::Stage;

/// Copied of a request's turn.
const REQUEST: usize = 8192;
/// Copied of an answer's turn.
const ANSWER: usize = 1024;

/// Bytes that differ from their neighbours, named `d`.
const BYTES: &str = "d = bytes(n * 7 % 251 for n in range(20_000))";

/// The same here.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| u8::try_from(number * 7 % 251).expect("below 251")).collect()
}

fn joined(data: &[&Data]) -> Vec<u8> {
    data.iter().flat_map(|data| data.bytes.clone()).collect()
}

#[test]
fn the_head_of_a_turn_is_copied_across_however_many_calls() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("the_head_of_a_turn_is_copied_across_however_many_calls")? else {
        return Ok(());
    };
    actor.does(&format!("{BYTES}; a, b = tcp()"))?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    // 9000 bytes at once, read in pieces of 1000; then 9000 in pieces, read one after the other.
    actor.does("a.send(d[:9000])\nfor _ in range(9): take(b, 1000)")?;
    let told = stage.told()?;
    let sent = told.only(a, Send)?;
    assert_eq!((&sent.bytes[..], sent.len, sent.unseen), (bytes(REQUEST).as_slice(), 9000, None));
    let read = told.data(b, Recv);
    assert_eq!(read.len(), 9);
    assert_eq!(joined(&read), bytes(REQUEST));
    assert_eq!((read[8].offset, read[8].len, read[8].bytes.len()), (8000, 1000, REQUEST - 8000));
    assert!(read[0].turn_start && read[1..].iter().all(|data| !data.turn_start));

    // The other end's answer, and the next turn with a head of its own.
    actor.does("b.send(d[:5000])\nfor _ in range(5): take(a, 1000)\na.send(d[:10]); take(b, 10)")?;
    let told = stage.told()?;
    let answer = told.only(b, Send)?;
    assert_eq!((&answer.bytes[..], answer.len), (bytes(ANSWER).as_slice(), 5000));
    let heard = told.data(a, Recv);
    assert_eq!(heard.len(), 2, "what is beyond the head is counted");
    assert_eq!(joined(&heard), bytes(ANSWER));
    assert_eq!(told.only(b, Recv)?.bytes, bytes(10));
    assert_eq!(told.only(a, Send)?.bytes, bytes(10));
    assert!(stage.losses().is_empty(), "what is left out by policy is no loss: {:?}", stage.losses());
    Ok(())
}

#[test]
fn what_is_beyond_the_head_is_counted_to_its_last_byte() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("what_is_beyond_the_head_is_counted_to_its_last_byte")? else {
        return Ok(());
    };
    actor.does(&format!("{BYTES}; a, b = tcp()"))?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    // The other end by other threads, as in a program of its own.
    actor.does("for _ in range(5): a.send(d); in_thread(lambda: take(b, 20_000))")?;
    let told = stage.told()?;
    assert_eq!(told.data(a, Send).len(), 1, "one record for a turn's head");
    assert!(told.counts(a).is_empty() && told.counts(b).is_empty(), "more may come in this turn");
    // Until then it stands in a map.
    let counts = stage.session.counts();
    for (cookie, direction, end) in [(a, 0, 100_001), (b, 1, 100_000)] {
        let (_, value) = counts
            .iter()
            .find(|(key, _)| key.cookie == cookie && key.direction == direction)
            .context("no count of a direction that came beyond its head")?;
        assert_eq!(value.end, end);
    }

    // The turn is over: each end tells how far it came before it tells of the next bytes.
    actor.does("in_thread(lambda: b.send(b'answer')); take(a, 6)")?;
    let told = stage.told()?;
    for (cookie, direction, end, next) in [(a, Send, 100_001, Recv), (b, Recv, 100_000, Send)] {
        let counts = told.counts(cookie);
        let [Count { direction: counted, end: counted_end, time, .. }] = counts[..] else {
            panic!("one count, not {counts:?}");
        };
        assert_eq!((counted, counted_end), (direction, end));
        assert!(time < told.only(cookie, next)?.time);
    }
    assert!(stage.session.counts().iter().all(|(key, _)| key.cookie != a && key.cookie != b), "nothing is left");
    Ok(())
}

/// Which of a thread's acts came first is evidence.
#[test]
fn a_thread_that_turns_to_another_connection_tells_its_count_first() -> Result<()> {
    let test = "a_thread_that_turns_to_another_connection_tells_its_count_first";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    actor.does(&format!("{BYTES}; a, b = tcp(); c, _ = tcp(); a.send(d); take(b, 10_000); take(b, 10_000)"))?;
    let b = actor.cookie("b")?;
    stage.told()?;
    actor.does("c.send(b'else')")?;
    let told = stage.told()?;
    let counts = told.counts(b);
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!((counts[0].direction, counts[0].end), (Recv, 20_000));
    assert!(counts[0].time < told.only(actor.cookie("c")?, Send)?.time);
    Ok(())
}

#[test]
fn a_connection_that_closes_tells_its_count_first() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_connection_that_closes_tells_its_count_first")? else {
        return Ok(());
    };
    actor.does(&format!("{BYTES}; a, b = tcp(); a.send(d[:10_000]); a.send(d[10_000:])"))?;
    let a = actor.cookie("a")?;
    stage.told()?;
    actor.does("a.close()")?;
    let told = stage.told()?;
    let counts = told.counts(a);
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert_eq!((counts[0].direction, counts[0].end), (Send, 20_001));
    assert!(!told.closings(a).is_empty());
    Ok(())
}
