//! CPython's contexts as units. The actor is a Python program, and its contexts are what it makes of them.

use std::collections::BTreeSet;

use anyhow::Result;
use tracemend::attach::runtime;
use tracemend::clock::Clock;
use tracemend_core::decode::{Event, Tag, Unit, UnitBorn};
use tracemend_core::ids::{SockCookie, UnitId};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// An adapted actor with three connections: over `c` and `e` it calls, on `b` it serves.
fn adapted(test: &str) -> Result<Option<(Stage, Actor)>> {
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(None);
    };
    stage.session.adapt(&runtime::find(actor.pid(), &mut runtime::Images::default())?, true)?;
    actor.does("import contextvars; a, b = tcp(); c, d = tcp(); e, f = tcp(); reader = contextvars.copy_context()")?;
    Ok(Some((stage, actor)))
}

/// The units that sent something, in order.
fn ran(told: &Told) -> Vec<Unit> {
    let unit = |event: &Event| match event {
        Event::Running(running) => Some(running.unit),
        _ => None,
    };
    told.0.iter().filter_map(unit).collect()
}

fn born(told: &Told) -> Vec<UnitBorn> {
    let born = |event: &Event| match event {
        Event::UnitBorn(born) => Some(*born),
        _ => None,
    };
    told.0.iter().filter_map(born).collect()
}

fn ended(told: &Told) -> Vec<UnitId> {
    let ended = |event: &Event| match event {
        Event::UnitEnded { unit, .. } => Some(*unit),
        _ => None,
    };
    told.0.iter().filter_map(ended).collect()
}

#[test]
fn a_context_carries_what_was_read_in_the_one_it_was_copied_in() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_context_carries_what_was_read_in_the_one_it_was_copied_in")? else {
        return Ok(());
    };
    let b = SockCookie(actor.cookie("b")?);
    actor.does("a.send(b'ask'); reader.run(take, b, 3); child = reader.run(contextvars.copy_context)")?;
    stage.told()?;
    actor.does("reader.run(c.send, b'from the reader'); child.run(e.send, b'from its child')")?;
    let told = stage.told()?;
    let [reader, child] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
    let asked = Some(Tag { cookie: b, offset: 0 });
    assert_eq!(reader, Unit { id: reader.id, own: asked, ..Unit::default() });
    assert_eq!(child, Unit { id: child.id, inherited: asked, via: Some(reader.id), ..Unit::default() });
    assert_ne!(reader.id, child.id);
    Ok(())
}

#[test]
fn a_context_that_answers_is_known_by_the_connection() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_context_that_answers_is_known_by_the_connection")? else {
        return Ok(());
    };
    let b = SockCookie(actor.cookie("b")?);
    actor.does("handler = contextvars.copy_context(); a.send(b'ask'); reader.run(take, b, 3)")?;
    let made = born(&stage.told()?);
    actor.does("handler.run(b.send, b'answer'); child = handler.run(contextvars.copy_context)")?;
    actor.does("grandchild = child.run(contextvars.copy_context); grandchild.run(c.send, b'call')")?;
    let told = stage.told()?;
    let [handler, grandchild] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
    assert_eq!((handler.answers, handler.since, handler.via), (Some(b), None, Some(handler.id)));
    assert_eq!((grandchild.answers, grandchild.via), (Some(b), Some(handler.id)));
    assert!(grandchild.since.is_some(), "{grandchild:?}");
    assert!(made.iter().any(|born| born.unit == handler.id), "{made:?}");
    Ok(())
}

#[test]
fn a_context_answers_where_it_does_whatever_it_was_copied_in() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_context_answers_where_it_does_whatever_it_was_copied_in")? else {
        return Ok(());
    };
    let d = SockCookie(actor.cookie("d")?);
    actor.does("a.send(b'ask'); reader.run(take, b, 3); handler = reader.run(contextvars.copy_context)")?;
    stage.told()?;
    actor.does("handler.run(d.send, b'answer'); child = handler.run(contextvars.copy_context)")?;
    actor.does("child.run(e.send, b'call')")?;
    let told = stage.told()?;
    let [handler, child] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
    let answers = Unit { id: handler.id, answers: Some(d), via: Some(handler.id), ..Unit::default() };
    assert_eq!(handler, answers);
    assert_eq!(child, Unit { id: child.id, since: child.since, ..answers });
    assert!(child.since.is_some(), "{child:?}");
    Ok(())
}

