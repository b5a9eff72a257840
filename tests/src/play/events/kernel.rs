//! A model of the kernel half: sockets and threads that stamp records as its hooks do (agent-ebpf/src/probes).

use std::collections::{BTreeMap, HashMap};

use agent_ebpf::rules::head::head_bytes;
use tracemend_core::decode::{
    Actor, Address, Bases, Closing, Connect, Count, Data, Direction, Endpoint, Event, Exit, Fork, Link, Open, Opened,
    Tag,
};
use tracemend_core::engine::Policy;
use tracemend_core::ids::{BootNanos, ProcessId, SockCookie, Tgid, ThreadId, Tid};

use super::calls::Firing;

/// Bytes copied of a turn of the end that asks.
const REQUEST_HEAD_BYTES: u32 = 8192;
/// Bytes copied of a turn of the end that answers.
const RESPONSE_HEAD_BYTES: u32 = 1024;

/// A thread: process and number in it.
pub(super) type Who = (u32, u32);

#[derive(Clone, Copy, Default)]
struct Thread {
    seq: u32,
    turn: Option<Tag>,
    own: Option<Tag>,
    birth: Option<Tag>,
    ancestor: Option<Tag>,
    counting: Option<(SockCookie, usize)>,
}

/// A socket.
#[derive(Clone)]
pub(super) struct Socket {
    pub(super) endpoint: Endpoint,
    pub(super) unix: bool,
    pub(super) opened: Opened,
    pub(super) connect: Option<Connect>,
    pub(super) link: Link,
    pub(super) peer: SockCookie,
    pub(super) other_protocol: bool,
    pub(super) moved: [u64; 2],
    pub(super) finished: bool,
    pub(super) closed: bool,
    turn_start: [u64; 2],
    turns: [u32; 2],
    counting: [Option<Count>; 2],
    last: Option<Direction>,
    announced: bool,
    acted: bool,
    policy: Option<Policy>,
    ended: Vec<&'static str>,
}

impl Socket {
    /// A socket of which no byte moved.
    pub(super) const fn new(endpoint: Endpoint, opened: Opened, peer: SockCookie) -> Self {
        Self {
            endpoint,
            unix: false,
            opened,
            connect: None,
            link: Link::None,
            peer,
            other_protocol: false,
            moved: [0; 2],
            finished: false,
            closed: false,
            turn_start: [0; 2],
            turns: [0; 2],
            counting: [None; 2],
            last: None,
            announced: false,
            acted: false,
            policy: None,
            ended: Vec::new(),
        }
    }

    fn asks(&self) -> bool {
        match self.policy {
            Some(Policy::Client) => true,
            Some(Policy::Server) => false,
            _ => matches!(self.opened, Opened::Active | Opened::Unknown),
        }
    }
}

/// The kernel half, and what it wrote.
#[derive(Default)]
pub(super) struct Kernel {
    pub(super) now: u64,
    pub(super) sockets: HashMap<SockCookie, Socket>,
    /// What it wrote since this was taken.
    pub(super) events: Vec<Event>,
    /// What it counted as lost.
    pub(super) losses: BTreeMap<&'static str, u64>,
    /// What user space wants of connections.
    pub(super) policies: HashMap<SockCookie, Policy>,
    threads: HashMap<Who, Thread>,
}

impl Kernel {
    /// A host where nothing happened yet.
    pub(super) fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// A thread calls `connect()`.
    pub(super) fn connecting(&self, who: Who) -> Connect {
        let turn = self.threads.get(&who).and_then(|thread| thread.turn);
        Connect { tid: thread(who).tid, turn, stale: false }
    }

    /// A call moved bytes; `bytes` are those of this firing.
    pub(super) fn moved(&mut self, who: Who, cookie: SockCookie, direction: Direction, bytes: &[u8], firing: Firing) {
        self.now += 1_000;
        let index = usize::from(direction == Direction::Recv);
        let peer_acted = self.sockets.get(&cookie).map(|one| one.peer).is_some_and(|peer| self.acted(peer));
        let policy = self.policies.get(&cookie).copied();
        let Some(mut socket) = self.sockets.remove(&cookie) else { return };
        if firing.silent {
            socket.moved[index] += bytes.len() as u64;
        } else if socket.other_protocol {
            *self.losses.entry("other_protocol").or_default() += 1;
        } else {
            if socket.unix && peer_acted {
                socket.link = Link::Unix(socket.peer);
            }
            socket.acted = true;
            self.fired(who, cookie, &mut socket, direction, bytes, firing, policy);
        }
        self.sockets.insert(cookie, socket);
    }

