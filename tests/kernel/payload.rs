//! Bytes, both ways, through every call that names its buffer.

use anyhow::{Result, ensure};
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::ids::{Tgid, Tid};
use tracemend_tests::actor::Actor;

use crate::stage::{Stage, Told};

/// Ways to send `d` on the socket `s`.
const SENDING: &[&str] = &[
    "s.send(d)",
    "os.write(s.fileno(), d)",
    "os.writev(s.fileno(), [d[:3], b'', d[3:5], d[5:]])",
    "os.pwritev(s.fileno(), [d[:1], d[1:]], -1, os.RWF_HIPRI)",
    "s.sendmsg([d[:4], d[4:6], d[6:]])",
];

/// Ways to receive as many bytes from the socket `r`.
const RECEIVING: &[&str] = &[
    "r.recv(len(d))",
    "os.read(r.fileno(), 1000)",
    "os.readv(r.fileno(), [bytearray(2), bytearray(1), bytearray(1000)])",
    "os.preadv(r.fileno(), [bytearray(5), bytearray(1000)], -1, os.RWF_HIPRI)",
    "r.recvmsg_into([bytearray(1), bytearray(7), bytearray(1000)])",
];

/// Both ends say something in turn, once in each way; every byte is told once at each end, at its offset. The raw offset
/// of what the end that opened a TCP connection sends is one ahead: it counts the SYN.
fn every_way_is_told(stage: &mut Stage, actor: &mut Actor, first_of_a: u64) -> Result<()> {
    let mut said = Vec::new();
    for (number, (send, receive)) in SENDING.iter().zip(RECEIVING).enumerate() {
        for (sender, receiver) in [("a", "b"), ("b", "a")] {
            let message = format!("message {number} of {sender}");
            actor.does(&format!("s, r, d = {sender}, {receiver}, b'{message}'; {send}; {receive}"))?;
            said.push((sender, message));
        }
    }
    let told = stage.told()?;
    for (name, first) in [("a", first_of_a), ("b", 0)] {
        let cookie = actor.cookie(name)?;
        assert_eq!(told.all_data(cookie).len(), said.len());
        for (direction, mut offset) in [(Send, first), (Recv, 0)] {
            let data = told.data(cookie, direction);
            let expected = said.iter().filter(|(sender, _)| (*sender == name) == (direction == Send));
            for ((_, message), data) in expected.zip(&data) {
                assert_eq!(data.bytes, message.as_bytes(), "{data:?}");
                assert_eq!((data.offset, data.len as usize, data.unseen), (offset, message.len(), None), "{data:?}");
                assert!(data.blocking && data.turn_start && !data.shed && !data.stale, "{data:?}");
                assert_eq!(data.actor.thread.process.tgid, Tgid(actor.pid()));
                assert_eq!(data.actor.thread.tid, Tid(actor.pid()));
                offset += u64::from(data.len);
            }
        }
    }
    has_no_gap(&told, actor)?;
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    Ok(())
}

/// A thread numbers its records, so that a lost one would be seen.
fn has_no_gap(told: &Told, actor: &Actor) -> Result<()> {
    let mut last = None;
    for event in told.of(actor.pid()) {
        if let tracemend_core::decode::Event::Data(data) = event {
            ensure!(last.is_none_or(|last| last < data.actor.seq), "{last:?} before {data:?}");
            last = Some(data.actor.seq);
        }
    }
    ensure!(last.is_some(), "no records");
    Ok(())
}

#[test]
fn every_way_to_move_bytes_is_told_over_ipv4() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("every_way_to_move_bytes_is_told_over_ipv4")? else {
        return Ok(());
    };
    actor.does("a, b = tcp()")?;
    every_way_is_told(&mut stage, &mut actor, 1)
}

#[test]
fn every_way_to_move_bytes_is_told_over_ipv6() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("every_way_to_move_bytes_is_told_over_ipv6")? else {
        return Ok(());
    };
    actor.does("a, b = tcp('::1')")?;
    every_way_is_told(&mut stage, &mut actor, 1)
}

#[test]
fn every_way_to_move_bytes_is_told_over_unix_sockets() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("every_way_to_move_bytes_is_told_over_unix_sockets")? else {
        return Ok(());
    };
    let path = stage.scene.path("socket");
    actor.does(&format!("a, b = unix({path:?})"))?;
    every_way_is_told(&mut stage, &mut actor, 0)
}

#[test]
fn buffers_behind_the_eighth_are_a_gap() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("buffers_behind_the_eighth_are_a_gap")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.sendmsg([b'%x,' % n for n in range(12)])")?;
    actor.does("b.recvmsg_into([bytearray(1) for _ in range(4)] + [bytearray(100)])")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    let sent = told.only(a, Send)?;
    assert_eq!((&sent.bytes[..], sent.len), (b"0,1,2,3,4,5,6,7,".as_slice(), 24));
    assert_eq!(sent.unseen, Some("many_buffers"));
    let read = told.only(b, Recv)?;
    assert_eq!((&read.bytes[..], read.unseen), (b"0,1,2,3,4,5,6,7,8,9,a,b,".as_slice(), None));
    assert_eq!(stage.losses(), [("many_buffers", 1)].into());
    Ok(())
}

#[test]
fn a_call_that_must_not_wait_is_told_as_such() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_call_that_must_not_wait_is_told_as_such")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); b.setblocking(False); a.send(b'one'); take(b, 3); b.send(b'two')")?;
    actor.does("a.recv(3, socket.MSG_DONTWAIT); a.send(b'three'); b.setblocking(True); take(b, 5)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    let blocking = |cookie| told.all_data(cookie).into_iter().map(|data| data.blocking).collect::<Vec<_>>();
    assert_eq!(blocking(a), [true, false, true]);
    assert_eq!(blocking(b), [false, false, true]);
    Ok(())
}

/// A datagram may have brought the thread other work than the stream did.
#[test]
fn a_thread_that_received_a_datagram_is_stale_until_its_next_turn() -> Result<()> {
    let test = "a_thread_that_received_a_datagram_is_stale_until_its_next_turn";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); p, q = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)")?;
    actor.does("a.send(b'1'); take(b, 1); b.send(b'2'); p.send(b'x'); q.recv(1); b.send(b'3')")?;
    actor.does("take(a, 2); a.send(b'4'); take(b, 1); b.send(b'5')")?;
    let b = actor.cookie("b")?;
    let told = stage.told()?;
    let stale: Vec<_> = told.all_data(b).into_iter().map(|data| (data.bytes.to_vec(), data.stale)).collect();
    let expected = [("1", false), ("2", false), ("3", true), ("4", false), ("5", false)];
    assert_eq!(stale, expected.map(|(bytes, stale)| (bytes.as_bytes().to_vec(), stale)));
    Ok(())
}
