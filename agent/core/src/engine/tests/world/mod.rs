//! A small host for tests: processes, threads and connections that stamp events as the kernel half does.

mod handing;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::decode::{
    Actor, Address, Bases, Claim, Closing, Connect, Count, Data, Direction, Endpoint, Event, Exit, Fork, Link, Open,
    Opened, Process, Running, Tag, Taken, Takes, Unit, UnitBorn, Writer,
};
use crate::engine::{Engine, Options, Output, Policy};
use crate::ids::{BootNanos, ProcessId, SockCookie, Tgid, ThreadId, Tid, UnitId};
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
    unit: Option<u64>,
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
    turns: [u32; 2],
    last: Option<Direction>,
    agent: bool,
    old: bool,
    policy: Option<Policy>,
}

/// What becomes of the records of what happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// They arrive.
    Told,
    /// The ring is full.
    Lost,
    /// The kernel half sheds the turn in silence: no record is even numbered.
    Shed,
}

/// The host.
pub struct World {
    engine: Engine,
    pub out: Output,
    now: u64,
    threads: HashMap<Actors, Carried>,
    sockets: HashMap<SockCookie, Socket>,
    units: HashMap<(u32, u64), Unit>,
    /// What was put into queues and not taken yet, by process and item.
    items: HashMap<(u32, u64), Taken>,
    /// What units took, by process and unit.
    takes: HashMap<(u32, u64), Takes>,
    /// Who wrote what units read from pipes, by process and unit.
    writers: HashMap<(u32, u64), Writer>,
    /// Over which socket units called last, and how many they answered since, by process and unit.
    called: HashMap<(u32, u64), (SockCookie, u64)>,
    /// How what they read begins, if it may name a task.
    jobs: HashMap<(u32, u64), Vec<u8>>,
    /// How often units gathered things, by process and unit.
    batches: HashMap<(u32, u64), u32>,
    /// Units that acted since they took something.
    acted: HashSet<(u32, u64)>,
    /// What units take is not told any more.
    takes_lost: bool,
    cookies: u64,
    fate: Fate,
}

impl World {
    pub fn new() -> Self {
        Self::excluding(|_| false)
    }

    pub fn excluding(excluded: fn(&str) -> bool) -> Self {
        Self::of(Options { nonce: [1; 16], excluded: Box::new(excluded), explain: true })
    }

    /// One that does not explain what it decides, for long runs.
    pub fn silent() -> Self {
        Self::of(Options { nonce: [1; 16], excluded: Box::new(|_| false), explain: false })
    }

    fn of(options: Options) -> Self {
        Self {
            engine: Engine::new(options),
            out: Output::default(),
            now: 1_000 * MILLISECOND,
            threads: HashMap::new(),
            sockets: HashMap::new(),
            units: HashMap::new(),
            items: HashMap::new(),
            takes: HashMap::new(),
            writers: HashMap::new(),
            called: HashMap::new(),
            jobs: HashMap::new(),
            batches: HashMap::new(),
            acted: HashSet::new(),
            takes_lost: false,
            cookies: 0,
            fate: Fate::Told,
        }
    }

    /// What happens meanwhile is lost in a full ring.
    pub fn losing(&mut self, acts: impl FnOnce(&mut Self)) -> &mut Self {
        self.fate = Fate::Lost;
        acts(self);
        self.fate = Fate::Told;
        self
    }

