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
