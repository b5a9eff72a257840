//! Bytes that moved under a call whose registers do not name their buffer: they are counted, and nothing is read.

use std::collections::BTreeMap;

use anyhow::Result;
use tracemend_core::decode::Direction::{self, Recv, Send};

use crate::stage::{Stage, Told};

/// The losses that a socket's records name, and that not one byte was taken for theirs.
fn unseen(told: &Told, cookie: u64, direction: Direction) -> BTreeMap<&'static str, u64> {
    let mut reasons = BTreeMap::new();
    for data in told.data(cookie, direction) {
        assert_eq!(data.bytes, b""[..], "{data:?}");
        *reasons.entry(data.unseen.unwrap_or("nothing unseen")).or_default() += 1;
    }
    reasons
}

/// The bytes of these records together: that much moved, seen or not.
fn moved(told: &Told, cookie: u64, direction: Direction) -> u32 {
    told.data(cookie, direction).iter().map(|data| data.len).sum()
}

/// The receiving thread reads a device while bytes arrive that it asked a ring for.
#[test]
fn a_completion_under_an_unrelated_read_is_not_read() -> Result<()> {
    const ROUNDS: u32 = 100;
    let Some((mut stage, mut server)) = Stage::open("a_completion_under_an_unrelated_read_is_not_read")? else {
        return Ok(());
    };
    let mut client = stage.traced_actor()?;
    let path = stage.scene.path("port");
    server.does("l = socket.create_server(('127.0.0.1', 0))")?;
    let port = server.number("l.getsockname()[1]")?;
    client.does(&format!("a = socket.create_connection(('127.0.0.1', {port}))"))?;
    server.does("b, _ = l.accept(); ring = uring.Ring(); zero = os.open('/dev/zero', os.O_RDONLY)")?;
    let (a, b) = (client.cookie("a")?, server.cookie("b")?);
    // The client waits for each round to begin, by way of a pipe with a name: no socket.
    server.does(&format!("os.mkfifo({path:?}); fifo = os.open({path:?}, os.O_RDWR)"))?;
    client.does(&format!("fifo = os.open({path:?}, os.O_RDWR)"))?;
    client.begins(&format!(
        "for _ in range({ROUNDS}):\n  os.read(fifo, 1)\n  time.sleep(0.001)\n  a.send(b'from the client')"
    ))?;
    let seen = server.does(&format!(
        "for _ in range({ROUNDS}):\n  buffer = ring.receive(b, 100)\n  os.write(fifo, b'!')\n  while \
         (length := ring.result()) is None: os.read(zero, 4096)\nlength, buffer.raw[:length].decode()"
    ))?;
    client.is_done()?;
    assert_eq!(seen, serde_json::json!([15, "from the client"]));

    let told = stage.told()?;
    assert_eq!(told.data(a, Send).iter().filter(|data| data.bytes == b"from the client"[..]).count() as u32, ROUNDS);
    assert_eq!(moved(&told, b, Recv), 15 * ROUNDS);
    // On the way back from the read to user space: the call whose registers these are is over.
    let reasons = unseen(&told, b, Recv);
    assert_eq!(reasons, [("other_syscall", u64::from(ROUNDS))].into());
    assert_eq!(stage.losses(), reasons);
    Ok(())
}

#[test]
fn what_a_ring_moves_is_not_read() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("what_a_ring_moves_is_not_read")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); ring = uring.Ring()")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    // At once, in the call that submits; then by a worker thread; then by a kernel thread that submits too.
    actor.does("ring.send(a, b'inline'); ring.wait(); ring.receive(b, 6); ring.wait()")?;
    let told = stage.told()?;
    for (cookie, direction) in [(a, Send), (b, Recv)] {
        assert_eq!(moved(&told, cookie, direction), 6);
        assert_eq!(unseen(&told, cookie, direction), [("other_syscall", 1)].into());
    }
    actor.does(
        "ring.send(a, b'by a worker', uring.ASYNC); ring.wait(); ring.receive(b, 11, uring.ASYNC); ring.wait()",
    )?;
    let told = stage.told()?;
    for (cookie, direction) in [(a, Send), (b, Recv)] {
        assert_eq!(moved(&told, cookie, direction), 11);
        assert_eq!(unseen(&told, cookie, direction), [("no_user_caller", 1)].into());
    }
    actor.does("polled = uring.Ring(uring.SQPOLL); polled.send(a, b'polled')")?;
    actor.does("while polled.result() is None: time.sleep(0.001)\ntake(b, 6)")?;
    let told = stage.told()?;
    assert_eq!(unseen(&told, a, Send), [("no_user_caller", 1)].into());
    assert_eq!(told.only(b, Recv)?.bytes, b"polled"[..], "what is read as ever is seen");
    assert_eq!(stage.losses(), [("no_user_caller", 3), ("other_syscall", 2)].into());
    Ok(())
}

