//! Life of TCP connections: who opened them, on whose behalf, and how they end.

use std::fs;

use anyhow::{Context, Result};
use tracemend::attach::Past;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::decode::{Address, Bases, Closing, Connect, Event, Link, Opened, Tag};
use tracemend_core::ids::{SockCookie, Tgid, Tid};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, options, scene};

fn bases(link: Link) -> Result<Bases> {
    match link {
        Link::Tcp(bases) => Ok(bases),
        other => anyhow::bail!("no bases: {other:?}"),
    }
}

fn address(actor: &mut Actor, expression: &str) -> Result<Address> {
    let name = actor.does(expression)?;
    let ip = name[0].as_str().context("an address")?.parse()?;
    Ok(Address::Inet(ip, name[1].as_u64().context("a port")?.try_into()?))
}

#[test]
fn the_end_that_connected_and_the_end_that_was_accepted_are_told_apart() -> Result<()> {
    let test = "the_end_that_connected_and_the_end_that_was_accepted_are_told_apart";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    let netns = network_namespace()?;
    for host in ["127.0.0.1", "::1"] {
        actor.does(&format!("a, b = tcp('{host}'); b.send(b'first'); take(a, 5); a.send(b'second'); take(b, 6)"))?;
        let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
        let (here, there) = (address(&mut actor, "a.getsockname()")?, address(&mut actor, "b.getsockname()")?);
        let told = stage.told()?;
        let (client, server) = (told.open(a)?, told.open(b)?);
        assert_eq!((client.opened, server.opened), (Opened::Active, Opened::Passive));
        assert_eq!((&client.endpoint.local, &client.endpoint.peer), (&here, &there));
        assert_eq!((&server.endpoint.local, &server.endpoint.peer), (&there, &here));
        for open in [client, server] {
            assert_eq!((open.old, open.agent, open.unix, open.netns), (false, false, false, netns));
            assert_eq!(open.actor.thread.process.tgid, Tgid(actor.pid()));
        }
        assert_eq!(server.connect, None);
        assert_eq!(client.connect.map(|connect| connect.tid), Some(Tid(actor.pid())));
    }
    Ok(())
}

/// They are the same number at both ends, and at every moment.
#[test]
fn both_ends_count_from_the_same_sequence_numbers() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("both_ends_count_from_the_same_sequence_numbers")? else {
        return Ok(());
    };
    actor.does(
        "a, b = tcp()\nfor _ in range(20): a.send(b'q' * 3000); take(b, 3000); b.send(b'r' * 700); take(a, 700)",
    )?;
    let told = stage.told()?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let (client, server) = (bases(told.open(a)?.link)?, bases(told.open(b)?.link)?);
    // The one that connected has its SYN counted among its acknowledged bytes.
    assert_eq!((client.send.wrapping_add(1), client.recv), (server.recv, server.send));
    let mut samples = 0;
    for (cookie, bases) in [(a, client), (b, server)] {
        for data in told.all_data(cookie) {
            // A sample is left out if the numbers moved while they were read.
            if data.link != Link::None {
                assert_eq!(data.link, Link::Tcp(bases));
                samples += 1;
            }
        }
    }
    assert!(samples > 40, "{samples} samples of 80 records");
    Ok(())
}

#[test]
fn a_connection_is_bound_to_the_turn_in_which_it_was_opened() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_connection_is_bound_to_the_turn_in_which_it_was_opened")? else {
        return Ok(());
    };
    // Two requests are read before two calls are opened; what was read later does not change what was bound.
    actor.does("a, b = tcp(); a.send(b'one'); take(b, 3); c, _ = tcp(); b.send(b'ok'); take(a, 2)")?;
    actor.does("a.send(b'two'); take(b, 3); d, _ = tcp(); c.send(b'x'); d.send(b'x')")?;
    let told = stage.told()?;
    let b = SockCookie(actor.cookie("b")?);
    let tid = Tid(actor.pid());
    for (name, offset) in [("c", 0), ("d", 3)] {
        let turn = Some(Tag { cookie: b, offset });
        let open = told.open(actor.cookie(name)?)?;
        assert_eq!(open.connect, Some(Connect { tid, turn, stale: false }), "{name}");
    }

    actor.does(
        "p, q = socket.socketpair(type=socket.SOCK_DGRAM); p.send(b'x'); q.recv(1); e, _ = tcp(); e.send(b'x')",
    )?;
    let told = stage.told()?;
    let connect = told.open(actor.cookie("e")?)?.connect;
    assert_eq!(connect.map(|connect| connect.stale), Some(true), "a datagram came in between");
    Ok(())
}

