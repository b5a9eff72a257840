use std::sync::Arc;

use super::*;
use crate::decode::{Actor, Bases, Closing, Data, Direction, Link, Process, Tag};
use crate::ids::{ProcessId, SockCookie, Tgid, ThreadId, Tid};

fn data(cookie: u64, direction: Direction, offset: u64, bytes: &[u8], turn: u32) -> Data {
    let process = ProcessId { tgid: Tgid(7), start: BootNanos(1_000) };
    Data {
        time: BootNanos(5_000 + offset),
        cookie: SockCookie(cookie),
        actor: Actor {
            thread: ThreadId { process, tid: Tid(8) },
            seq: 3,
            own: Some(Tag { cookie: SockCookie(2), offset: 9 }),
            ..Actor::default()
        },
        direction,
        offset,
        len: u32::try_from(bytes.len()).expect("short"),
        bytes: bytes.to_vec().into(),
        unseen: None,
        blocking: true,
        shed: false,
        turn_start: turn != 0,
        turn,
        stale: false,
        link: Link::Tcp(Bases { send: 1, recv: 2 }),
    }
}

/// What of a direction stays, told in calls; `|` begins a turn.
fn redacted(calls: &[&str]) -> String {
    let mut redact = Redact::default();
    let (mut offset, mut text, mut turn) = (0, String::new(), 0);
    for call in calls {
        let (begins, bytes) = call.strip_prefix('|').map_or((false, *call), |bytes| (true, bytes));
        turn += u32::from(begins);
        let mut event = Event::Data(data(1, Direction::Recv, offset, bytes.as_bytes(), if begins { turn } else { 0 }));
        redact.redact(&mut event);
        let Event::Data(data) = event else { panic!("another event") };
        offset += bytes.len() as u64;
        text.push_str(str::from_utf8(&data.bytes).expect("text"));
    }
    text
}

/// However a text is cut into calls, the same of it stays.
fn stays(text: &str, expected: &str) {
    assert_eq!(redacted(&[&format!("|{text}")]), expected);
    for cut in 1..text.len() {
        assert_eq!(redacted(&[&format!("|{}", &text[..cut]), &text[cut..]]), expected, "cut at {cut}");
    }
}

#[test]
fn an_entry_is_what_it_was() {
    let process = Process { resource: vec![("service.name".into(), "cart".into())], ..Process::default() };
    let mut gap = data(1, Direction::Send, 5, b"abc", 2);
    gap.unseen = Some("many_buffers");
    let entries = [
        Entry::Event(Event::Data(gap)),
        Entry::Event(Event::Process(Arc::new(process))),
        Entry::Event(Event::Closing { cookie: SockCookie(1), what: Closing::Error(-104), time: BootNanos(7) }),
        Entry::BadRecord,
        Entry::Tick(BootNanos(u64::MAX)),
        Entry::Clock(-1),
        Entry::End(vec![("ring_full".into(), 3)]),
    ];
    for entry in entries {
        assert_eq!(Entry::decode(&entry.encode(Vec::new())), Ok(entry));
    }
    let header = Header { agent: "0.1.0".into(), nonce: [7; 16], exclude_paths: vec!["/a".into()], redacted: true };
    assert_eq!(Header::decode(&header.encode()), Ok(header));
}

/// A layout that changes needs a new [`VERSION`]: old recordings would be read as something else.
#[test]
fn the_layout_is_that_of_the_version() {
    let mut event = data(300, Direction::Recv, 70_000, b"GET", 1);
    event.unseen = Some("other_syscall");
    let bytes = Entry::Event(Event::Data(event)).encode(Vec::new());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (VERSION, hex.as_str()),
        (7, "0001f8c904ac0207e80708030000010209000001f0a2040303474554080100010100010102")
    );
}

