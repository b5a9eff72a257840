//! What is copied of a connection, as user space says while it lives.

use agent_ebpf::wire::config::capture;
use anyhow::Result;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, options, scene};

/// One exchange between `a` and `b`.
const EXCHANGE: &str = "a.send(b'q' * 3000); take(b, 3000); b.send(b'r' * 3000); take(a, 3000)";

#[test]
fn a_connection_that_speaks_nothing_we_read_is_silent_from_its_next_turn() -> Result<()> {
    let test = "a_connection_that_speaks_nothing_we_read_is_silent_from_its_next_turn";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    actor.does(&format!("a, b = tcp(); {EXCHANGE}"))?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    stage.told()?;
    stage.session.set_policy(a, capture::NONE)?;
    actor.does(EXCHANGE)?;
    actor.does(EXCHANGE)?;
    let told = stage.told()?;
    assert_eq!(told.all_data(a).len(), 0);
    assert_eq!((told.data(b, Recv).len(), told.data(b, Send).len()), (2, 2), "the other end has a policy of its own");
    assert_eq!(told.counts(a), []);
    actor.does("a.close(); b.recv(1)")?;
    assert_eq!(stage.told()?.closings(b).len(), 1);
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    Ok(())
}

/// Which end sends the requests decides whose turns are copied far, and what a thread reads requests from.
#[test]
fn a_connection_whose_role_was_guessed_wrong_is_put_right() -> Result<()> {
    let Some(scene) = scene("a_connection_whose_role_was_guessed_wrong_is_put_right")? else {
        return Ok(());
    };
    let mut actor = Actor::start(&scene)?;
    actor.does("a, b = tcp(); a.send(b'x'); take(b, 1); b.send(b'y'); take(a, 1)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    // The server's port is not known as one: it passes for a client.
    let mut stage = Stage::start(scene, &options())?;
    stage.session.targets().add(actor.pid())?;
    actor.does(EXCHANGE)?;
    let told = stage.told()?;
    let copied = |data: &tracemend_core::decode::Data| data.bytes.len();
    assert_eq!(copied(told.only(b, Recv)?), 1024, "an answer's share");
    assert_eq!(told.only(b, Recv)?.actor.own, None);

    stage.session.set_policy(b, capture::HEAD_SERVER)?;
    stage.session.set_policy(a, capture::HEAD_CLIENT)?;
    actor.does(EXCHANGE)?;
    let told = stage.told()?;
    assert_eq!((copied(told.only(b, Recv)?), copied(told.only(b, Send)?)), (3000, 1024));
    assert_eq!((copied(told.only(a, Send)?), copied(told.only(a, Recv)?)), (3000, 1024));
    let request = told.only(b, Recv)?.actor;
    assert!(request.own.is_some() && request.own == request.turn, "{request:?}");
    assert_eq!(told.only(a, Recv)?.actor.own, request.own, "an answer is not a request");
    Ok(())
}

#[test]
fn a_connection_that_is_wanted_whole_is_copied_call_by_call() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_connection_that_is_wanted_whole_is_copied_call_by_call")? else {
        return Ok(());
    };
    actor.does("a, b = tcp()")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    stage.session.set_policy(a, capture::FULL)?;
    actor.does("for _ in range(3): a.send(b'q' * 5000); take(b, 5000)\na.send(b'q' * 9000); take(b, 9000)")?;
    let told = stage.told()?;
    let copied: Vec<_> = told.data(a, Send).iter().map(|data| data.bytes.len()).collect();
    assert_eq!(copied, [5000, 5000, 5000, 8192]);
    let head: usize = told.data(b, Recv).iter().map(|data| data.bytes.len()).sum();
    assert_eq!(head, 8192, "the other end keeps to heads");
    Ok(())
}
