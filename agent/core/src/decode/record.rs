//! Checked parsing of ring buffer records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_ebpf::wire::record::{self as wire, direction, end, flag, kind, opened};
use agent_ebpf::wire::{loss, record};
use bytes::{Bytes, BytesMut};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::decode::event::{
    Actor, Address, Answered, Bases, Claim, Closing, Connect, Count, Data, Direction, Endpoint, Event, Exit, Fork,
    Gathered, Link, Listen, Open, Opened, Passed, Running, Tag, Taken, Unit, UnitBorn, Writer,
};
use crate::ids::{BootNanos, ProcessId, SockCookie, Tgid, ThreadId, Tid, UnitId};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;

/// Why a record is not an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// It is shorter than its layout, or than it says.
    #[error("record of kind {kind} is {len} bytes short of its layout")]
    Short {
        /// Its kind, 0 if even that is missing.
        kind: u16,
        /// Its length.
        len: usize,
    },
    /// No layout has this number.
    #[error("unknown record kind {0}")]
    Kind(u16),
    /// A field has a value outside its list.
    #[error("record of kind {0} has a value outside its list")]
    Value(u16),
}

/// Bytes of records are kept in blocks of this size: some sixty records share one, which goes with the last of them.
const BLOCK_BYTES: usize = 64 << 10;

/// Room for the captured bytes of many records, since most live as long as their neighbours: a block of memory for each
/// would be too large for an allocator's short ways.
#[derive(Debug, Default)]
pub struct Room(BytesMut);

impl Room {
    /// Copies bytes there.
    pub fn keep(&mut self, bytes: &[u8]) -> Bytes {
        if self.0.capacity() < bytes.len() {
            self.0 = BytesMut::with_capacity(BLOCK_BYTES.max(bytes.len()));
        }
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }
}