#[test]
fn a_connection_older_than_the_hooks_has_its_role_by_its_port_and_its_true_offsets() -> Result<()> {
    let test = "a_connection_older_than_the_hooks_has_its_role_by_its_port_and_its_true_offsets";
    let Some(scene) = scene(test)? else {
        return Ok(());
    };
    let mut actor = Actor::start(&scene)?;
    actor.does("a, b = tcp(); a.send(b'unseen'); take(b, 6); b.send(b'too'); take(a, 3)")?;
    let listener = (network_namespace()?, actor.number("b.getsockname()[1]")?.try_into()?);
    let past = Past { listeners: vec![listener], unix_connections: Vec::new() };
    let mut stage = Stage::start_late(scene, &options(), past)?;
    stage.session.targets().add(actor.pid())?;
    actor.does("a.send(b'seen'); take(b, 4); b.send(b'!'); take(a, 1)")?;
    let told = stage.told()?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let (client, server) = (told.open(a)?, told.open(b)?);
    assert!(client.old && server.old);
    assert_eq!((client.opened, server.opened), (Opened::Unknown, Opened::ListeningPort));
    assert_eq!((client.connect, server.connect), (None, None));
    let (sent, read) = (told.only(a, Send)?, told.only(b, Recv)?);
    assert_eq!((sent.offset, &sent.bytes[..]), (7, b"seen".as_slice()));
    assert_eq!((read.offset, &read.bytes[..]), (6, b"seen".as_slice()));
    assert_eq!((told.only(b, Send)?.offset, told.only(a, Recv)?.offset), (3, 3));
    let (client, server) = (bases(sent.link)?, bases(read.link)?);
    assert_eq!((client.send.wrapping_add(1), client.recv), (server.recv, server.send));
    Ok(())
}

#[test]
fn the_end_of_each_direction_is_told_at_both_ends() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("the_end_of_each_direction_is_told_at_both_ends")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'x'); take(b, 1); b.send(b'y'); take(a, 1)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    stage.told()?;
    actor.does("a.shutdown(socket.SHUT_WR); b.recv(1), b.recv(1)")?;
    let told = stage.told()?;
    assert_eq!(told.closings(a), [Closing::SendFin]);
    assert_eq!(told.closings(b), [Closing::RecvEof], "told once, however often it is read");
    actor.does("b.send(b'last'); take(a, 4); b.close(); a.recv(1)")?;
    let told = stage.told()?;
    assert_eq!(told.only(a, Recv)?.bytes, b"last"[..], "a half-closed connection still carries the other direction");
    assert_eq!(told.closings(b), [Closing::SendFin, Closing::Closed]);
    let ended = told.closings(a);
    assert!(ended.len() == 2 && [Closing::Closed, Closing::RecvEof].iter().all(|one| ended.contains(one)), "{ended:?}");
    Ok(())
}

/// In the call, and not when the other end, which may take its time, has answered; and `shutdown` is no `close`.
#[test]
fn a_close_is_told_when_it_is_called() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_close_is_told_when_it_is_called")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'x'); take(b, 1); c, d = tcp(); c.send(b'x'); take(d, 1)")?;
    let (a, c) = (actor.cookie("a")?, actor.cookie("c")?);
    stage.told()?;
    actor.does("a.close(); c.shutdown(socket.SHUT_WR)")?;
    let told = stage.told()?;
    assert_eq!(told.closings(a), [Closing::Closed]);
    assert_eq!(told.closings(c), [Closing::SendFin]);
    actor.does("b.close(); d.close(); c.close()")?;
    let told = stage.told()?;
    assert_eq!(told.closings(a), [], "told once");
    assert_eq!(told.closings(c).last(), Some(&Closing::Closed));
    Ok(())
}

/// By the connection itself, before a call fails with it.
#[test]
fn a_reset_is_told_with_its_error() -> Result<()> {
    const ECONNRESET: i32 = 104;
    let Some((mut stage, mut actor)) = Stage::open("a_reset_is_told_with_its_error")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'x'); take(b, 1)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    actor.does("a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, 'little') + bytes(4)); a.close()")?;
    let told = stage.told()?;
    assert_eq!(told.closings(a), [Closing::Closed], "the one that resets it does so of its own accord");
    assert_eq!(told.closings(b), [Closing::Error(ECONNRESET), Closing::Closed]);
    actor.does("try: b.recv(1)\nexcept ConnectionResetError: pass")?;
    assert_eq!(stage.told()?.closings(b), [], "told once");
    Ok(())
}

#[test]
fn a_listener_is_told_with_its_process_and_port() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_listener_is_told_with_its_process_and_port")? else {
        return Ok(());
    };
    // By a process that nobody traces too: it may be the target that is waited for.
    let mut other = Actor::start(&stage.scene)?;
    for actor in [&mut actor, &mut other] {
        actor.does("l = socket.create_server(('127.0.0.1', 0))")?;
        let port = actor.number("l.getsockname()[1]")?;
        let told = stage.told()?;
        let ports: Vec<_> = told
            .of(actor.pid())
            .filter_map(|event| match event {
                Event::Listen(listen) => Some(u64::from(listen.port)),
                _ => None,
            })
            .collect();
        assert_eq!(ports, [port]);
    }
    Ok(())
}

/// `net.ns.inum` of this process.
fn network_namespace() -> Result<u32> {
    let name = fs::read_link("/proc/self/ns/net")?;
    let name = name.to_str().and_then(|name| name.strip_prefix("net:[")?.strip_suffix(']')).context("a namespace")?;
    Ok(name.parse()?)
}
