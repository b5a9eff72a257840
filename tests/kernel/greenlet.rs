//! Greenlets as units. The actor is a Python program with greenlet, and its greenlets are what it makes of them.

use anyhow::{Result, ensure};
use tracemend::attach::runtime;
use tracemend_core::decode::{Event, Tag, Unit};
use tracemend_core::ids::{SockCookie, UnitId};
use tracemend_tests::actor::Actor;
use tracemend_tests::pythons;
use tracemend_tests::scene::skip;

use crate::stage::{Stage, Told, options, scene};

/// What the actors' programs begin with: a connection on which they serve (`b`), some over which they call, and a hub, as
/// gevent has one.
const BEGIN: &str = "\
import contextvars, greenlet, sys
a, b = tcp(); pairs = [tcp() for _ in range(4)]; (c, _), (e, _), (g, _), (h, _) = pairs
hub = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch())
hub.switch()
";

/// An adapted actor for each interpreter that has greenlet; none, loudly, where there is none.
fn adapted(test: &str, with: impl Fn(&mut Stage, &mut Actor) -> Result<()>) -> Result<()> {
    let Some(scene) = scene(test)? else {
        return Ok(());
    };
    let interpreters = pythons::with("greenlet");
    if interpreters.is_empty() {
        skip(test, "no interpreter has greenlet (`cargo xtask score --prepare` installs it)");
        return Ok(());
    }
    let mut stage = Stage::start(scene, &options())?;
    for interpreter in interpreters {
        let mut actor = Actor::start_under(&stage.scene, &interpreter)?;
        stage.session.targets().add(actor.pid())?;
        let images = &mut runtime::Images::default();
        let without = runtime::find(actor.pid(), images)?;
        assert_eq!(without.greenlets, Err(runtime::Refusal::NoRuntime));
        stage.session.adapt(&without, true)?;
        actor.does(BEGIN)?;
        let found = runtime::find(actor.pid(), images)?;
        ensure!(found.greenlets.is_ok(), "{}: {:?}", interpreter.display(), found.greenlets);
        stage.session.adapt(&found, true)?;
        stage.told()?;
        with(&mut stage, &mut actor)?;
    }
    assert_eq!(stage.losses(), [].into());
    Ok(())
}

fn ran(told: &Told) -> Vec<Unit> {
    let unit = |event: &Event| match event {
        Event::Running(running) => Some(running.unit),
        _ => None,
    };
    told.0.iter().filter_map(unit).collect()
}

fn ended(told: &Told) -> Vec<UnitId> {
    let ended = |event: &Event| match event {
        Event::UnitEnded { unit, .. } => Some(*unit),
        _ => None,
    };
    told.0.iter().filter_map(ended).collect()
}

#[test]
fn a_greenlet_carries_what_was_read_in_the_one_that_made_it() -> Result<()> {
    adapted("a_greenlet_carries_what_was_read_in_the_one_that_made_it", |stage, actor| {
        let b = SockCookie(actor.cookie("b")?);
        actor.does(
            "def call(): c.send(b'from the child')\n\
             def serve():\n    take(b, 3); child = greenlet.greenlet(call); child.switch(); hub.switch()\n    e.send(b'call')\n\
             reader = greenlet.greenlet(serve); a.send(b'ask'); reader.switch()",
        )?;
        let told = stage.told()?;
        let [child] = ran(&told)[..] else { panic!("one unit, not {told:#?}") };
        let asked = Some(Tag { cookie: b, offset: 0 });
        assert_eq!(child, Unit { id: child.id, inherited: asked, via: child.via, ..Unit::default() });
        actor.does("reader.switch()")?;
        let told = stage.told()?;
        let [reader] = ran(&told)[..] else { panic!("one unit, not {told:#?}") };
        assert_eq!(reader, Unit { id: reader.id, own: asked, ..Unit::default() });
        assert_eq!(child.via, Some(reader.id));
        Ok(())
    })
}

/// By a call, by an error thrown into it, and by the end of another.
#[test]
fn what_runs_is_known_however_it_was_switched_to() -> Result<()> {
    adapted("what_runs_is_known_however_it_was_switched_to", |stage, actor| {
        actor.does(
            "here = greenlet.getcurrent()\n\
             def thrown_at():\n    try: here.switch()\n    except ValueError: c.send(b'thrown')\n\
             def parent():\n    greenlet.greenlet(lambda: e.send(b'child'), greenlet.getcurrent()).switch(); g.send(b'parent')\n\
             one, two = greenlet.greenlet(thrown_at), greenlet.greenlet(parent)\n\
             one.switch(); one.throw(ValueError); two.switch(); h.send(b'main')",
        )?;
        let told = stage.told()?;
        let [thrown, child, parent, main] = ran(&told)[..] else { panic!("four units, not {told:#?}") };
        let units = std::collections::BTreeSet::from([thrown.id, child.id, parent.id, main.id]);
        assert_eq!(units.len(), 4, "{told:#?}");
        Ok(())
    })
}

