//! Threads and processes: what is handed on at their birth, and that their end is told.

use std::time::Duration;

use anyhow::{Context, Result};
use tracemend::ring::Wakes;
use tracemend_core::decode::Direction::Send;
use tracemend_core::decode::{Data, Event, Exit, Fork, Tag};
use tracemend_core::ids::{SockCookie, Tgid, Tid};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// A request was read on `b`; `c` is another connection, on which nothing moved yet.
const SERVING: &str = "a, b = tcp(); c, d = tcp(); a.send(b'request'); take(b, 7)";

/// The turn on `b` that began at an offset.
fn turn(actor: &mut Actor, offset: u64) -> Result<Option<Tag>> {
    Ok(Some(Tag { cookie: SockCookie(actor.cookie("b")?), offset }))
}

fn call<'a>(told: &'a Told, actor: &mut Actor) -> Result<&'a Data> {
    told.only(actor.cookie("c")?, Send)
}

fn fork_of(told: &Told, tid: u64) -> Result<Fork> {
    let of = |event: &Event| match event {
        Event::Fork(fork) if u64::from(fork.child.tid.0) == tid => Some(*fork),
        _ => None,
    };
    told.0.iter().find_map(of).with_context(|| format!("the birth of thread {tid}"))
}

fn exits(told: &Told, pid: u32) -> Vec<Exit> {
    let of = |event: &Event| match event {
        Event::Exit(exit) => Some(*exit),
        _ => None,
    };
    told.of(pid).filter_map(of).collect()
}

/// What the agent acts on is told at once, however long it would sleep; what a known process sends waits.
#[test]
fn a_new_program_wakes_the_reader_and_what_is_sent_does_not() -> Result<()> {
    /// News that follow so soon wake nobody: twice as long.
    const QUIET: Duration = Duration::from_millis(120);
    /// Others on this machine may run programs meanwhile.
    const TRIES: usize = 20;
    let Some((stage, mut actor)) = Stage::open("a_new_program_wakes_the_reader_and_what_is_sent_does_not")? else {
        return Ok(());
    };
    let wakes = Wakes::of(&stage.session.rings)?;
    actor.does("a, b = tcp(); a.send(b'first'); take(b, 5)")?;
    let mut sent_in_silence = || -> Result<bool> {
        while wakes.wait(QUIET)? {}
        actor.does("a.send(b'more'); take(b, 4)")?;
        Ok(!wakes.wait(QUIET)?)
    };
    let mut tries = 0;
    while !sent_in_silence()? {
        tries += 1;
        assert!(tries < TRIES, "what is sent wakes the reader each time");
    }
    actor.does("subprocess.run(['true'])")?;
    assert!(wakes.wait(QUIET)?, "nobody was woken");
    Ok(())
}

#[test]
fn a_thread_is_born_with_its_creators_turn() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_thread_is_born_with_its_creators_turn")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    let tid = actor.number("in_thread(lambda: c.send(b'call'))")?;
    let told = stage.told()?;
    let request = turn(&mut actor, 0)?;
    let fork = fork_of(&told, tid)?;
    assert_eq!((fork.actor.thread.tid, fork.actor.own), (Tid(actor.pid()), request));
    assert_eq!(fork.child.process, fork.actor.thread.process);
    let call = call(&told, &mut actor)?;
    assert_eq!(u64::from(call.actor.thread.tid.0), tid);
    assert_eq!(call.actor.thread.process.tgid, Tgid(actor.pid()));
    assert_eq!((call.actor.birth, call.actor.own, call.actor.turn), (request, None, None));
    assert!(fork.time < call.time);

    let exits = exits(&told, actor.pid());
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(u64::from(exits[0].thread.tid.0), tid);
    assert!(!exits[0].last && !exits[0].group, "{exits:?}");
    Ok(())
}

#[test]
fn what_a_thread_was_born_with_stays_when_its_creator_goes_on() -> Result<()> {
    let test = "what_a_thread_was_born_with_stays_when_its_creator_goes_on";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    actor
        .does("go = threading.Event(); t = threading.Thread(target=lambda: (go.wait(), c.send(b'late'))); t.start()")?;
    actor.does("b.send(b'answer'); take(a, 6); a.send(b'next'); take(b, 4); go.set(); t.join(); d.send(b'own')")?;
    let told = stage.told()?;
    let (first, second) = (turn(&mut actor, 0)?, turn(&mut actor, 7)?);
    assert_eq!(call(&told, &mut actor)?.actor.birth, first);
    let own = told.only(actor.cookie("d")?, Send)?.actor;
    assert_eq!((own.own, own.turn, own.birth), (second, second, None));
    Ok(())
}

