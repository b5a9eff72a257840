//! A small host for tests: processes, threads and connections that stamp events as the kernel half does.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode::{
    Actor, Address, Bases, Connect, Data, Direction, Endpoint, Event, Exit, Fork, Link, Open, Opened, Process, Tag,
};
use crate::engine::{Engine, Options, Output, Policy};
use crate::ids::{BootNanos, ProcessId, SockCookie, Tgid, ThreadId, Tid};
use crate::span::{Kind, Span, Value};

const MILLISECOND: u64 = 1_000_000;

/// A thread, by process and thread id.
pub type Actors = (u32, u32);

#[derive(Clone, Copy, Default)]
struct Carried {
    seq: u32,
    turn: Option<Tag>,
    own: Option<Tag>,
    birth: Option<Tag>,
    ancestor: Option<Tag>,
}

/// Both sockets of a connection.
#[derive(Clone, Copy)]
pub struct Wire {
    pub client: SockCookie,
    pub server: SockCookie,
}

#[derive(Default)]
struct Socket {
    announced: bool,
    active: bool,
    bases: Option<Bases>,
    peer: Option<SockCookie>,
    connect: Option<Connect>,
    moved: [u64; 2],
    turn: [u64; 2],
    last: Option<Direction>,
    agent: bool,
}

/// The host.
pub struct World {
    engine: Engine,
    pub out: Output,
    now: u64,
    threads: HashMap<Actors, Carried>,
    sockets: HashMap<SockCookie, Socket>,
    cookies: u64,
}

impl World {
    pub fn new() -> Self {
        Self::excluding(|_| false)
    }

    pub fn excluding(excluded: fn(&str) -> bool) -> Self {
        Self {
            engine: Engine::new(Options { nonce: [1; 16], excluded: Box::new(excluded) }),
            out: Output::default(),
            now: 1_000 * MILLISECOND,
            threads: HashMap::new(),
            sockets: HashMap::new(),
            cookies: 0,
        }
    }