/// Decodes one record, whose captured bytes go into `room`.
///
/// # Errors
/// If the record is short, of an unknown kind, or holds a value outside its list.
pub fn decode(bytes: &[u8], room: &mut Room) -> Result<Event, Error> {
    let header: wire::Header = read(bytes, 0)?.0;
    let time = BootNanos(header.time);
    match header.kind {
        kind::OPEN => open(&read::<wire::Open>(bytes, header.kind)?.0),
        kind::DATA => {
            let (layout, rest) = read::<wire::Data>(bytes, header.kind)?;
            data(&layout, rest, room)
        }
        kind::COUNT => {
            let layout = read::<wire::Count>(bytes, header.kind)?.0;
            let cookie = SockCookie(layout.cookie);
            let direction = match u8::try_from(layout.direction) {
                Ok(direction::SEND) => Direction::Send,
                Ok(direction::RECV) => Direction::Recv,
                _ => return Err(Error::Value(header.kind)),
            };
            Ok(Event::Count(Count { cookie, direction, end: layout.end, time }))
        }
        kind::END => {
            let layout = read::<wire::End>(bytes, header.kind)?.0;
            let what = match layout.what {
                end::RECV_EOF => Closing::RecvEof,
                end::SEND_FIN => Closing::SendFin,
                end::CLOSED => Closing::Closed,
                end::ERROR => Closing::Error(i32::try_from(layout.errno).map_err(|_| Error::Value(header.kind))?),
                _ => return Err(Error::Value(header.kind)),
            };
            Ok(Event::Closing { cookie: SockCookie(layout.cookie), what, time })
        }
        kind::FORK => {
            let layout = read::<wire::Fork>(bytes, header.kind)?.0;
            let child = thread(layout.child_tgid, layout.child_tid, layout.child_start);
            Ok(Event::Fork(Fork { time, actor: actor(&layout.actor), child }))
        }
        kind::EXEC => {
            let layout = read::<wire::Exec>(bytes, header.kind)?.0;
            Ok(Event::Exec { process: process(layout.tgid, layout.start), time })
        }
        kind::EXIT => {
            let layout = read::<wire::Exit>(bytes, header.kind)?.0;
            let thread = thread(layout.tgid, layout.tid, layout.start);
            Ok(Event::Exit(Exit { time, thread, last: layout.last != 0, group: layout.group != 0 }))
        }
        kind::LISTEN => {
            let layout = read::<wire::Listen>(bytes, header.kind)?.0;
            Ok(Event::Listen(Listen { time, process: process(layout.tgid, layout.start), port: layout.port }))
        }
        kind::RUNNING => {
            let layout = read::<wire::Running>(bytes, header.kind)?.0;
            let thread = thread(layout.tgid, layout.tid, layout.start);
            Ok(Event::Running(Running { time, thread, seq: layout.seq, unit: unit(&layout.unit) }))
        }
        kind::UNIT_BORN => {
            let layout = read::<wire::UnitBorn>(bytes, header.kind)?.0;
            let process = process(layout.tgid, layout.start);
            let (unit, creator) = (UnitId(layout.unit), UnitId(layout.creator));
            Ok(Event::UnitBorn(UnitBorn { time, process, unit, creator }))
        }
        kind::UNIT_ENDED => {
            let layout = read::<wire::UnitEnded>(bytes, header.kind)?.0;
            let process = process(layout.tgid, layout.start);
            Ok(Event::UnitEnded { process, unit: UnitId(layout.unit), time })
        }
        kind::TOOK => {
            let layout = read::<wire::Took>(bytes, header.kind)?.0;
            let process = process(layout.tgid, layout.start);
            let takes = [layout.takes.head, layout.takes.other].map(|one| (one.queue != 0).then(|| taken(&one)));
            Ok(Event::Took { process, unit: UnitId(layout.unit), seq: layout.seq, takes: Box::new(takes), time })
        }
        kind::RETURNED => {
            let layout = read::<wire::Returned>(bytes, header.kind)?.0;
            Ok(Event::Returned { process: process(layout.tgid, layout.start), queue: layout.queue, time })
        }
        kind::PIPED => {
            let layout = read::<wire::Piped>(bytes, header.kind)?.0;
            let process = process(layout.tgid, layout.start);
            let writer = writer(&layout.writer);
            Ok(Event::Piped { process, unit: UnitId(layout.unit), seq: layout.seq, writer, time })
        }
        kind::ANSWERED => {
            let layout = read::<wire::Answered>(bytes, header.kind)?.0;
            let request = tag(layout.request).ok_or(Error::Value(header.kind))?;
            Ok(Event::Answered(Answered {
                time,
                process: process(layout.tgid, layout.start),
                lossy: layout.lossy,
                unit: UnitId(layout.unit),
                request,
                called: SockCookie(layout.called),
                nth: layout.nth,
            }))
        }
        kind::PASSED => {
            let layout = read::<wire::Passed>(bytes, header.kind)?.0;
            let request = tag(layout.request).ok_or(Error::Value(header.kind))?;
            Ok(Event::Passed(Passed {
                time,
                process: process(layout.tgid, layout.start),
                lossy: layout.lossy,
                unit: UnitId(layout.unit),
                request,
                called: SockCookie(layout.called),
                cancelled: layout.cancelled != 0,
            }))
        }
        kind::GATHERED => {
            let layout = read::<wire::Gathered>(bytes, header.kind)?.0;
            Ok(Event::Gathered(Box::new(Gathered {
                time,
                process: process(layout.tgid, layout.start),
                lossy: layout.lossy,
                unit: UnitId(layout.unit),
                nth: layout.nth,
                taken: taken(&layout.taken),
            })))
        }
        kind::HANDED => {
            let layout = read::<wire::Handed>(bytes, header.kind)?.0;
            let (unit, child) = (UnitId(layout.unit), UnitId(layout.child));
            Ok(Event::Handed { process: process(layout.tgid, layout.start), unit, child, time })
        }
        kind::JOB => {
            let layout = read::<wire::Job>(bytes, header.kind)?.0;
            let process = process(layout.tgid, layout.start);
            let head = room.keep(&layout.head);
            Ok(Event::Job { process, unit: UnitId(layout.unit), seq: layout.seq, head, time })
        }
        other => Err(Error::Kind(other)),
    }
}

fn read<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8], kind: u16) -> Result<(T, &[u8]), Error> {
    T::read_from_prefix(bytes).map_err(|_| Error::Short { kind, len: bytes.len() })
}

fn open(layout: &wire::Open) -> Result<Event, Error> {
    let unix = layout.family == AF_UNIX;
    let link = match (unix, layout.peer_cookie, layout.base_known) {
        (true, 0, _) | (false, _, 0) => Link::None,
        (true, peer, _) => Link::Unix(SockCookie(peer)),
        (false, _, _) => Link::Tcp(Bases { send: layout.send_base, recv: layout.recv_base }),
    };
    let opened = match layout.opened {
        opened::UNKNOWN => Opened::Unknown,
        opened::ACTIVE => Opened::Active,
        opened::PASSIVE => Opened::Passive,
        opened::LISTENING_PORT => Opened::ListeningPort,
        _ => return Err(Error::Value(kind::OPEN)),
    };
    let connect = (layout.connect_tid != 0).then(|| Connect {
        tid: Tid(layout.connect_tid),
        turn: tag(layout.connect_turn),
        stale: layout.connect_stale != 0,
    });
    Ok(Event::Open(Box::new(Open {
        time: BootNanos(layout.header.time),
        cookie: SockCookie(layout.cookie),
        actor: actor(&layout.actor),
        comm: text(&layout.comm),
        opened,
        old: layout.old != 0,
        agent: layout.agent != 0,
        unix,
        netns: layout.netns,
        endpoint: endpoint(layout),
        link,
        connect,
    })))
}

