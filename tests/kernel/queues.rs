//! Queues of CPython: what is put into one carries what its putter worked for. The actor is a Python program.

use anyhow::Result;
use tracemend::attach::runtime;
use tracemend::clock::Clock;
use tracemend_core::decode::{Event, Tag, Taken, Takes};
use tracemend_core::ids::{BootNanos, SockCookie};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// An adapted actor that serves on `b` and calls over `c`, and has read a request there in the context `reader`.
fn adapted(test: &str) -> Result<Option<(Stage, Actor, Tag)>> {
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(None);
    };
    actor.does("import asyncio, collections, contextvars, queue, threading; a, b = tcp(); c, d = tcp()")?;
    let found = runtime::find(actor.pid(), &mut runtime::Images::default())?;
    stage.session.adapt(&found, true)?;
    let asked = Tag { cookie: SockCookie(actor.cookie("b")?), offset: 0 };
    actor.does("reader, worker = contextvars.copy_context(), contextvars.copy_context()")?;
    actor.does("a.send(b'ask'); reader.run(take, b, 3)")?;
    stage.told()?;
    Ok(Some((stage, actor, asked)))
}

/// What units that acted had taken, in order.
fn took(told: &Told) -> Vec<Takes> {
    let takes = |event: &Event| match event {
        Event::Took { takes, .. } => Some(**takes),
        _ => None,
    };
    told.0.iter().filter_map(takes).collect()
}

/// The only thing that was taken, from the only queue.
fn taken(told: &Told) -> Taken {
    let [[Some(head), None]] = took(told)[..] else { panic!("one thing taken, not {told:#?}") };
    head
}

#[test]
fn what_is_taken_from_a_queue_is_whose_it_was() -> Result<()> {
    let Some((mut stage, mut actor, asked)) = adapted("what_is_taken_from_a_queue_is_whose_it_was")? else {
        return Ok(());
    };
    for (queue, put, get) in [
        ("queue.SimpleQueue()", "put", "get"),
        ("queue.Queue()", "put", "get"),
        ("asyncio.Queue()", "put_nowait", "get_nowait"),
    ] {
        actor.does(&format!("q = {queue}; reader.run(q.{put}, object()); w = contextvars.copy_context()"))?;
        actor.does(&format!("w.run(q.{get}); w.run(c.send, b'call'); c.send(b'?')"))?;
        let taken = taken(&stage.told()?);
        assert_eq!(taken.claim.inherited, Some(asked), "{queue}");
        assert_eq!((taken.claim.via, taken.takes, taken.others), (taken.putter, 1, 0), "{queue}: {taken:?}");
        assert!(taken.put.is_some());
        // The next call needs a turn of its own.
        actor.does("take(d, 5); d.send(b'answer'); take(c, 6)")?;
        stage.told()?;
    }
    Ok(())
}

/// Loops keep their callbacks in deques, pools their connections: none of them is a queue of work.
#[test]
fn other_deques_are_no_queues() -> Result<()> {
    let Some((mut stage, mut actor, _)) = adapted("other_deques_are_no_queues")? else {
        return Ok(());
    };
    actor.does("q = collections.deque(); reader.run(q.append, object()); worker.run(q.popleft)")?;
    actor.does("worker.run(c.send, b'call')")?;
    assert_eq!(took(&stage.told()?), Vec::<Takes>::new());
    Ok(())
}

/// A thread runs no context of its own, unless something asks for one.
#[test]
fn a_thread_takes_for_itself() -> Result<()> {
    let Some((mut stage, mut actor, asked)) = adapted("a_thread_takes_for_itself")? else {
        return Ok(());
    };
    actor.does("q = queue.SimpleQueue(); reader.run(q.put, object())")?;
    actor.does("in_thread(lambda: (q.get(), c.send(b'call')))")?;
    let taken = taken(&stage.told()?);
    assert_eq!(taken.claim.inherited, Some(asked));
    Ok(())
}