#[test]
fn a_freed_greenlet_takes_its_tags_along() -> Result<()> {
    adapted("a_freed_greenlet_takes_its_tags_along", |stage, actor| {
        actor.does(
            "def serve(): take(b, 3); c.send(b'call')\n\
             a.send(b'ask'); one = greenlet.greenlet(serve); address = id(one); one.switch()",
        )?;
        let told = stage.told()?;
        let [first] = ran(&told)[..] else { panic!("one unit, not {told:#?}") };
        actor.does("del one")?;
        assert_eq!(ended(&stage.told()?), [first.id]);
        // Its address is soon another's: not under every allocator.
        let again = "made = [greenlet.greenlet(lambda: e.send(b'call')) for _ in range(1000)]\n\
                     again = [one for one in made if id(one) == address]\n[one.switch() for one in again]";
        actor.does(again)?;
        let told = stage.told()?;
        let [again] = ran(&told)[..] else {
            ensure!(actor.number("len(again)")? == 0, "no unit, but {told:#?}");
            return Ok(());
        };
        assert_ne!(again.id, first.id);
        assert_eq!(again.own, None);
        Ok(())
    })
}

/// Greenlets that share a context are told apart, and so are contexts in one greenlet, where copies of these are seen: up to
/// 3.11 they are not beside greenlets.
#[test]
fn the_later_of_a_greenlet_and_a_context_is_the_unit() -> Result<()> {
    adapted("the_later_of_a_greenlet_and_a_context_is_the_unit", |stage, actor| {
        actor.does(
            "shared = contextvars.copy_context()\n\
             def calls(sock): return lambda: sock.send(b'call')\n\
             def make(sock):\n    one = greenlet.greenlet(calls(sock)); one.gr_context = shared; return one\n\
             for sock in (c, e): make(sock).switch()",
        )?;
        let told = stage.told()?;
        let [one, two] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
        assert_ne!(one.id, two.id);
        actor.does(
            "def loop():\n    tasks = [contextvars.copy_context() for _ in range(2)]\n\
            \x20   for task, sock in zip(tasks, (g, h)): task.run(sock.send, b'call')\n\
             greenlet.greenlet(loop).switch()",
        )?;
        let told = stage.told()?;
        let [one, two] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
        assert_ne!(one.id, two.id);
        Ok(())
    })
}

/// Up to CPython 3.11 a copy may collect garbage first, which may end a greenlet that copies a context on the same stack: one
/// whose return a probe had taken over would come back where nobody is.
#[test]
fn a_greenlet_may_end_while_a_context_is_copied() -> Result<()> {
    adapted("a_greenlet_may_end_while_a_context_is_copied", |_, actor| {
        actor.does(
            "import gc\n\
             copying, inside = [False], [0]; main = greenlet.getcurrent()\n\
             def victim():\n    try: main.switch()\n    finally: inside[0] += copying[0]; contextvars.copy_context()\n\
             class Holder: pass\n\
             def copies(pool):\n    while pool:\n        held = Holder(); held.me = held; held.one = pool.pop(); del held\n        \
             gc.enable(); copying[0] = True; contextvars.copy_context(); copying[0] = False; gc.disable()\n\
             def deep(left, pool): return sorted([1], key=lambda _: deep(left - 1, pool)) if left else copies(pool)",
        )?;
        actor.does(
            "gc.disable(); gc.set_threshold(1)\n\
             for _ in range(20):\n    pool = [greenlet.greenlet(victim) for _ in range(20)]\n    for one in pool: one.switch()\n    \
             del one; deep(30, pool)\n\
             gc.set_threshold(700); gc.enable()",
        )?;
        let collects: u64 = actor.number("int(sys.version_info.minor < 12)")?;
        let inside: u64 = actor.number("inside[0]")?;
        ensure!(collects == 0 || inside > 0, "no greenlet ended while a context was copied");
        Ok(())
    })
}

#[test]
fn greenlets_that_are_gone_leave_no_units() -> Result<()> {
    adapted("greenlets_that_are_gone_leave_no_units", |stage, actor| {
        let before = stage.session.units();
        actor.does("a.send(b'ask')")?;
        actor.does("reader = greenlet.greenlet(lambda: (take(b, 3), here.switch())); here = greenlet.getcurrent(); reader.switch()")?;
        actor.does(
            "import gc; made = [greenlet.greenlet(here.switch) for _ in range(1500)]\nfor one in made: one.switch()",
        )?;
        assert!(stage.session.units() >= before + 1500, "{before} and {}", stage.session.units());
        // Those that have not ended are killed.
        actor.does("del made, one; gc.collect()")?;
        stage.sweep_units();
        assert!(stage.session.units() < before + 10, "{before} and {}", stage.session.units());
        Ok(())
    })
}