fn endpoint(layout: &wire::Open) -> Endpoint {
    if layout.family == AF_UNIX {
        // One end is bound, the other has no name; which is which decides who asks.
        let name = unix_name(layout);
        return match layout.opened {
            opened::PASSIVE => Endpoint { local: name, peer: Address::Unknown },
            _ => Endpoint { local: Address::Unknown, peer: name },
        };
    }
    let address = |bytes: [u8; 16], port: u16| {
        let ip = if layout.family == AF_INET {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            // An IPv4 peer of an IPv6 socket is what users know it as.
            Ipv6Addr::from(bytes).to_canonical()
        };
        Address::Inet(ip, port)
    };
    Endpoint { local: address(layout.local, layout.local_port), peer: address(layout.remote, layout.remote_port) }
}

fn unix_name(layout: &wire::Open) -> Address {
    let length = usize::from(layout.path_len).min(layout.path.len());
    let bytes = &layout.path[..length];
    let (prefix, name) = match bytes.split_first() {
        None => return Address::Unknown,
        Some((0, name)) => ("@", name),
        Some(_) => ("", bytes),
    };
    Address::Unix(format!("{prefix}{}", text(name)))
}

/// Bytes up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn data(layout: &wire::Data, rest: &[u8], room: &mut Room) -> Result<Event, Error> {
    let bytes = rest
        .get(..layout.captured as usize)
        .filter(|_| layout.captured <= layout.len)
        .ok_or(Error::Short { kind: kind::DATA, len: rest.len() })?;
    let direction = match layout.direction {
        direction::SEND => Direction::Send,
        direction::RECV => Direction::Recv,
        _ => return Err(Error::Value(kind::DATA)),
    };
    let has = |bit: u8| layout.flags & bit != 0;
    Ok(Event::Data(Data {
        time: BootNanos(layout.header.time),
        cookie: SockCookie(layout.cookie),
        actor: actor(&layout.actor),
        direction,
        offset: layout.offset,
        len: layout.len,
        bytes: if bytes.is_empty() { Bytes::new() } else { room.keep(bytes) },
        unseen: loss_name(layout.unseen),
        blocking: has(flag::BLOCKING),
        shed: has(flag::SHED),
        turn_start: has(flag::TURN_START),
        turn: layout.turn,
        stale: has(flag::STALE),
        link: match (has(flag::LINK), has(flag::UNIX)) {
            (false, _) => Link::None,
            (true, true) => Link::Unix(SockCookie(u64::from(layout.link_high) << 32 | u64::from(layout.link_low))),
            (true, false) => Link::Tcp(Bases { send: layout.link_low, recv: layout.link_high }),
        },
    }))
}

fn loss_name(number: u16) -> Option<&'static str> {
    loss::ALL.iter().find(|(known, _, _)| *known == number).map(|(_, name, _)| *name)
}

fn actor(layout: &wire::Actor) -> Actor {
    Actor {
        thread: thread(layout.tgid, layout.tid, layout.start),
        seq: layout.seq,
        lossy: layout.lossy,
        turn: tag(layout.turn),
        own: tag(layout.own),
        birth: tag(layout.birth),
        ancestor: tag(layout.ancestor),
    }
}

fn unit(layout: &wire::Unit) -> Unit {
    let Claim { inherited, answers, since, via } = claim(&layout.claim);
    Unit { id: UnitId(layout.id), own: tag(layout.own), inherited, answers, since, via }
}

fn claim(layout: &wire::Claim) -> Claim {
    Claim {
        inherited: tag(layout.inherited),
        answers: (layout.answers != 0).then_some(SockCookie(layout.answers)),
        since: (layout.since != 0).then_some(BootNanos(layout.since)),
        via: (layout.via != 0).then_some(UnitId(layout.via)),
    }
}

fn taken(layout: &wire::Taken) -> Taken {
    Taken {
        queue: layout.queue,
        put: (layout.put != 0).then_some(BootNanos(layout.put)),
        putter: (layout.putter != 0).then_some(UnitId(layout.putter)),
        claim: claim(&layout.claim),
        takes: layout.takes,
        others: layout.others,
    }
}

const fn writer(layout: &wire::Writer) -> Writer {
    let process = process(layout.tgid, layout.start);
    Writer { pipe: layout.pipe, process, written: layout.written, read: layout.read }
}

fn tag(layout: record::Tag) -> Option<Tag> {
    (layout.cookie != 0).then_some(Tag { cookie: SockCookie(layout.cookie), offset: layout.offset })
}

const fn process(tgid: u32, start: u64) -> ProcessId {
    ProcessId { tgid: Tgid(tgid), start: BootNanos(start) }
}