#[test]
fn what_goes_from_a_file_or_a_pipe_to_a_socket_is_not_read() -> Result<()> {
    let test = "what_goes_from_a_file_or_a_pipe_to_a_socket_is_not_read";
    let Some((mut stage, mut actor)) = Stage::open(test)? else {
        return Ok(());
    };
    let file = stage.scene.path("file");
    actor.does(&format!("a, b = tcp(); open({file:?}, 'wb').write(b'in a file'); f = open({file:?}, 'rb')"))?;
    actor.does("os.sendfile(a.fileno(), f.fileno(), 0, 9); take(b, 9)")?;
    actor.does("r, w = os.pipe(); os.write(w, b'in a pipe'); os.splice(r, a.fileno(), 9); take(b, 9)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    assert_eq!(moved(&told, a, Send), 18);
    assert_eq!(unseen(&told, a, Send), [("other_syscall", 2)].into());
    let read: Vec<_> = told.data(b, Recv).iter().map(|data| &data.bytes[..]).collect();
    assert_eq!(read, [b"in a file", b"in a pipe"]);
    assert_eq!(stage.losses(), [("other_syscall", 2)].into());
    Ok(())
}

/// No hook sees it; that bytes are missing is in the offset of the next ones.
#[test]
fn what_goes_from_a_socket_to_a_pipe_is_a_jump_of_the_offset() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("what_goes_from_a_socket_to_a_pipe_is_a_jump_of_the_offset")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); r, w = os.pipe(); a.send(b'firstSPLICEDlast')")?;
    actor.does("b.recv(5); os.splice(b.fileno(), w, 7); b.recv(100)")?;
    let b = actor.cookie("b")?;
    let told = stage.told()?;
    let read: Vec<_> = told.data(b, Recv).iter().map(|data| (data.offset, &data.bytes[..])).collect();
    assert_eq!(read, [(0, b"first".as_slice()), (12, b"last".as_slice())]);
    Ok(())
}

#[test]
fn several_messages_in_one_call_are_not_read() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("several_messages_in_one_call_are_not_read")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); x, y = (ctypes.create_string_buffer(text, 5) for text in (b'first', b'after'))")?;
    assert_eq!(actor.number("libc.sendmmsg(a.fileno(), messages(x, y), 2, 0)")?, 2);
    assert_eq!(actor.number("libc.recvmmsg(b.fileno(), messages(y, x), 2, 0, None)")?, 2);
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    for (cookie, direction) in [(a, Send), (b, Recv)] {
        assert_eq!(moved(&told, cookie, direction), 10);
        assert_eq!(unseen(&told, cookie, direction), [("multi_message", 2)].into());
    }
    assert_eq!(stage.losses(), [("multi_message", 4)].into());
    Ok(())
}

/// Numbers of calls mean something else there, and registers too.
#[test]
fn a_call_through_the_gate_of_32_bit_programs_is_not_read() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("a_call_through_the_gate_of_32_bit_programs_is_not_read")? else {
        return Ok(());
    };
    actor.does("a, b = tcp()")?;
    assert_eq!(actor.number("write_as_32_bit(a, b'thirty-two')")?, 10);
    actor.does("take(b, 10)")?;
    let (a, b) = (actor.cookie("a")?, actor.cookie("b")?);
    let told = stage.told()?;
    assert_eq!(unseen(&told, a, Send), [("no_user_caller", 1)].into());
    assert_eq!(told.only(b, Recv)?.bytes, b"thirty-two"[..]);
    Ok(())
}

/// The registers name the very socket whose bytes came, and a buffer they did not go to.
#[test]
fn a_completion_under_a_read_of_the_same_socket_is_not_read() -> Result<()> {
    const ROUNDS: usize = 300;
    let Some((mut stage, mut server)) = Stage::open("a_completion_under_a_read_of_the_same_socket_is_not_read")? else {
        return Ok(());
    };
    let mut client = stage.traced_actor()?;
    server.does("l = socket.create_server(('127.0.0.1', 0))")?;
    let port = server.number("l.getsockname()[1]")?;
    client.does(&format!("a = socket.create_connection(('127.0.0.1', {port}))"))?;
    server.does("b, _ = l.accept(); b.setblocking(False); ring = uring.Ring(); stale = bytearray(b'stale' * 20)")?;
    client.begins(&format!("for _ in range({ROUNDS}):\n  time.sleep(0.001)\n  a.send(b'fresh')"))?;
    server.does(&format!(
        "read = 0\nring.receive(b, 100)\nwhile read < {ROUNDS} * 5:\n  try: read += b.recv_into(stale)\n  \
         except BlockingIOError: pass\n  if (length := ring.result()) is not None:\n    read += length; ring.receive(b, 100)\n  \
         stale[:] = b'stale' * 20"
    ))?;
    client.is_done()?;
    let told = stage.told()?;
    let read = told.data(server.cookie("b")?, Recv);
    let seen: Vec<u8> = read.iter().flat_map(|data| data.bytes.clone()).collect();
    println!("{} records, {} bytes seen, {:?}", read.len(), seen.len(), stage.losses());
    assert!(read.iter().any(|data| data.bytes.is_empty()), "the ring received nothing");
    assert_eq!(String::from_utf8_lossy(&seen), "fresh".repeat(seen.len() / 5));
    Ok(())
}