#[test]
fn a_freed_context_takes_its_tags_along() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_freed_context_takes_its_tags_along")? else {
        return Ok(());
    };
    actor.does("a.send(b'ask'); reader.run(take, b, 3); child = reader.run(contextvars.copy_context)")?;
    stage.told()?;
    actor.does("child.run(c.send, b'call'); address = id(child)")?;
    let told = stage.told()?;
    let [child] = ran(&told)[..] else { panic!("one unit, not {told:#?}") };
    actor.does("del child")?;
    assert_eq!(ended(&stage.told()?), [child.id]);
    // One that nobody copied, until one has the address of the freed one.
    let again = "made = []\nwhile not made or id(made[-1]) != address: made.append(contextvars.Context())";
    actor.does(again)?;
    actor.does("made[-1].run(e.send, b'call')")?;
    let told = stage.told()?;
    let [fresh] = ran(&told)[..] else { panic!("one unit, not {told:#?}") };
    assert_eq!(fresh, Unit { id: fresh.id, ..Unit::default() });
    assert_ne!(fresh.id, child.id);
    Ok(())
}

#[test]
fn a_context_takes_the_place_of_a_freed_one() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_context_takes_the_place_of_a_freed_one")? else {
        return Ok(());
    };
    actor.does("for _ in range(10): child = contextvars.copy_context()\ndel child")?;
    let before = stage.session.units();
    actor.does("for _ in range(20_000): contextvars.copy_context()")?;
    assert!(stage.session.units() <= before + 10, "{} after {before}", stage.session.units());
    // Few places stay, many go: those that nothing has come to for a second.
    stage.sweep_units();
    assert!(stage.session.units() >= before, "{} after {before}", stage.session.units());
    let now = Clock::boot_now();
    actor.does("kept = [contextvars.copy_context() for _ in range(3000)]; del kept[1000:]")?;
    stage.session.balance_units(now);
    assert!(stage.session.units() >= before + 2900, "{} after {before}", stage.session.units());
    stage.sweep_units();
    assert!((1000..=before + 1000).contains(&stage.session.units()), "{} after {before}", stage.session.units());
    // One that is kept has not lost what it is for.
    let b = SockCookie(actor.cookie("b")?);
    actor.does("a.send(b'ask'); reader.run(take, b, 3)")?;
    stage.told()?;
    actor.does("more = [reader.run(contextvars.copy_context) for _ in range(2000)]")?;
    actor.does("last = more[-1]; del more; last.run(c.send, b'call')")?;
    stage.sweep_units();
    actor.does("last.run(e.send, b'again')")?;
    let told = stage.told()?;
    let [first, again] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
    assert_eq!((first.inherited, first), (Some(Tag { cookie: b, offset: 0 }), again));
    assert_eq!(stage.losses(), [].into());
    Ok(())
}

#[test]
fn a_context_is_the_same_on_another_thread() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_context_is_the_same_on_another_thread")? else {
        return Ok(());
    };
    actor.does("import threading; a.send(b'ask'); reader.run(take, b, 3)")?;
    stage.told()?;
    actor.does("child = reader.run(contextvars.copy_context); child.run(c.send, b'here')")?;
    actor.does("t = threading.Thread(target=child.run, args=(e.send, b'there')); t.start(); t.join()")?;
    let told = stage.told()?;
    let [here, there] = ran(&told)[..] else { panic!("two units, not {told:#?}") };
    assert_eq!(here, there);
    Ok(())
}

#[test]
fn processes_that_are_killed_leave_no_units() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("processes_that_are_killed_leave_no_units")? else {
        return Ok(());
    };
    actor.does("kept = [contextvars.copy_context() for _ in range(100)]")?;
    // Its child is adapted as it is, and its contexts are units of their own, once it serves.
    let child = "child = os.fork()\nif child == 0:\n  time.sleep(0.5)\n  kept += [contextvars.copy_context() for _ in range(50)]\n  time.sleep(60)";
    actor.does(child)?;
    let child = u32::try_from(actor.number("child")?)?;
    let found = runtime::find(child, &mut runtime::Images::default())?;
    stage.session.adapt(&found, true)?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(stage.session.units() >= 150, "{}", stage.session.units());
    actor.does("os.kill(child, 9); os.waitpid(child, 0)")?;
    let pid = actor.pid();
    actor.kill()?;
    stage.session.forget_units(&BTreeSet::from([pid, child]));
    assert_eq!(stage.session.units(), 0);
    Ok(())
}