#[test]
fn bytes_that_are_no_entry_are_refused() {
    let mut bytes = Entry::Tick(BootNanos(5)).encode(Vec::new());
    bytes.push(0);
    assert!(Entry::decode(&bytes).is_err(), "more than an entry");
    assert!(Entry::decode(&[]).is_err() && Entry::decode(&[200]).is_err());
    // A length beyond the bytes must not be believed, nor room be made for it.
    assert!(Entry::decode(&[5, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}

#[test]
fn what_makes_spans_stays_and_secrets_do_not() {
    stays(
        "GET /cart?token=abc HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer abc\r\nX-Request-Id: 7\r\n\r\n",
        "GET /cart?xxxxxxxxx HTTP/1.1\r\nHost: shop\r\nAuthorization: xxxxxx xxx\r\nX-Request-Id: 7\r\n\r\n",
    );
    stays("GET http://me:pw@shop/a?b HTTP/1.1\r\n\r\n", "GET http://xxxxxxxxxx/a?x HTTP/1.1\r\n\r\n");
    stays("CONNECT shop:443 HTTP/1.1\r\n\r\n", "CONNECT shop:443 HTTP/1.1\r\n\r\n");
    stays("OPTIONS * HTTP/1.1\nCookie: a\n b\n\n", "OPTIONS * HTTP/1.1\nCookie: x\n x\n\n");
}

#[test]
fn bodies_are_masked_and_their_framing_is_not() {
    stays(
        "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nkey\nGET /b HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nxxxxGET /b HTTP/1.1\r\n\r\n",
    );
    stays(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;key=a\r\nhello\r\n0\r\nETag: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;xxxxx\r\nxxxxx\r\n0\r\nxxxxxxx\r\n\r\n",
    );
    stays("HTTP/1.1 200 OK\r\n\r\nsecret", "HTTP/1.1 200 OK\r\n\r\nxxxxxx");
    stays(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 Same\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 Same\r\n\r\n",
    );
    stays("HTTP/1.1 101 Go\r\n\r\nsecret", "HTTP/1.1 101 Go\r\n\r\nxxxxxx");
}

#[test]
fn what_is_not_http_is_masked() {
    for (text, expected) in [
        ("AUTH secret\r\n", "AUTH xxxxxxxx"),
        ("hunter2 \r\n", "xxxxxxxxxx"),
        ("\u{16}\u{3}\u{1}abc", "xxxxxx"),
        ("*2\r\n$4\r\nAUTH\r\n", "xxxxxxxxxxxxxx"),
        ("{\"password\":1}", "xxxxxxxxxxxxxx"),
    ] {
        stays(text, expected);
    }
}

/// Commands to Redis keep their framing, and Celery's name of a task; in the other direction nothing is known of them.
#[test]
fn names_of_tasks_stay_and_tasks_do_not() {
    let name = "36a881c3-0959-411e-bd92-68d9dfc11dfa";
    let message = format!(r#"{{"body": "secret", "headers": {{"task": "secret", "id": "{name}"}}}}"#);
    let length = message.len();
    let text =
        format!("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n${length}\r\n{message}\r\n");
    let masked = text.replace("secret", "xxxxxx").replace("AUTH", "xxxx").replace("\nq", "\nx");
    let masked = masked.replace("body", "xxxx").replace("task", "xxxx").replace("}}", "xx");
    for cut in 1..text.len() {
        let mut redact = Redact::default();
        let mut kept = String::new();
        for (begins, bytes) in [(true, &text[..cut]), (false, &text[cut..])] {
            let offset = if begins { 0 } else { cut as u64 };
            let mut event = Event::Data(data(1, Direction::Send, offset, bytes.as_bytes(), u32::from(begins)));
            redact.redact(&mut event);
            let Event::Data(data) = event else { panic!("another event") };
            kept.push_str(str::from_utf8(&data.bytes).expect("text"));
        }
        assert_eq!(kept, masked, "cut at {cut}");
    }
    let job = [b"K\x07N\x8c\x10celery.app.trace\x94(\x8c\x06secret\x94\x8c$", name.as_bytes(), b"secret"].concat();
    let (process, unit) = (ProcessId::default(), crate::ids::UnitId(1));
    let mut event = Event::Job { process, unit, seq: 1, head: job.into(), time: BootNanos(1) };
    Redact::default().redact(&mut event);
    let Event::Job { head, .. } = event else { panic!("another event") };
    let text = String::from_utf8_lossy(&head);
    assert!(!text.contains("secret") && text.contains(name), "{text}");
}

#[test]
fn a_body_over_many_turns_stays_masked() {
    let calls = ["|POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n", "|GET /secre", "|GET /b HTTP/1.1\r\n\r\n"];
    assert_eq!(redacted(&calls), "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nxxxxxxxxxxGET /b HTTP/1.1\r\n\r\n");
    // An answer to HEAD announces a body that does not come.
    let head = "|HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(redacted(&[head, head]), head.replace('|', "").repeat(2));
}

#[test]
fn after_bytes_that_are_missing_nothing_stays_before_the_next_turn() {
    let mut redact = Redact::default();
    let mut stays = |offset, bytes: &str, turn| {
        let mut event = Event::Data(data(1, Direction::Recv, offset, bytes.as_bytes(), turn));
        redact.redact(&mut event);
        let Event::Data(data) = event else { panic!("another event") };
        String::from_utf8(data.bytes.to_vec()).expect("text")
    };
    assert_eq!(stays(10, "secret", 0), "xxxxxx", "a connection from its middle on");
    assert_eq!(stays(16, "GET /a HT", 1), "GET /a HT");
    assert_eq!(stays(30, "Cookie: a", 0), "xxxxxxxxx");
    assert_eq!(stays(40, "GET /a HT", 2), "GET /a HT");
}

#[test]
fn a_share_of_the_records_is_lost_and_always_the_same() {
    let record = Entry::Event(Event::Data(data(1, Direction::Recv, 0, b"", 1)));
    let lost = |seed| {
        let mut lose = Lose::new(50_000, seed);
        (0..10_000).map(|_| lose.loses(&record)).collect::<Vec<_>>()
    };
    let count = lost(1).iter().filter(|lost| **lost).count();
    assert!((400..600).contains(&count), "{count} of 10000");
    assert_eq!(lost(1), lost(1));
    assert_ne!(lost(1), lost(2));
    let mut all = Lose::new(1_000_000, 1);
    assert!(!all.loses(&Entry::Tick(BootNanos(1))) && !all.loses(&Entry::Event(Event::Process(Arc::default()))));
}
