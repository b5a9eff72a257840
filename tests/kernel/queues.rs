//! Queues of CPython: what is put into one carries what its putter worked for. The actor is a Python program.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use agent_ebpf::rules::watches::HITS_MAX;
use anyhow::{Result, ensure};
use tracemend::attach::runtime;
use tracemend::clock::Clock;
use tracemend_core::decode::{Event, Tag, Taken, Takes};
use tracemend_core::ids::{BootNanos, SockCookie};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// An adapted actor that serves on `b` and calls over `c`, and has read a request there in the context `reader`.
fn adapted(test: &str) -> Result<Option<(Stage, Actor, Tag)>> {
    adapted_after(test, "pass")
}

/// The same of one that did something before.
fn adapted_after(test: &str, before: &str) -> Result<Option<(Stage, Actor, Tag)>> {
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(None);
    };
    actor.does("import asyncio, collections, contextvars, queue, threading; a, b = tcp(); c, d = tcp()")?;
    actor.does(before)?;
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

/// A worker that waits in `get` before there is a probe has taken nothing yet.
#[test]
fn who_waited_before_there_was_a_probe_takes_what_is_put_then() -> Result<()> {
    let wait = "q = queue.SimpleQueue(); waits = threading.Thread(target=lambda: (q.get(), c.send(b'call')), daemon=True)\n\
                waits.start(); time.sleep(0.2)";
    let test = "who_waited_before_there_was_a_probe_takes_what_is_put_then";
    let Some((mut stage, mut actor, asked)) = adapted_after(test, wait)? else {
        return Ok(());
    };
    actor.does("reader.run(q.put, object()); waits.join()")?;
    assert_eq!(taken(&stage.told()?).claim.inherited, Some(asked));
    Ok(())
}

/// What was put unseen may be taken for so long, and half as long again.
const LEFT_BEHIND: Duration = Duration::from_secs(3);

/// A queue whose `_get` is its own: that it is used shows nowhere.
const OWN: &str = "\
class Own(queue.Queue):
    def _get(self):
        return self.queue.popleft()
ready = collections.deque()
";

/// Waits until the probes of deques are there, or are not: detaching takes the kernel some tenths of a second.
fn until_deques(stage: &mut Stage, actor: &mut Actor, grown: &BTreeSet<u32>, seen: bool) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if !seen {
            actor.does(&format!("for _ in range({HITS_MAX} // 2): ready.append(None)"))?;
        }
        stage.session.watch(grown, Instant::now());
        actor.does("w = contextvars.copy_context(); q = Own(); reader.run(q.put, object()); w.run(q.get)")?;
        actor.does("w.run(c.send, b'call'); take(d, 4); d.send(b'answer'); take(c, 6)")?;
        if took(&stage.told()?).iter().any(|[head, _]| head.is_some()) == seen {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(false, "its deques are {}", if seen { "not watched" } else { "watched" });
    Ok(())
}

/// Has the probes of deques go.
fn leave_alone(stage: &mut Stage, actor: &mut Actor) -> Result<()> {
    for _ in 0..2 {
        actor.does(&format!("for _ in range({HITS_MAX} // 2): ready.append(None)"))?;
        stage.session.watch(&BTreeSet::new(), Instant::now());
    }
    until_deques(stage, actor, &BTreeSet::new(), false)
}

/// What the unit inherited that calls after something was done.
fn called_for(stage: &mut Stage, actor: &mut Actor, before: &str) -> Result<Option<Tag>> {
    actor.does(&format!("{before}; made.run(c.send, b'call'); take(d, 4); d.send(b'answer'); take(c, 6)"))?;
    let told = stage.told()?;
    let unit = told.0.iter().find_map(|event| match event {
        Event::Running(running) => Some(running.unit),
        _ => None,
    });
    Ok(unit.and_then(|unit| unit.inherited))
}

/// A unit that is created in a request, and takes what another one put while nobody watches, does not look like its creator's.
#[test]
fn a_queue_that_comes_into_use_is_noticed_before_who_takes_from_it_calls() -> Result<()> {
    let test = "a_queue_that_comes_into_use_is_noticed_before_who_takes_from_it_calls";
    for (queue, put, get) in [("queue.Queue()", "put", "get"), ("asyncio.Queue()", "put_nowait", "get_nowait")] {
        let Some((mut stage, mut actor, asked)) = adapted(test)? else {
            return Ok(());
        };
        actor.does(OWN)?;
        leave_alone(&mut stage, &mut actor)?;
        let make = "made = reader.run(contextvars.copy_context)";
        assert_eq!(called_for(&mut stage, &mut actor, make)?, Some(asked), "{queue}: no queue is used");
        let take = format!("{make}; early = made; {make}; q = {queue}; q.{put}(object()); made.run(q.{get})");
        assert_eq!(called_for(&mut stage, &mut actor, &take)?, None, "{queue}: whose it took is not known");
        // What was put unseen may be taken a little later, too.
        until_deques(&mut stage, &mut actor, &BTreeSet::new(), true)?;
        assert_eq!(called_for(&mut stage, &mut actor, "made = early")?, None, "{queue}: it may have taken something");
        std::thread::sleep(LEFT_BEHIND);
        assert_eq!(called_for(&mut stage, &mut actor, make)?, Some(asked), "{queue}: all is seen again");
    }
    Ok(())
}

/// Where deques are no queues their probes go, and come back when a queue may be there: what was put meanwhile is nobody's.
#[test]
fn deques_that_are_no_queues_are_left_alone_until_a_thread_begins() -> Result<()> {
    let test = "deques_that_are_no_queues_are_left_alone_until_a_thread_begins";
    let Some((mut stage, mut actor, asked)) = adapted(test)? else {
        return Ok(());
    };
    actor.does(OWN)?;
    leave_alone(&mut stage, &mut actor)?;
    // What is taken from another queue meanwhile may not be all that a unit works for, until that comes back there.
    actor.does("s = queue.SimpleQueue(); w = contextvars.copy_context(); reader.run(s.put, object()); w.run(s.get)")?;
    actor.does("w.run(c.send, b'call'); take(d, 4); d.send(b'answer'); take(c, 6)")?;
    let [[Some(head), Some(other)]] = took(&stage.told()?)[..] else { panic!("one thing taken, and more unseen") };
    assert_eq!((head.claim.inherited, head.takes), (Some(asked), 1));
    assert_eq!((other.put, other.putter, other.takes), (None, None, 0));
    actor.does("unseen = object(); late = queue.Queue(); reader.run(late.put, unseen)")?;
    let grown = BTreeSet::from([actor.pid()]);
    until_deques(&mut stage, &mut actor, &grown, true)?;
    // The last things of the queues that showed that probes were gone may have been taken by who is made now, too.
    std::thread::sleep(LEFT_BEHIND);
    actor.does("w = contextvars.copy_context(); w.run(late.get); w.run(c.send, b'call')")?;
    let unseen = taken(&stage.told()?);
    assert_eq!((unseen.put, unseen.claim.inherited, unseen.takes), (None, None, 1), "{unseen:?}");
    actor.does("take(d, 4); d.send(b'answer'); take(c, 6)")?;
    stage.told()?;
    actor.does("reader.run(late.put, unseen); w.run(late.get); w.run(c.send, b'call')")?;
    assert_eq!(taken(&stage.told()?).claim.inherited, Some(asked));
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