#[test]
fn a_thread_of_a_thread_knows_the_turn_as_its_ancestors() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_thread_of_a_thread_knows_the_turn_as_its_ancestors")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    actor.does("in_thread(lambda: in_thread(lambda: in_thread(lambda: c.send(b'deep'))))")?;
    let told = stage.told()?;
    let request = turn(&mut actor, 0)?;
    let deep = call(&told, &mut actor)?.actor;
    assert_eq!((deep.own, deep.birth, deep.ancestor), (None, None, request));
    Ok(())
}

/// A call's answer is no request: who reads it still works for whom it worked for.
#[test]
fn an_answer_is_a_turn_but_not_the_threads_own() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("an_answer_is_a_turn_but_not_the_threads_own")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    actor.does("c.send(b'call'); in_thread(lambda: (take(d, 4), d.send(b'answer'))); take(c, 6); b.send(b'served')")?;
    let told = stage.told()?;
    let request = turn(&mut actor, 0)?;
    let answer = told.only(actor.cookie("b")?, Send)?.actor;
    let c = SockCookie(actor.cookie("c")?);
    assert_eq!((answer.own, answer.turn), (request, Some(Tag { cookie: c, offset: 0 })));
    Ok(())
}

#[test]
fn a_forked_process_is_traced_and_born_with_its_parents_turn() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_forked_process_is_traced_and_born_with_its_parents_turn")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    let child = actor.number(
        "child = os.fork()\nif child == 0:\n  c.send(b'from the child'); os._exit(0)\nos.waitpid(child, 0); child",
    )?;
    let told = stage.told()?;
    let request = turn(&mut actor, 0)?;
    let fork = fork_of(&told, child)?;
    assert_eq!((fork.actor.thread.process.tgid, fork.actor.own), (Tgid(actor.pid()), request));
    assert_eq!(u64::from(fork.child.process.tgid.0), child);
    assert!(fork.child.process.start > fork.actor.thread.process.start);
    let call = call(&told, &mut actor)?;
    assert_eq!((call.actor.thread, call.actor.birth), (fork.child, request));

    let exits = exits(&told, fork.child.process.tgid.0);
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert!(exits[0].last && exits[0].group && exits[0].thread == fork.child, "{exits:?}");
    Ok(())
}

#[test]
fn a_new_program_keeps_what_its_process_was_born_with() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_new_program_keeps_what_its_process_was_born_with")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    actor.does("code = 'import os, sys; os.write(int(sys.argv[1]), b\"from another program\")'")?;
    let child = actor.number(
        "p = subprocess.Popen([sys.executable, '-ISc', code, str(c.fileno())], pass_fds=[c.fileno()]); p.wait(); p.pid",
    )?;
    let told = stage.told()?;
    let request = turn(&mut actor, 0)?;
    let call = call(&told, &mut actor)?;
    assert_eq!(u64::from(call.actor.thread.process.tgid.0), child);
    assert_eq!((&call.bytes[..], call.actor.birth), (b"from another program".as_slice(), request));
    let process = call.actor.thread.process;
    assert!(told.of(process.tgid.0).any(|event| matches!(event, Event::Exec { process: new, .. } if *new == process)));
    Ok(())
}

/// A thread that ends by itself was done with its work; one that was ended was not.
#[test]
fn threads_that_end_with_their_process_say_so() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("threads_that_end_with_their_process_say_so")? else {
        return Ok(());
    };
    actor.does(SERVING)?;
    let child = actor.number(concat!(
        "child = os.fork()\n",
        "if child == 0:\n",
        "  sent = threading.Event()\n",
        "  threading.Thread(target=lambda: (c.send(b'x'), sent.set(), time.sleep(60))).start()\n",
        "  sent.wait(); in_thread(lambda: d.send(b'y')); os._exit(0)\n",
        "os.waitpid(child, 0); child"
    ))?;
    let told = stage.told()?;
    let exits = exits(&told, child.try_into()?);
    let thread = |cookie| Ok::<_, anyhow::Error>(told.only(cookie, Send)?.actor.thread);
    let (killed, done) = (thread(actor.cookie("c")?)?, thread(actor.cookie("d")?)?);
    let ended = |thread| exits.iter().filter(move |exit| exit.thread == thread).copied().collect::<Vec<_>>();
    assert!(matches!(ended(killed)[..], [Exit { group: true, .. }]), "{exits:?}");
    assert!(matches!(ended(done)[..], [Exit { group: false, last: false, .. }]), "{exits:?}");
    assert_eq!(exits.len(), 3, "{exits:?}");
    assert!(exits.iter().any(|exit| exit.last), "{exits:?}");
    Ok(())
}