const fn thread(tgid: u32, tid: u32, start: u64) -> ThreadId {
    ThreadId { process: process(tgid, start), tid: Tid(tid) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn decode(bytes: &[u8]) -> Result<Event, Error> {
        super::decode(bytes, &mut Room::default())
    }

    fn data_record(captured: u32, bytes: &[u8]) -> Vec<u8> {
        let mut layout = wire::Data::new_zeroed();
        layout.header.kind = kind::DATA;
        layout.header.time = 7;
        layout.cookie = 3;
        layout.len = 10;
        layout.captured = captured;
        layout.direction = direction::RECV;
        layout.flags = flag::LINK | flag::BLOCKING;
        layout.link_low = 1;
        layout.link_high = 2;
        layout.turn = 3;
        layout.actor.own = record::Tag { cookie: 3, offset: 5 };
        [layout.as_bytes(), bytes].concat()
    }

    #[test]
    fn data_keeps_its_captured_prefix_and_tags() {
        let Ok(Event::Data(data)) = decode(&data_record(4, b"GET /")) else { panic!("a data record") };
        assert_eq!((&data.bytes[..], data.len, data.time), (b"GET ".as_slice(), 10, BootNanos(7)));
        assert_eq!(data.link, Link::Tcp(Bases { send: 1, recv: 2 }));
        assert_eq!(data.actor.own, Some(Tag { cookie: SockCookie(3), offset: 5 }));
        assert_eq!(data.actor.birth, None);
        assert!(data.blocking && !data.shed && !data.turn_start);
        assert_eq!(data.turn, 3);
    }

    #[test]
    fn records_that_share_a_block_keep_their_own_bytes() {
        let mut room = Room::default();
        let kept: Vec<Bytes> = (0..200_u8).map(|number| room.keep(&[number; 1000])).collect();
        assert!((0..200).zip(&kept).all(|(number, bytes)| bytes[..] == [number; 1000]));
        let long = vec![7; 2 * BLOCK_BYTES];
        assert_eq!(room.keep(&long), long);
    }

    #[test]
    fn captured_bytes_that_are_not_there_are_refused() {
        assert_eq!(decode(&data_record(4, b"GE")), Err(Error::Short { kind: kind::DATA, len: 2 }));
        assert_eq!(
            decode(&data_record(11, &[0; 16])),
            Err(Error::Short { kind: kind::DATA, len: 16 }),
            "more than moved"
        );
    }

    #[test]
    fn unknown_kinds_and_values_are_refused() {
        let mut record = data_record(0, b"");
        record[0] = 99;
        assert_eq!(decode(&record), Err(Error::Kind(99)));
        let mut layout = wire::End::new_zeroed();
        layout.header.kind = kind::END;
        layout.what = 77;
        assert_eq!(decode(layout.as_bytes()), Err(Error::Value(kind::END)));
    }

    #[test]
    fn every_cut_of_a_record_is_refused() {
        let record = data_record(4, b"GET ");
        for length in 0..record.len() {
            assert!(decode(&record[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn what_a_unit_does_not_carry_is_none() {
        let mut layout = wire::Running::new_zeroed();
        layout.header.kind = kind::RUNNING;
        layout.seq = 7;
        layout.unit.id = 9;
        layout.unit.claim.inherited = record::Tag { cookie: 3, offset: 5 };
        layout.unit.claim.via = 8;
        let Ok(Event::Running(running)) = decode(layout.as_bytes()) else { panic!("a running record") };
        let inherited = Some(Tag { cookie: SockCookie(3), offset: 5 });
        let expected = Unit { id: UnitId(9), inherited, via: Some(UnitId(8)), ..Unit::default() };
        assert_eq!((running.seq, running.unit), (7, expected));
    }

    #[test]
    fn a_job_keeps_its_first_bytes() {
        let mut layout = wire::Job::new_zeroed();
        layout.header.kind = kind::JOB;
        layout.seq = 7;
        layout.unit = 9;
        layout.head[..2].copy_from_slice(b"ab");
        let Ok(Event::Job { unit, seq, head, .. }) = decode(layout.as_bytes()) else { panic!("a job record") };
        assert_eq!((unit, seq, head.len(), &head[..2]), (UnitId(9), 7, layout.head.len(), b"ab".as_slice()));
    }

    #[test]
    fn unix_names_are_shown_as_users_write_them() {
        let mut layout = wire::Open::new_zeroed();
        layout.family = AF_UNIX;
        layout.path[..6].copy_from_slice(b"/run/a");
        layout.path_len = 7;
        assert_eq!(unix_name(&layout), Address::Unix("/run/a".into()));
        layout.path[..3].copy_from_slice(b"\0ab");
        layout.path_len = 3;
        assert_eq!(unix_name(&layout), Address::Unix("@ab".into()));
        layout.path_len = 0;
        assert_eq!(unix_name(&layout), Address::Unknown);
    }
}