    pub fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds * MILLISECOND;
        self.engine.tick(BootNanos(self.now), &mut self.out);
        self
    }

    /// A program.
    pub fn program(&mut self, pid: u32, executable: &str) {
        let facts = Process { id: process(pid), executable: executable.into(), resource: Vec::new() };
        self.push(Event::Process(Arc::new(facts)));
    }

    /// A TCP connection that `caller` opens.
    pub fn connect(&mut self, caller: Actors) -> Wire {
        let wire = self.wire();
        let (sent, received) = (wire.client.0 as u32 * 1000, wire.server.0 as u32 * 1000);
        let turn = self.threads.entry(caller).or_default().turn;
        let client = self.sockets.entry(wire.client).or_default();
        client.active = true;
        client.moved[0] = 1;
        client.bases = Some(Bases { send: sent.wrapping_sub(1), recv: received });
        client.connect = Some(Connect { tid: Tid(caller.1), turn, stale: false });
        let server = self.sockets.entry(wire.server).or_default();
        server.bases = Some(Bases { send: received, recv: sent });
        wire
    }

    /// A unix connection; each end learns of the other when that end acts.
    pub fn unix(&mut self) -> Wire {
        let wire = self.wire();
        self.sockets.entry(wire.client).or_default().active = true;
        self.sockets.entry(wire.server).or_default();
        wire
    }

    /// The agent's own connection.
    pub fn agent_connects(&mut self, caller: Actors) -> Wire {
        let wire = self.connect(caller);
        self.sockets.entry(wire.client).or_default().agent = true;
        wire
    }

    pub fn ask(&mut self, wire: Wire, by: Actors, text: &str) -> &mut Self {
        self.moves(wire.client, Some(wire.server), by, Direction::Send, text, true)
    }

    pub fn read(&mut self, wire: Wire, by: Actors, text: &str) -> &mut Self {
        self.moves(wire.server, Some(wire.client), by, Direction::Recv, text, true)
    }

    pub fn read_nonblocking(&mut self, wire: Wire, by: Actors, text: &str) -> &mut Self {
        self.moves(wire.server, Some(wire.client), by, Direction::Recv, text, false)
    }

    pub fn answer(&mut self, wire: Wire, by: Actors) -> &mut Self {
        self.moves(wire.server, Some(wire.client), by, Direction::Send, OK, true)
    }

    pub fn hear(&mut self, wire: Wire, by: Actors) -> &mut Self {
        self.moves(wire.client, Some(wire.server), by, Direction::Recv, OK, true)
    }

    /// A whole exchange with a server that nobody sees.
    pub fn call(&mut self, by: Actors, text: &str) -> &mut Self {
        let wire = self.connect(by);
        self.ask(wire, by, text).hear(wire, by)
    }

    pub fn spawn(&mut self, creator: Actors, created: Actors) -> &mut Self {
        self.now += 1;
        let parent = self.threads.entry(creator).or_default();
        parent.seq += 1;
        let carried = *parent;
        let child = Carried { birth: carried.own, ancestor: carried.birth.or(carried.ancestor), ..Carried::default() };
        self.threads.insert(created, child);
        let actor = actor(creator, &carried);
        self.push(Event::Fork(Fork { time: BootNanos(self.now), actor, child: thread(created) }));
        self
    }

    /// A thread ends by itself, or with its whole process.
    pub fn exit(&mut self, who: Actors, last: bool, group: bool) -> &mut Self {
        self.now += 1;
        self.push(Event::Exit(Exit { time: BootNanos(self.now), thread: thread(who), last, group }));
        self
    }

    /// Loses a record of a thread.
    pub fn lose(&mut self, who: Actors) -> &mut Self {
        self.threads.entry(who).or_default().seq += 1;
        self
    }

    /// Ends everything and gives the spans.
    pub fn end(&mut self) -> Vec<Span> {
        self.wait(2_000);
        self.engine.finish(BootNanos(self.now), &mut self.out);
        std::mem::take(&mut self.out.spans)
    }

    pub fn stats(&self) -> crate::stats::Stats {
        self.engine.stats()
    }

    pub fn policies(&self) -> &[(SockCookie, Policy)] {
        &self.out.policies
    }

    fn wire(&mut self) -> Wire {
        self.cookies += 2;
        Wire { client: SockCookie(self.cookies - 1), server: SockCookie(self.cookies) }
    }

    fn moves(
        &mut self,
        cookie: SockCookie,
        other: Option<SockCookie>,
        by: Actors,
        direction: Direction,
        text: &str,
        blocking: bool,
    ) -> &mut Self {
        self.now += MILLISECOND;
        let time = BootNanos(self.now);
        let unix = self.sockets.get(&cookie).is_some_and(|socket| socket.bases.is_none());
        let other_acted = other.filter(|other| self.sockets.get(other).is_some_and(|socket| socket.last.is_some()));
        let socket = self.sockets.entry(cookie).or_default();
        if unix && other_acted.is_some() {
            socket.peer = other_acted;
        }
        let link = match (socket.bases, socket.peer) {
            (Some(bases), _) => Link::Tcp(bases),
            (None, Some(peer)) => Link::Unix(peer),
            (None, None) => Link::None,
        };
        let index = usize::from(direction == Direction::Recv);
        let offset = socket.moved[index];
        socket.moved[index] += text.len() as u64;
        let turn_start = socket.last != Some(direction);
        if turn_start {
            socket.turn[index] = offset;
            socket.last = Some(direction);
        }
        let tag = Tag { cookie, offset: socket.turn[index] };
        let carried = self.threads.entry(by).or_default();
        if direction == Direction::Recv {
            carried.turn = Some(tag);
            if !socket.active {
                carried.own = Some(tag);
            }
        }
        if !socket.announced {
            socket.announced = true;
            carried.seq += 1;
            let open = Open {
                time,
                cookie,
                actor: actor(by, carried),
                opened: if socket.active { Opened::Active } else { Opened::Passive },
                old: false,
                agent: socket.agent,
                unix,
                netns: 1,
                endpoint: Endpoint { local: Address::Unknown, peer: Address::Unknown },
                link,
                connect: socket.connect,
            };
            self.engine.push(Event::Open(open), &mut self.out);
        }
        if socket.agent {
            return self;
        }
        carried.seq += 1;
        let data = Data {
            time,
            cookie,
            actor: actor(by, carried),
            direction,
            offset,
            len: text.len() as u32,
            bytes: text.as_bytes().to_vec(),
            unseen: None,
            blocking,
            shed: false,
            turn_start,
            stale: false,
            link,
        };
        self.push(Event::Data(data));
        self
    }

    fn push(&mut self, event: Event) {
        self.engine.push(event, &mut self.out);
    }
}

/// A request for a path, with more header fields.
pub fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The span of one kind and path.
pub fn span<'a>(spans: &'a [Span], kind: Kind, path: &str) -> &'a Span {
    let is_of = |span: &&Span| {
        span.kind == kind
            && span.attributes.iter().any(|(name, value)| match (*name, value) {
                ("url.path", Value::String(text)) => text == path,
                ("url.full", Value::String(text)) => text.ends_with(path),
                _ => false,
            })
    };
    let found: Vec<&Span> = spans.iter().filter(is_of).collect();
    assert_eq!(found.len(), 1, "{kind:?} {path} in {spans:#?}");
    found[0]
}

/// How a span's link is known: evidence and confidence, or evidence and reason at an orphan.
pub fn known(span: &Span) -> (&str, &str) {
    let text = |wanted: &str| {
        span.attributes.iter().find_map(|(name, value)| match value {
            Value::String(text) if *name == wanted => Some(text.as_str()),
            _ => None,
        })
    };
    let evidence = text("tracemend.link.evidence").unwrap_or_default();
    (evidence, text("tracemend.link.orphan_reason").or(text("tracemend.link.confidence")).unwrap_or_default())
}

const fn process(pid: u32) -> ProcessId {
    ProcessId { tgid: Tgid(pid), start: BootNanos(1) }
}

const fn thread(who: Actors) -> ThreadId {
    ThreadId { process: process(who.0), tid: Tid(who.1) }
}

const fn actor(who: Actors, carried: &Carried) -> Actor {
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
