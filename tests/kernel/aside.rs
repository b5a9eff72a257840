//! Receiving that does not take the stream's next bytes, or does not give them.

use anyhow::Result;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_tests::scene::skip;

use crate::stage::Stage;

#[test]
fn bytes_that_were_looked_at_are_told_once_when_they_are_taken() -> Result<()> {
    let test = "bytes_that_were_looked_at_are_told_once_when_they_are_taken";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    let path = stage.scene.path("socket");
    actor.does(&format!("a, b = tcp(); c, d = unix({path:?})"))?;
    for (sender, receiver) in [("a", "b"), ("c", "d")] {
        actor.does(&format!("{sender}.send(b'look twice')"))?;
        actor.does(&format!("{receiver}.recv(4, socket.MSG_PEEK); {receiver}.recv(100, socket.MSG_PEEK)"))?;
        actor.does(&format!("{receiver}.recv(4); {receiver}.recv(100, socket.MSG_PEEK); {receiver}.recv(100)"))?;
        let cookie = actor.cookie(receiver)?;
        let told = stage.told()?;
        let read: Vec<_> = told.data(cookie, Recv).iter().map(|data| (data.offset, &data.bytes[..])).collect();
        assert_eq!(read, [(0, b"look".as_slice()), (4, b" twice".as_slice())], "{receiver}");
    }
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    Ok(())
}

/// Whatever stands in a buffer that the call leaves alone is not what came.
#[test]
fn bytes_that_the_call_drops_are_a_gap() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("bytes_that_the_call_drops_are_a_gap")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'droppedDROPPEDtaken')")?;
    assert_eq!(actor.number("libc.recv(b.fileno(), None, 7, socket.MSG_TRUNC)")?, 7);
    actor.does("old = ctypes.create_string_buffer(b'stale bytes', 11)")?;
    assert_eq!(actor.number("libc.recv(b.fileno(), old, 7, socket.MSG_TRUNC)")?, 7);
    assert_eq!(actor.does("old.raw.decode()")?, "stale bytes");
    actor.does("b.recv(100)")?;
    let b = actor.cookie("b")?;
    let told = stage.told()?;
    let read: Vec<_> =
        told.data(b, Recv).iter().map(|data| (data.offset, data.len, &data.bytes[..], data.unseen)).collect();
    let expected = [
        (0, 7, b"".as_slice(), Some("truncated")),
        (7, 7, b"".as_slice(), Some("truncated")),
        (14, 5, b"taken".as_slice(), None),
    ];
    assert_eq!(read, expected);
    assert_eq!(stage.losses(), [("truncated", 2)].into());
    Ok(())
}

/// TCP's urgent byte has a place in the stream and is read past it.
#[test]
fn an_urgent_byte_is_a_gap_of_one() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("an_urgent_byte_is_a_gap_of_one")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'before'); a.send(b'!', socket.MSG_OOB); a.send(b'after')")?;
    actor.does("b.recv(6); b.recv(1, socket.MSG_OOB); b.recv(100)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    let sent: Vec<_> = told.data(a, Send).iter().map(|data| (data.offset, data.len)).collect();
    assert_eq!(sent, [(1, 6), (7, 1), (8, 5)]);
    let read: Vec<_> = told.data(b, Recv).iter().map(|data| (data.offset, &data.bytes[..])).collect();
    assert_eq!(read, [(0, b"before".as_slice()), (7, b"after".as_slice())]);
    Ok(())
}

#[test]
fn datagrams_and_pipes_are_not_told() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("datagrams_and_pipes_are_not_told")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'x'); take(b, 1)")?;
    stage.told()?;
    actor
        .does("u = socket.socket(type=socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0)); u.sendto(b'x', u.getsockname())")?;
    actor
        .does("u.recv(10); p, q = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); p.send(b'x'); q.recv(9)")?;
    actor.does("r, w = os.pipe(); os.write(w, b'x'); os.read(r, 1)")?;
    let told = stage.told()?;
    assert_eq!(told.of(actor.pid()).collect::<Vec<_>>(), Vec::<&tracemend_core::decode::Event>::new());
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    Ok(())
}

/// Its subflows carry the bytes out of order; a plain TCP connection to such a listener is one as ever.
#[test]
fn streams_of_another_protocol_are_counted() -> Result<()> {
    const IPPROTO_MPTCP: u32 = 262;
    let test = "streams_of_another_protocol_are_counted";
    if std::fs::read_to_string("/proc/sys/net/mptcp/enabled").map_or(true, |enabled| enabled.trim() != "1") {
        skip(test, "MPTCP is off (net.mptcp.enabled)");
        return Ok(());
    }
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    actor.does(&format!("l = socket.socket(proto={IPPROTO_MPTCP}); l.bind(('127.0.0.1', 0)); l.listen()"))?;
    actor.does(&format!("c = socket.socket(proto={IPPROTO_MPTCP}); c.connect(l.getsockname()); d, _ = l.accept()"))?;
    actor.does("a = socket.create_connection(l.getsockname()); b, _ = l.accept()")?;
    actor.does("c.send(b'one'); take(d, 3); a.send(b'two'); take(b, 3)")?;
    let (b, c, d) = (actor.cookie("b")?, actor.cookie("c")?, actor.cookie("d")?);
    let told = stage.told()?;
    assert_eq!(told.only(b, Recv)?.bytes, b"two"[..]);
    assert_eq!((told.all_data(c).len(), told.all_data(d).len()), (0, 0));
    assert_eq!(stage.losses(), [("other_protocol", 2)].into());
    Ok(())
}
