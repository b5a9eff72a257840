//! More than the ring holds: what is dropped, whole and counted, and what is not.

use agent_ebpf::wire::config::capture;
use anyhow::Result;
use tracemend::attach::Options;
use tracemend_core::decode::Direction::{Recv, Send};

use crate::stage::{Stage, options, scene};

/// One small ring.
fn small() -> Options {
    let ring_bytes = 64 << 10;
    Options { rings: 1, ring_bytes, process_budget_bytes: ring_bytes / 4, ..options() }
}

#[test]
fn a_flood_is_shed_in_whole_turns_and_another_process_is_not() -> Result<()> {
    const FLOOD: usize = 200;
    const REQUEST: usize = 2000;
    let Some(scene) = scene("a_flood_is_shed_in_whole_turns_and_another_process_is_not")? else {
        return Ok(());
    };
    let mut stage = Stage::start(scene, &small())?;
    let (mut noisy, mut quiet) = (stage.traced_actor()?, stage.traced_actor()?);
    for actor in [&mut noisy, &mut quiet] {
        actor.does("a, b = tcp()")?;
    }
    let exchange = |length: usize, times: usize| {
        format!("for _ in range({times}): a.send(b'q' * {length}); take(b, {length}); b.send(b'ok'); take(a, 2)")
    };
    // Nobody reads the ring meanwhile.
    noisy.does(&exchange(REQUEST, FLOOD))?;
    quiet.does(&exchange(10, 3))?;
    let told = stage.told()?;
    let losses = stage.losses();
    println!("{losses:?}");
    assert_eq!(losses.keys().copied().collect::<Vec<_>>(), ["shed"], "nothing fell out of a turn");
    for (name, asking, answering) in [("a", Send, Recv), ("b", Recv, Send)] {
        let noise = noisy.cookie(name)?;
        let (shed, whole): (Vec<_>, Vec<_>) = told.data(noise, asking).into_iter().partition(|data| data.shed);
        assert!(whole.len() > 5 && whole.len() < FLOOD / 2, "{} turns were told", whole.len());
        assert!(whole.iter().all(|data| data.turn_start && data.bytes.len() == REQUEST));
        assert!(!shed.is_empty() && shed.iter().all(|data| data.bytes.is_empty()), "{shed:?}");
        assert_eq!(told.data(noise, answering).len(), whole.len(), "an answer with each request, none without");

        let quiet = quiet.cookie(name)?;
        let asked: Vec<_> = told.data(quiet, asking).iter().map(|data| (data.bytes.len(), data.shed)).collect();
        assert_eq!(asked, [(10, false); 3]);
        assert_eq!(told.data(quiet, answering).len(), 3);
    }
    let turns = told
        .data(noisy.cookie("a")?, Send)
        .iter()
        .chain(&told.data(noisy.cookie("b")?, Recv))
        .filter(|data| !data.shed)
        .count();
    assert_eq!(losses["shed"], 2 * FLOOD as u64 - turns as u64, "every turn is told or counted");

    // The ring is read again: the next turn is told.
    noisy.does(&exchange(REQUEST, 1))?;
    let told = stage.told()?;
    let next = told.only(noisy.cookie("a")?, Send)?;
    assert!(!next.shed && next.bytes.len() == REQUEST, "{next:?}");
    Ok(())
}

/// Each of many connections sends a little of a head that does not end: their turns began while there was room.
#[test]
fn heads_that_go_on_for_ever_are_shed_and_take_nobody_elses_room() -> Result<()> {
    const CONNECTIONS: usize = 80;
    const PIECES: usize = 8;
    const PIECE: usize = 900;
    let Some(scene) = scene("heads_that_go_on_for_ever_are_shed_and_take_nobody_elses_room")? else {
        return Ok(());
    };
    // Both ends' heads together are more than it holds.
    let ring_bytes = 1 << 20;
    let one = Options { rings: 1, ring_bytes, process_budget_bytes: ring_bytes / 4, ..options() };
    let mut stage = Stage::start(scene, &one)?;
    let (mut slow, mut quiet) = (stage.traced_actor()?, stage.traced_actor()?);
    slow.does(&format!("pairs = [tcp() for _ in range({CONNECTIONS})]; a, b = pairs[-1]"))?;
    quiet.does("a, b = tcp()")?;
    // Nobody reads the ring meanwhile.
    slow.does(&format!("for _ in range({PIECES}):\n  for x, y in pairs: x.send(b'h' * {PIECE}); take(y, {PIECE})"))?;
    quiet.does("a.send(b'question'); take(b, 8); b.send(b'answer'); take(a, 6)")?;
    let told = stage.told()?;
    let losses = stage.losses();
    println!("{losses:?}");
    assert_eq!(losses.keys().copied().collect::<Vec<_>>(), ["shed"], "no record was lost");
    for name in ["a", "b"] {
        assert_eq!(told.all_data(quiet.cookie(name)?).len(), 2, "the quiet one is told");
    }
    for (name, direction) in [("a", Send), ("b", Recv)] {
        let cookie = slow.cookie(name)?;
        let head = told.data(cookie, direction);
        assert!(!head.is_empty() && head.len() < PIECES, "{} pieces were told", head.len());
        assert!(head.iter().all(|data| !data.shed && data.bytes.len() == PIECE));
    }
    assert!(losses["shed"] <= 2 * CONNECTIONS as u64, "each end's turn is shed once");

    // The ring is read again: what answers the rest is as silent, and the next turn is told.
    slow.does("b.send(b'answer'); take(a, 6); a.send(b'next'); take(b, 4)")?;
    let told = stage.told()?;
    let next = told.only(slow.cookie("a")?, Send)?;
    assert_eq!((&next.bytes[..], next.turn_start, next.turn), (b"next".as_slice(), true, 2));
    assert!(told.data(slow.cookie("b")?, Send).is_empty(), "the answer to what was shed");
    Ok(())
}

/// A turn that was admitted is not shed in its middle: what no longer fits is counted, and missing in the numbers.
#[test]
fn records_that_do_not_fit_are_counted_and_leave_a_gap_in_the_numbers() -> Result<()> {
    const CALLS: u64 = 20;
    let Some(scene) = scene("records_that_do_not_fit_are_counted_and_leave_a_gap_in_the_numbers")? else {
        return Ok(());
    };
    let mut stage = Stage::start(scene, &small())?;
    let mut actor = stage.traced_actor()?;
    actor.does("a, b = tcp(); c, d = tcp()")?;
    let (a, c) = (actor.cookie("a")?, actor.cookie("c")?);
    stage.session.set_policy(a, capture::FULL)?;
    actor.does(&format!("for _ in range({CALLS}): a.send(b'q' * 8000)"))?;
    let told = stage.told()?;
    let seen = told.data(a, Send);
    let lost = CALLS - seen.len() as u64;
    assert!(lost > 5 && seen.len() > 3, "{} of {CALLS} records", seen.len());
    assert_eq!(stage.losses(), [("ring_full", lost)].into());
    assert!(seen.windows(2).all(|pair| pair[1].offset == pair[0].offset + 8000), "the first ones, without a gap");

    actor.does("c.send(b'next')")?;
    let told = stage.told()?;
    let next = told.only(c, Send)?;
    let jump = u64::from(next.actor.seq - seen[seen.len() - 1].actor.seq);
    // The records that were lost, the first sight of the other connection, and this one.
    assert_eq!(jump, lost + 2);
    // How far the bytes came that were in them is told as soon as there is room.
    assert_eq!(told.counts(a).iter().map(|count| count.end).collect::<Vec<_>>(), [1 + CALLS * 8000]);
    Ok(())
}