/// It is looked at on another thread, and may have ended by the time that its probes are attached.
#[test]
fn a_process_that_is_adapted_after_its_end_is_noticed() -> Result<()> {
    let Some((mut stage, mut actor)) = adapted("a_process_that_is_adapted_after_its_end_is_noticed")? else {
        return Ok(());
    };
    let found = runtime::find(actor.pid(), &mut runtime::Images::default())?;
    assert_eq!(stage.session.balance_units(Clock::boot_now()), [].into());
    actor.kill()?;
    assert_eq!(stage.session.balance_units(Clock::boot_now()), [].into());
    stage.session.adapt(&found, false)?;
    assert_eq!(stage.session.balance_units(Clock::boot_now()), [actor.pid()].into());
    stage.session.forget_units(&[actor.pid()].into());
    assert_eq!(stage.session.balance_units(Clock::boot_now()), [].into());
    Ok(())
}

/// A process that keeps a quarter of all units gets no more until it has let some go.
#[test]
fn no_process_keeps_more_units_than_its_share() -> Result<()> {
    const SHARE: usize = 16_384;
    let Some((mut stage, mut actor)) = adapted("no_process_keeps_more_units_than_its_share")? else {
        return Ok(());
    };
    let mut other = stage.traced_actor()?;
    stage.session.adapt(&runtime::find(other.pid(), &mut runtime::Images::default())?, true)?;
    actor.does(&format!("kept = [contextvars.copy_context() for _ in range({SHARE})]"))?;
    stage.session.balance_units(Clock::boot_now());
    let full = stage.session.units();
    actor.does("more = [contextvars.copy_context() for _ in range(100)]")?;
    assert_eq!((stage.session.units(), stage.losses()), (full, [("units_full", 100)].into()));
    other.does("import contextvars; kept = [contextvars.copy_context() for _ in range(100)]")?;
    assert!(stage.session.units() >= full + 100, "{} after {full}", stage.session.units());

    actor.does("del kept, more")?;
    stage.sweep_units();
    let few = stage.session.units();
    actor.does("more = [contextvars.copy_context() for _ in range(100)]")?;
    assert!(few < 1000 && stage.session.units() >= few + 100, "{} after {few}", stage.session.units());
    assert_eq!(stage.losses(), [("units_full", 100)].into());
    Ok(())
}

#[test]
fn a_forged_runtime_misleads_about_itself_alone() -> Result<()> {
    let Some((mut stage, mut forger)) = adapted("a_forged_runtime_misleads_about_itself_alone")? else {
        return Ok(());
    };
    let mut honest = stage.traced_actor()?;
    stage.session.adapt(&runtime::find(honest.pid(), &mut runtime::Images::default())?, true)?;
    honest.does("import contextvars; a, b = tcp(); c, d = tcp(); reader = contextvars.copy_context()")?;
    // An interpreter whose list of threads leads round and round, and one that leads nowhere.
    forger.does(
        "import ctypes; runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, '_PyRuntime'))\n\
         head = ctypes.c_uint64.from_address(runtime + 40); true = head.value\n\
         room = (ctypes.c_uint64 * 64)(); here = ctypes.addressof(room)\n\
         for place in range(64): room[place] = here",
    )?;
    for forged in ["here", "8", "0"] {
        forger.does(&format!(
            "head.value = {forged}; t = c.send(b'call'); head.value = true; d.send(b'x'); take(c, 1)"
        ))?;
    }
    honest.does("a.send(b'ask'); reader.run(take, b, 3); reader.run(c.send, b'call')")?;
    let b = SockCookie(honest.cookie("b")?);
    let told = stage.told()?;
    let of = |pid: u32| ran(&Told(told.of(pid).cloned().collect()));
    assert_eq!(of(honest.pid()).last().and_then(|unit| unit.own), Some(Tag { cookie: b, offset: 0 }));
    assert!(of(forger.pid()).iter().all(|unit| unit.own.is_none_or(|own| own.cookie != b)), "{told:#?}");
    Ok(())
}