#[test]
fn what_nobody_put_for_a_request_is_taken_as_such() -> Result<()> {
    let Some((mut stage, mut actor, asked)) = adapted("what_nobody_put_for_a_request_is_taken_as_such")? else {
        return Ok(());
    };
    actor.does("q = queue.SimpleQueue(); reader.run(q.put, object()); worker.run(q.put, None)")?;
    actor.does("worker.run(q.get); worker.run(c.send, b'call'); take(d, 4); d.send(b'answer'); take(c, 6)")?;
    assert_eq!(taken(&stage.told()?).claim.inherited, Some(asked));
    actor.does("worker.run(q.get); worker.run(c.send, b'nobodys')")?;
    let taken = taken(&stage.told()?);
    assert_eq!((taken.claim.inherited, taken.put), (None, None), "{taken:?}");
    Ok(())
}

/// One thing that is in a queue twice, for two: neither taker can tell.
#[test]
fn the_same_thing_put_by_two_is_nobodys() -> Result<()> {
    let Some((mut stage, mut actor, _)) = adapted("the_same_thing_put_by_two_is_nobodys")? else {
        return Ok(());
    };
    actor.does("q = queue.SimpleQueue(); it = object(); other = contextvars.copy_context()")?;
    actor.does("reader.run(q.put, it); other.run(q.put, it)")?;
    actor.does("worker.run(q.get); worker.run(c.send, b'call')")?;
    let taken = taken(&stage.told()?);
    assert_eq!((taken.claim.inherited, taken.putter), (None, None), "{taken:?}");
    Ok(())
}

#[test]
fn what_was_taken_for_others_before_is_counted() -> Result<()> {
    let Some((mut stage, mut actor, _)) = adapted("what_was_taken_for_others_before_is_counted")? else {
        return Ok(());
    };
    actor.does("q = queue.SimpleQueue(); other = contextvars.copy_context()")?;
    actor.does("other.run(q.put, object()); reader.run(q.put, object())")?;
    actor.does("worker.run(q.get); worker.run(q.get); worker.run(c.send, b'batch')")?;
    let taken = taken(&stage.told()?);
    assert_eq!((taken.takes, taken.others), (2, 1), "{taken:?}");
    Ok(())
}

#[test]
fn who_puts_back_what_it_took_borrowed_it() -> Result<()> {
    let Some((mut stage, mut actor, _)) = adapted("who_puts_back_what_it_took_borrowed_it")? else {
        return Ok(());
    };
    actor.does("q = queue.Queue(); reader.run(q.put, object())")?;
    let told = stage.told()?;
    assert!(!told.0.iter().any(|event| matches!(event, Event::Returned { .. })), "{told:#?}");
    actor.does("it = worker.run(q.get); worker.run(q.put, it)")?;
    let told = stage.told()?;
    let returned = told.0.iter().filter(|event| matches!(event, Event::Returned { .. }));
    assert_eq!(returned.count(), 1, "{told:#?}");
    Ok(())
}

/// An item that nobody takes, or that somebody took unseen, is given up in the end.
#[test]
fn what_nobody_takes_is_given_up() -> Result<()> {
    const MINUTES: u64 = 60_000_000_000;
    let Some((mut stage, mut actor, _)) = adapted("what_nobody_takes_is_given_up")? else {
        return Ok(());
    };
    let before = stage.session.units();
    actor.does("q = queue.SimpleQueue(); [reader.run(q.put, object()) for _ in range(100)]")?;
    stage.told()?;
    let kept = stage.session.units();
    assert!(kept >= before + 100, "{kept} after {before}");
    let now = Clock::boot_now();
    stage.session.balance_units(BootNanos(now.0 + 9 * MINUTES));
    assert_eq!((stage.session.units(), stage.losses()), (kept, [].into()));
    stage.session.balance_units(BootNanos(now.0 + 11 * MINUTES));
    assert_eq!((stage.session.units(), stage.losses()), (kept - 100, [("items_old", 100)].into()));
    Ok(())
}

/// What waits in a queue when its process ends is forgotten, as all that the process had.
#[test]
fn a_process_that_ends_leaves_nothing() -> Result<()> {
    let Some((mut stage, mut actor, _)) = adapted("a_process_that_ends_leaves_nothing")? else {
        return Ok(());
    };
    actor.does("q = queue.SimpleQueue(); [reader.run(q.put, object()) for _ in range(100)]; worker.run(q.get)")?;
    stage.told()?;
    let pid = actor.pid();
    assert!(stage.session.units() >= 101, "{} units and items", stage.session.units());
    drop(actor);
    stage.session.forget_units(&[pid].into());
    assert_eq!(stage.session.units(), 0);
    Ok(())
}