    /// What happens meanwhile is shed in silence.
    pub fn shedding(&mut self, acts: impl FnOnce(&mut Self)) -> &mut Self {
        self.fate = Fate::Shed;
        acts(self);
        self.fate = Fate::Told;
        self
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

    /// A connection that is older than the hooks: who opened it is not known.
    pub fn old(&mut self, caller: Actors) -> Wire {
        let wire = self.connect(caller);
        for cookie in [wire.client, wire.server] {
            let socket = self.sockets.entry(cookie).or_default();
            socket.old = true;
            socket.connect = None;
        }
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

    /// A server's bytes, whatever they are.
    pub fn says(&mut self, wire: Wire, by: Actors, text: &str) -> &mut Self {
        self.moves(wire.server, Some(wire.client), by, Direction::Send, text, true)
    }

    /// What a client reads of them.
    pub fn hears(&mut self, wire: Wire, by: Actors, text: &str) -> &mut Self {
        self.moves(wire.client, Some(wire.server), by, Direction::Recv, text, true)
    }

    /// A socket's direction, or the whole of it, is over.
    pub fn ends(&mut self, cookie: SockCookie, what: Closing) -> &mut Self {
        self.now += 1;
        self.push(Event::Closing { cookie, what, time: BootNanos(self.now) });
        self
    }

    /// Bytes moved that no data record tells of; the counter says so a moment after they did.
    pub fn counts(&mut self, cookie: SockCookie, direction: Direction, bytes: u64) -> &mut Self {
        let socket = self.sockets.entry(cookie).or_default();
        let moved = &mut socket.moved[usize::from(direction == Direction::Recv)];
        *moved += bytes;
        let count = Count { cookie, direction, end: *moved, time: BootNanos(self.now) };
        self.push(Event::Count(count));
        self
    }

    /// A process replaces its program.
    pub fn exec(&mut self, pid: u32) -> &mut Self {
        self.now += 1;
        self.push(Event::Exec { process: process(pid), time: BootNanos(self.now) });
        self
    }

    /// Time passes by itself: nothing settles meanwhile.
    pub fn pass(&mut self, milliseconds: u64) -> &mut Self {
        self.now += milliseconds * MILLISECOND;
        self
    }

    /// What comes next carries earlier times.
    pub fn set_back(&mut self, milliseconds: u64) -> &mut Self {
        self.now -= milliseconds * MILLISECOND;
        self
    }

    /// A whole exchange with a server that nobody sees.
    pub fn call(&mut self, by: Actors, text: &str) -> &mut Self {
        let wire = self.connect(by);
        self.ask(wire, by, text).hear(wire, by)
    }

    pub fn spawn(&mut self, creator: Actors, created: Actors) -> &mut Self {
        self.now += 1;
        let parent = self.threads.entry(creator).or_default();
        let child = Carried { birth: parent.own, ancestor: parent.birth.or(parent.ancestor), ..Carried::default() };
        if child.birth.is_none() && child.ancestor.is_none() && created.0 == creator.0 {
            self.threads.insert(created, child);
            return self;
        }
        parent.seq += 1;
        let carried = *parent;
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

    /// A thread turns to a unit.
    pub fn run(&mut self, by: Actors, unit: u64) -> &mut Self {
        self.threads.entry(by).or_default().unit = Some(unit);
        self.units.entry((by.0, unit)).or_insert(Unit { id: UnitId(unit), ..Unit::default() });
        self
    }

    /// The unit that a thread runs creates one.
    pub fn create(&mut self, by: Actors, child: u64) -> &mut Self {
        self.now += 1;
        let (time, process) = (BootNanos(self.now), process(by.0));
        let creator = self.unit_of(by);
        let parent = self.units[&(by.0, creator)];
        let id = UnitId(child);
        let born = match parent {
            Unit { answers: Some(_), .. } => Unit { id, own: None, since: parent.since.or(Some(time)), ..parent },
            Unit { own: Some(_), .. } => {
                Unit { id, own: None, inherited: parent.own, via: Some(parent.id), ..Unit::default() }
            }
            _ => match self.takes.get(&(by.0, creator)) {
                Some([Some(head), _]) if head.others == 0 => {
                    self.acted.insert((by.0, creator));
                    let Claim { inherited, answers, since, via } = head.claim;
                    Unit { id, own: None, inherited, answers, since, via }
                }
                _ => Unit { id, ..parent },
            },
        };
        if born.answers.is_none() && born.inherited.is_none() {
            self.push(Event::UnitBorn(UnitBorn { time, process, unit: id, creator: parent.id }));
        }
        if self.takes.get(&(by.0, creator)).is_some_and(|[head, _]| head.is_some_and(|head| head.others != 0)) {
            self.acted.insert((by.0, creator));
            self.push(Event::Handed { process, unit: parent.id, child: id, time });
        }
        self.units.insert((by.0, child), born);
        self
    }

    /// A unit is no more.
    pub fn end_unit(&mut self, pid: u32, unit: u64) -> &mut Self {
        self.now += 1;
        self.units.remove(&(pid, unit));
        self.push(Event::UnitEnded { process: process(pid), unit: UnitId(unit), time: BootNanos(self.now) });
        self
    }

    fn unit_of(&self, by: Actors) -> u64 {
        self.threads.get(&by).and_then(|thread| thread.unit).expect("a thread that runs a unit")
    }

    /// Loses the records of what units take, from here on.
    pub const fn lose_takes(&mut self) -> &mut Self {
        self.takes_lost = true;
        self
    }

    /// Loses a record of a thread.
    pub fn lose(&mut self, who: Actors) -> &mut Self {
        self.threads.entry(who).or_default().seq += 1;
        self
    }

    /// Ends everything and gives the spans.
    pub fn end(&mut self) -> Vec<Span> {
        self.wait(2_000).finish();
        std::mem::take(&mut self.out.spans)
    }

    /// Ends everything.
    pub fn finish(&mut self) {
        self.engine.finish(BootNanos(self.now), &mut self.out);
    }

    pub fn stats(&self) -> crate::stats::Stats {
        self.engine.stats()
    }

    pub fn has_parser(&mut self, cookie: SockCookie) -> bool {
        self.engine.parsers.get(cookie).is_some()
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
        let policy = self.out.policies.iter().rev().find(|(policed, _)| *policed == cookie).map(|(_, policy)| *policy);
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
            socket.policy = policy;
            socket.turn[index] = offset;
            socket.turns[index] += 1;
            socket.last = Some(direction);
        }
        let tag = Tag { cookie, offset: socket.turn[index] };
        let turn = socket.turns[index];
        let carried = self.threads.entry(by).or_default();
        if direction == Direction::Recv {
            carried.turn = Some(tag);
            let asks = match socket.policy {
                Some(Policy::Client) => true,
                Some(Policy::Server) => false,
                _ => socket.active || socket.old,
            };
            if !asks {
                carried.own = Some(tag);
            }
        }
        let asks = socket.active || socket.old;
        let running = carried.unit.and_then(|unit| self.units.get_mut(&(by.0, unit)));
        if let Some(unit) = running {
            if direction == Direction::Recv && !asks {
                unit.own = Some(tag);
            }
            let elsewhere = unit.inherited.is_none_or(|inherited| inherited.cookie != cookie);
            if direction == Direction::Send && !asks && unit.own.is_none() && unit.answers.is_none() && elsewhere {
                unit.answers = Some(cookie);
                unit.via = Some(unit.id);
                unit.inherited = None;
            }
        }
        if let Some(unit) = carried.unit.filter(|_| direction == Direction::Send && asks && turn_start) {
            self.called.insert((by.0, unit), (cookie, 0));
        }
        if self.fate == Fate::Shed {
            return self;
        }
        let agents = socket.agent;
        if !socket.announced {
            socket.announced = true;
            carried.seq += 1;
            let open = Open {
                comm: "program".into(),
                time,
                cookie,
                actor: actor(by, carried),
                opened: match (socket.old, socket.active) {
                    (true, _) => Opened::Unknown,
                    (false, true) => Opened::Active,
                    (false, false) => Opened::Passive,
                },
                old: socket.old,
                agent: socket.agent,
                unix,
                netns: 1,
                endpoint: Endpoint { local: Address::Unknown, peer: Address::Unknown },
                link,
                connect: socket.connect,
            };
            if self.fate == Fate::Told {
                self.engine.push(Event::Open(Box::new(open)), &mut self.out);
            }
        }
        if agents {
            return self;
        }
        carried.seq += 1;
        if let Some(unit) = carried.unit.and_then(|unit| self.units.get(&(by.0, unit)))
            && direction == Direction::Send
            && turn_start
            && self.fate == Fate::Told
        {
            let key = (by.0, unit.id.0);
            self.acted.insert(key);
            if let Some(takes) = self.takes.get(&key).filter(|_| !self.takes_lost) {
                let (process, unit, takes) = (process(by.0), unit.id, Box::new(*takes));
                if let Some(job) = self.jobs.get(&key) {
                    let (head, seq) = (job.clone().into(), carried.seq);
                    self.engine.push(Event::Job { process, unit, seq, head, time }, &mut self.out);
                }
                if let Some(&writer) = self.writers.get(&key) {
                    self.engine.push(Event::Piped { process, unit, seq: carried.seq, writer, time }, &mut self.out);
                }
                self.engine.push(Event::Took { process, unit, seq: carried.seq, takes, time }, &mut self.out);
            }
            let running = Running { time, thread: thread(by), seq: carried.seq, unit: *unit };
            self.engine.push(Event::Running(running), &mut self.out);
            let unit =
                self.units.get_mut(&key).filter(|unit| direction == Direction::Send && unit.answers == Some(cookie));
            if let Some(unit) = unit {
                (unit.via, unit.since) = (Some(unit.id), None);
            }
        }
        let data = Data {
            time,
            cookie,
            actor: actor(by, carried),
            direction,
            offset,
            len: text.len() as u32,
            bytes: text.as_bytes().to_vec().into(),
            unseen: None,
            blocking,
            shed: false,
            turn_start,
            turn,
            stale: false,
            link,
        };
        self.push(Event::Data(data));
        self
    }

    fn push(&mut self, event: Event) {
        if self.fate == Fate::Told {
            self.engine.push(event, &mut self.out);
        }
    }
}

/// A request for a path, with more header fields.
pub fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

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
            Value::String(text) if *name == wanted => Some(text.as_ref()),
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
