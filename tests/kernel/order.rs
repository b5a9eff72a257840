//! Records of several rings, in one order.

use std::collections::BTreeMap;

use agent_ebpf::wire::config::capture;
use anyhow::Result;
use tracemend::attach::Options;
use tracemend::clock::Clock;
use tracemend::ring::Merge;
use tracemend_core::decode::Direction::{Recv, Send};
use tracemend_core::decode::Event;
use tracemend_core::ids::Tid;

use crate::stage::{Stage, options, scene};

/// Read as the agent reads them, while they come: each thread's records in the order of its acts, though its connections
/// are spread over rings.
#[test]
fn the_records_of_a_thread_come_out_in_the_order_of_its_acts() -> Result<()> {
    const ROUNDS: usize = 300;
    const THREADS: usize = 4;
    let Some(scene) = scene("the_records_of_a_thread_come_out_in_the_order_of_its_acts")? else {
        return Ok(());
    };
    let mut stage = Stage::start(scene, &Options { rings: 4, ..options() })?;
    let mut actor = stage.traced_actor()?;
    actor.begins(&format!(
        "def talk():\n  pairs = [tcp() for _ in range(8)]\n  for n in range({ROUNDS}):\n    a, b = pairs[n * 5 % 8]\n    \
         a.send(b'question'); take(b, 8); b.send(b'answer'); take(a, 6)\n\
         threads = [threading.Thread(target=talk) for _ in range({THREADS})]\n\
         for thread in threads: thread.start()\nfor thread in threads: thread.join()"
    ))?;
    let mut merge = Merge::default();
    let mut events = Vec::new();
    let mut drain = |stage: &mut Stage| -> Result<()> {
        let drained_at = Clock::boot_now().0;
        merge.fill(&mut stage.session.rings, drained_at);
        while let Some(record) = merge.release() {
            events.push(record?);
        }
        Ok(())
    };
    let start = std::time::Instant::now();
    while start.elapsed().as_millis() < 300 {
        drain(&mut stage)?;
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
    actor.is_done()?;
    for _ in 0..2 {
        std::thread::sleep(std::time::Duration::from_millis(4));
        drain(&mut stage)?;
    }
    let mut numbers = BTreeMap::<Tid, Vec<u32>>::new();
    let mut last = 0;
    for event in &events {
        let time = event.time().map_or(0, |time| time.0);
        // A count carries the time of its last byte, which is the only thing that may be told late.
        if !matches!(event, Event::Count(_)) {
            assert!(last <= time, "{event:?}");
            last = time;
        }
        if let Event::Open(open) = event {
            numbers.entry(open.actor.thread.tid).or_default().push(open.actor.seq);
        }
        if let Event::Data(data) = event {
            numbers.entry(data.actor.thread.tid).or_default().push(data.actor.seq);
        }
    }
    assert_eq!(numbers.len(), THREADS, "{:?}", numbers.keys());
    for (tid, numbers) in numbers {
        assert_eq!(numbers.len(), 4 * ROUNDS + 16, "{tid:?}");
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{tid:?}: {numbers:?}");
    }
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    Ok(())
}

/// The kernel's counters move while the hook reads them: what is acknowledged, and what arrives.
#[test]
fn offsets_are_true_while_bytes_arrive_and_are_acknowledged() -> Result<()> {
    const TOTAL: u64 = 40_000_000;
    let Some(scene) = scene("offsets_are_true_while_bytes_arrive_and_are_acknowledged")? else {
        return Ok(());
    };
    // Nobody reads meanwhile, so that as many calls as possible are made.
    let mut stage = Stage::start(scene, &Options { rings: 1, ring_bytes: 128 << 20, ..options() })?;
    let (mut server, mut client) = (stage.traced_actor()?, stage.traced_actor()?);
    server.does("l = socket.create_server(('127.0.0.1', 0))")?;
    let port = server.number("l.getsockname()[1]")?;
    client.does(&format!("a = socket.create_connection(('127.0.0.1', {port})); d = bytes(8000)"))?;
    server.does("b, _ = l.accept(); buffer = bytearray(5000)")?;
    let (a, b) = (client.cookie("a")?, server.cookie("b")?);
    stage.session.set_policy(a, capture::FULL)?;
    stage.session.set_policy(b, capture::FULL)?;
    client.begins(&format!("for _ in range({TOTAL} // 8000): a.sendall(d)"))?;
    server.does(&format!("left = {TOTAL}\nwhile left > 0: left -= b.recv_into(buffer)"))?;
    client.is_done()?;
    let told = stage.told()?;
    assert!(stage.losses().is_empty(), "{:?}", stage.losses());
    for (cookie, direction, first) in [(a, Send, 1), (b, Recv, 0)] {
        let mut expected = first;
        let mut wrong = Vec::new();
        let data = told.data(cookie, direction);
        for data in &data {
            if data.offset != expected {
                wrong.push((expected, data.offset.wrapping_sub(expected).cast_signed()));
            }
            expected += u64::from(data.len);
        }
        assert_eq!(expected, TOTAL + first);
        assert!(wrong.is_empty(), "{} of {} {direction:?} records: {wrong:?}", wrong.len(), data.len());
    }
    Ok(())
}

/// One call may take the last bytes and the end of the stream, which the kernel counts as one more byte.
#[test]
fn the_end_of_a_stream_moves_no_offset() -> Result<()> {
    let Some((mut stage, mut actor)) = Stage::open("the_end_of_a_stream_moves_no_offset")? else {
        return Ok(());
    };
    actor.does("a, b = tcp(); a.send(b'ask'); take(b, 3); b.send(b'head'); take(a, 4); b.send(b'body'); b.close()")?;
    // The FIN is there before the call that wants more than the bytes before it.
    actor.does("time.sleep(0.05); assert a.recv(4, socket.MSG_WAITALL) == b'body'; assert a.recv(9) == b''")?;
    actor.does("c, d = tcp(); c.send(b'ask'); take(d, 3); d.send(b'head'); take(c, 4); d.send(b'body'); d.close()")?;
    actor.does("time.sleep(0.05); assert c.recv(9, socket.MSG_WAITALL) == b'body'")?;
    let told = stage.told()?;
    for name in ["a", "c"] {
        let data = told.data(actor.cookie(name)?, Recv);
        let moved: Vec<_> = data.iter().map(|data| (data.offset, &data.bytes[..])).collect();
        assert_eq!(moved, [(0, b"head".as_slice()), (4, b"body")], "{name}");
    }
    Ok(())
}