    #[expect(clippy::too_many_arguments, reason = "what a hook is given, and no more")]
    fn fired(
        &mut self,
        who: Who,
        cookie: SockCookie,
        socket: &mut Socket,
        direction: Direction,
        bytes: &[u8],
        firing: Firing,
        policy: Option<Policy>,
    ) {
        let index = usize::from(direction == Direction::Recv);
        let offset = socket.moved[index];
        socket.moved[index] += bytes.len() as u64;
        let turn_start = socket.last != Some(direction);
        if turn_start {
            socket.last = Some(direction);
            socket.turn_start[index] = offset;
            socket.turns[index] += 1;
            self.tell_counts(socket);
            socket.policy = policy;
        }
        let mut acting = self.threads.get(&who).copied().unwrap_or_default();
        if direction == Direction::Recv {
            let tag = Some(Tag { cookie, offset: socket.turn_start[1] });
            acting.turn = tag;
            if !socket.asks() {
                acting.own = tag;
            }
        }
        if let Some((pending, side)) = acting.counting.take_if(|counting| *counting != (cookie, index)) {
            let count = if pending == cookie {
                socket.counting[side].take()
            } else {
                self.sockets.get_mut(&pending).and_then(|other| other.counting[side].take())
            };
            self.events.extend(count.map(Event::Count));
        }
        let asks = (direction == Direction::Send) == socket.asks();
        let limit = if asks { REQUEST_HEAD_BYTES } else { RESPONSE_HEAD_BYTES };
        let wanted = head_bytes(socket.turn_start[index], offset, bytes.len() as u32, limit) as usize;
        let time = BootNanos(self.now);
        if socket.policy == Some(Policy::Nothing) {
            self.threads.insert(who, acting);
            return;
        }
        if wanted == 0 && !turn_start && socket.announced {
            let end = offset + bytes.len() as u64;
            socket.counting[index] = Some(Count { cookie, direction, end, time });
            acting.counting = Some((cookie, index));
            self.threads.insert(who, acting);
            return;
        }
        if !socket.announced {
            socket.announced = true;
            acting.seq += 1;
            self.events.push(Event::Open(Box::new(Open {
                time,
                cookie,
                actor: actor(who, &acting),
                comm: "player".to_owned(),
                opened: socket.opened,
                old: false,
                agent: false,
                unix: socket.unix,
                netns: 1,
                endpoint: socket.endpoint.clone(),
                link: socket.link,
                connect: socket.connect,
            })));
        }
        acting.seq += 1;
        let unseen = firing.unseen.filter(|_| firing.readable < wanted);
        if let Some(reason) = unseen {
            *self.losses.entry(reason).or_default() += 1;
        }
        self.events.push(Event::Data(Data {
            time,
            cookie,
            actor: actor(who, &acting),
            direction,
            offset,
            len: bytes.len() as u32,
            bytes: bytes[..wanted.min(firing.readable)].to_vec().into(),
            unseen,
            blocking: firing.blocking,
            shed: false,
            turn_start,
            turn: socket.turns[index],
            stale: false,
            link: socket.link,
        }));
        self.threads.insert(who, acting);
    }

    /// What was counted and not told is: user space sweeps the map.
    pub(super) fn sweep(&mut self) {
        let counts = self.sockets.values_mut().flat_map(|socket| socket.counting.iter_mut().filter_map(Option::take));
        let mut counts: Vec<Count> = counts.collect();
        counts.sort_by_key(|count| (count.time, count.cookie));
        self.events.extend(counts.into_iter().map(Event::Count));
    }

    /// A direction of a socket, or all of it, is over: told once, if the socket is known.
    pub(super) fn ended(&mut self, cookie: SockCookie, what: Closing) {
        self.now += 1_000;
        let name = match what {
            Closing::RecvEof => "eof",
            Closing::SendFin => "fin",
            Closing::Closed => "closed",
            Closing::Error(_) => "error",
        };
        let Some(mut socket) = self.sockets.remove(&cookie) else { return };
        if socket.announced && !socket.ended.contains(&name) && socket.policy != Some(Policy::Nothing) {
            socket.ended.push(name);
            self.tell_counts(&mut socket);
            self.events.push(Event::Closing { cookie, what, time: BootNanos(self.now) });
        }
        self.sockets.insert(cookie, socket);
    }

    /// A process is forked by a thread; its first thread goes on.
    pub(super) fn forked(&mut self, parent: Who, child: Who) {
        self.now += 1_000;
        let creator = self.threads.entry(parent).or_default();
        creator.seq += 1;
        let carried = *creator;
        let birth = Thread { birth: carried.own, ancestor: carried.birth.or(carried.ancestor), ..Thread::default() };
        self.threads.insert(child, birth);
        let time = BootNanos(self.now);
        self.events.push(Event::Fork(Fork { time, actor: actor(parent, &carried), child: thread(child) }));
    }

    /// A process executes another program.
    pub(super) fn executed(&mut self, who: Who) {
        self.now += 1_000;
        self.events.push(Event::Exec { process: process(who.0), time: BootNanos(self.now) });
    }

    /// A process ends.
    pub(super) fn exited(&mut self, who: Who) {
        self.now += 1_000;
        let exit = Exit { time: BootNanos(self.now), thread: thread(who), last: true, group: true };
        self.events.push(Event::Exit(exit));
    }

    fn acted(&self, cookie: SockCookie) -> bool {
        self.sockets.get(&cookie).is_some_and(|socket| socket.acted)
    }

    fn tell_counts(&mut self, socket: &mut Socket) {
        self.events.extend(socket.counting.iter_mut().filter_map(Option::take).map(Event::Count));
    }
}

/// The bases of both ends of a TCP connection, the client's first.
pub(super) const fn bases(number: u32) -> [Bases; 2] {
    let (sent, received) = (number * 100_000, number * 100_000 + 50_000);
    [Bases { send: sent.wrapping_sub(1), recv: received }, Bases { send: received, recv: sent }]
}

/// An internet endpoint.
pub(super) const fn inet(local: (std::net::IpAddr, u16), peer: (std::net::IpAddr, u16)) -> Endpoint {
    Endpoint { local: Address::Inet(local.0, local.1), peer: Address::Inet(peer.0, peer.1) }
}

/// A process by its number.
pub(super) const fn process(pid: u32) -> ProcessId {
    ProcessId { tgid: Tgid(pid), start: BootNanos(1) }
}

const fn thread(who: Who) -> ThreadId {
    ThreadId { process: process(who.0), tid: Tid(who.0 * 100 + who.1) }
}

const fn actor(who: Who, carried: &Thread) -> Actor {
    Actor {
        thread: thread(who),
        seq: carried.seq,
        lossy: 0,
        turn: carried.turn,
        own: carried.own,
        birth: carried.birth,
        ancestor: carried.ancestor,
    }
}
