//! Whose traffic is copied.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use tracemend::attach::Options;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::decode::Event;
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, options, scene};

/// Something moves on a fresh connection `a`, `b`, and is read by a forked child.
const MOVE: &str = "a, b = tcp(); a.send(b'x'); take(b, 1)";
const MOVE_IN_CHILD: &str = "a, b = tcp(); child = os.fork()\nif child == 0:\n  a.send(b'x'); take(b, 1); os._exit(0)\nos.waitpid(child, 0); child";

#[test]
fn only_targets_are_told_of_and_only_while_they_are() -> Result<()> {
    let Some(scene) = scene("only_targets_are_told_of_and_only_while_they_are")? else {
        return Ok(());
    };
    let mut stage = Stage::start(scene, &options())?;
    let mut actor = Actor::start(&stage.scene)?;
    let tells = |stage: &mut Stage, actor: &mut Actor| -> Result<bool> {
        actor.does(MOVE)?;
        let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
        let told = stage.told()?;
        assert_eq!(told.all_data(a).is_empty(), told.all_data(b).is_empty());
        Ok(!told.all_data(a).is_empty())
    };
    assert!(!tells(&mut stage, &mut actor)?, "nobody named it");
    stage.session.targets().add(actor.pid())?;
    assert!(tells(&mut stage, &mut actor)?, "it was named");
    stage.session.targets().leave_out(actor.pid())?;
    assert!(!tells(&mut stage, &mut actor)?, "it is left out again");
    Ok(())
}

#[test]
fn children_are_traced_as_their_parents_are() -> Result<()> {
    let Some(scene) = scene("children_are_traced_as_their_parents_are")? else {
        return Ok(());
    };
    // Every process is a target, but the one that is left out.
    let all = Options { trace_by_default: true, ..options() };
    let mut stage = Stage::start(scene, &all)?;
    let (mut named, mut left_out) = (stage.traced_actor()?, Actor::start(&stage.scene)?);
    stage.session.targets().leave_out(left_out.pid())?;
    for (actor, traced) in [(&mut named, true), (&mut left_out, false)] {
        for statements in [MOVE, MOVE_IN_CHILD] {
            actor.does(statements)?;
            let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
            let told = stage.told()?;
            assert_eq!(told.data(a, Send).len(), usize::from(traced), "{statements}");
            assert_eq!(told.data(b, Recv).len(), usize::from(traced), "{statements}");
        }
    }
    Ok(())
}

#[test]
fn a_child_that_the_full_map_has_no_room_for_is_counted() -> Result<()> {
    /// As many as the map holds; no process has such an id (`PID_MAX_LIMIT` is 2^22).
    const FULL: u32 = 16_384;
    const NOBODY: u32 = 1 << 24;
    let Some((mut stage, mut actor)) = Stage::open("a_child_that_the_full_map_has_no_room_for_is_counted")? else {
        return Ok(());
    };
    for number in 0..FULL - 1 {
        stage.session.targets().add(NOBODY + number)?;
    }
    assert!(stage.session.targets().add(NOBODY + FULL).is_err(), "a target too many");
    actor.does(MOVE_IN_CHILD)?;
    let told = stage.told()?;
    assert_eq!(told.all_data(actor.cookie("a")?).len(), 0, "the child is no target");
    assert_eq!(stage.losses(), [("processes_full", 1)].into());
    Ok(())
}

/// Its other end, at a collector say, must be known to be left out; what is said must not be copied.
#[test]
fn the_agents_own_connections_are_announced_and_never_copied() -> Result<()> {
    let Some(scene) = scene("the_agents_own_connections_are_announced_and_never_copied")? else {
        return Ok(());
    };
    let all = Options { trace_by_default: true, ..options() };
    let mut stage = Stage::start(scene, &all)?;
    // Not even if it is named.
    stage.session.targets().add(std::process::id())?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let (mut left, mut right) = UnixStream::pair()?;
    let mut buffer = [0; 6];
    for _ in 0..3 {
        client.write_all(b"secret")?;
        server.read_exact(&mut buffer)?;
        left.write_all(b"secret")?;
        right.read_exact(&mut buffer)?;
    }
    let told = stage.told()?;
    let mut ends = Vec::new();
    for event in told.of(std::process::id()) {
        match event {
            Event::Open(open) => {
                assert!(open.agent && !open.unix, "{open:?}");
                ends.push(open.endpoint.clone());
            }
            Event::Data(data) => panic!("the agent's own bytes: {data:?}"),
            _ => {}
        }
    }
    assert_eq!(ends.len(), 2, "both ends of the connection are its own: {ends:?}");
    assert_eq!((&ends[0].local, &ends[0].peer), (&ends[1].peer, &ends[1].local));
    Ok(())
}
