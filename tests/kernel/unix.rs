//! Unix sockets: who asks, what they are called, and how two ends know each other.

use std::collections::BTreeSet;

use anyhow::Result;
use tracemend::attach::Past;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::decode::{Address, Closing, Link, Opened};
use tracemend_core::ids::SockCookie;
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, options, scene};

/// What a request and an answer between `a` and `b` tell, where `a` asks; `name` is what the serving end is bound to.
fn ends_know_each_other(stage: &mut Stage, actor: &mut Actor, name: &Address) -> Result<()> {
    actor.does("a.send(b'request'); take(b, 7); b.send(b'answer'); take(a, 6); a.send(b'x'); take(b, 1)")?;
    // Only now: a look gives a socket its cookie, and so would tell the other end.
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    let (client, server) = (told.open(a)?, told.open(b)?);
    assert!(client.unix && server.unix && !client.old && !server.old);
    assert_eq!((client.opened, server.opened), (Opened::Active, Opened::Passive));
    assert_eq!((&client.endpoint.local, &client.endpoint.peer), (&Address::Unknown, name));
    assert_eq!((&server.endpoint.local, &server.endpoint.peer), (name, &Address::Unknown));
    assert_eq!(server.link, Link::Unix(SockCookie(a)));
    for (cookie, other) in [(a, b), (b, a)] {
        let links: Vec<_> = told.all_data(cookie).iter().map(|data| data.link).collect();
        let known = Link::Unix(SockCookie(other));
        // An end that never acted has no cookie yet.
        let first = if cookie == a { Link::None } else { known };
        assert_eq!(links, [first, known, known]);
    }
    Ok(())
}

#[test]
fn both_ends_of_a_bound_socket_know_each_other() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("both_ends_of_a_bound_socket_know_each_other")? else {
        return Ok(());
    };
    let path = stage.scene.path("socket");
    actor.does(&format!("a, b = unix({path:?})"))?;
    ends_know_each_other(&mut stage, &mut actor, &Address::Unix(path.display().to_string()))
}

#[test]
fn both_ends_of_an_abstract_socket_know_each_other() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("both_ends_of_an_abstract_socket_know_each_other")? else {
        return Ok(());
    };
    let name = format!("tracemend-{}", actor.pid());
    actor.does(&format!("a, b = unix('\\0{name}')"))?;
    ends_know_each_other(&mut stage, &mut actor, &Address::Unix(format!("@{name}")))
}

/// Nothing tells them apart but who speaks first.
#[test]
fn of_a_pair_without_names_the_one_that_speaks_first_asks() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("of_a_pair_without_names_the_one_that_speaks_first_asks")? else {
        return Ok(());
    };
    actor.does("b, a = socket.socketpair()")?;
    ends_know_each_other(&mut stage, &mut actor, &Address::Unknown)
}

#[test]
fn sockets_at_one_address_stay_apart() -> Result<()> {
    const COUNT: usize = 100;
    let Some((mut stage, mut actor)) = Stage::open("sockets_at_one_address_stay_apart")? else {
        return Ok(());
    };
    // The kernel reuses the memory of each pair for the next one.
    let path = stage.scene.path("socket");
    let cookies = actor.does(&format!(
        "cookies = []\nfor n in range({COUNT}):\n  a, b = unix({path:?}); a.send(b'x' * (n + 1)); take(b, n + 1)\n  \
         cookies += [cookie(a), cookie(b)]; a.close(); b.close(); os.unlink({path:?})\ncookies"
    ))?;
    let cookies: Vec<u64> = serde_json::from_value(cookies)?;
    assert_eq!(cookies.iter().collect::<BTreeSet<_>>().len(), 2 * COUNT);
    let told = stage.told()?;
    for (number, pair) in cookies.chunks(2).enumerate() {
        for (cookie, direction) in [(pair[0], Send), (pair[1], Recv)] {
            told.open(cookie)?;
            let data = told.only(cookie, direction)?;
            assert_eq!((data.offset, data.len as usize), (0, number + 1));
        }
    }
    Ok(())
}

/// Its counters begin with the first sight, so its past does not show in its offsets.
#[test]
fn a_connection_older_than_the_hooks_is_known_by_its_inode_once() -> Result<()> {
    let Some(scene) = scene("a_connection_older_than_the_hooks_is_known_by_its_inode_once")? else {
        return Ok(());
    };
    let mut actor = Actor::start(&scene)?;
    let (old, new) = (scene.path("old"), scene.path("new"));
    actor.does(&format!("a, b = unix({old:?}); a.send(b'unseen'); take(b, 6)"))?;
    let inode = |actor: &mut Actor, name: &str| actor.number(&format!("os.fstat({name}.fileno()).st_ino"));
    let unix_connections = vec![inode(&mut actor, "a")?, inode(&mut actor, "b")?];
    let past = Past { listeners: Vec::new(), unix_connections };
    let mut stage = Stage::start_late(scene, &options(), past)?;
    stage.session.targets().add(actor.pid())?;
    actor.does("b.send(b'seen'); take(a, 4)")?;
    actor.does(&format!("c, d = unix({new:?}); c.send(b'request'); take(d, 7)"))?;
    let told = stage.told()?;
    for (name, old, opened) in [
        ("a", true, Opened::Active),
        ("b", true, Opened::Passive),
        ("c", false, Opened::Active),
        ("d", false, Opened::Passive),
    ] {
        let open = told.open(actor.cookie(name)?)?;
        assert_eq!((open.old, open.opened), (old, opened), "{name}");
    }
    assert_eq!(told.only(actor.cookie("a")?, Recv)?.offset, 0);
    Ok(())
}

#[test]
fn an_end_that_hung_up_is_told_at_the_other_end() -> Result<()> {
    const EPIPE: i32 = 32;
    let Some((mut stage, mut actor)) = Stage::open("an_end_that_hung_up_is_told_at_the_other_end")? else {
        return Ok(());
    };
    let path = stage.scene.path("socket");
    actor.does(&format!("a, b = unix({path:?}); a.send(b'x'); take(b, 1); a.close(); b.recv(1)"))?;
    actor.does("try: b.send(b'y')\nexcept BrokenPipeError: pass")?;
    let b = actor.cookie("b")?;
    assert_eq!(stage.told()?.closings(b), [Closing::RecvEof, Closing::Error(EPIPE)]);
    Ok(())
}
