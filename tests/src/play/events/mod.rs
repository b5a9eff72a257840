//! Plays a description without a kernel: makes of it the events that the kernel half would tell, and feeds them to the
//! core.

mod calls;
mod kernel;
mod spans;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use tracemend_core::decode::{Address, Closing, Direction, Endpoint, Event, Link as Tie, Opened, Process};
use tracemend_core::engine::{Engine, Options, Output};
use tracemend_core::ids::{BootNanos, SockCookie};

use super::act::{Act, Link, Side, What, Wire};
use super::judge::Seen;
use super::{Play, judge};
use calls::Firing;
use kernel::{Kernel, Socket, Who};

/// Acts are so far apart.
const STEP_NS: u64 = 5_000_000;
/// Whatever is open is waited for so long at the end.
const SETTLED_NS: u64 = 40_000_000_000;

/// What the kernel half would tell of a play.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The events, in order of time.
    pub events: Vec<Event>,
    /// What the kernel half would count as lost.
    pub losses: BTreeMap<&'static str, u64>,
    times: Vec<[u64; 2]>,
    ends: Vec<[(String, String); 2]>,
}

/// Records a play as the kernel half would, and user space set its policies.
#[must_use]
pub fn record(play: &Play) -> Recorded {
    let mut stage = Stage::new(play);
    let times = play.acts.iter().map(|act| stage.act(act)).collect();
    stage.close_all();
    Recorded { events: stage.told, losses: stage.kernel.losses, times, ends: stage.ends }
}

impl Recorded {
    /// Feeds events to the core; gives what it tells of them. They may be others than those recorded.
    #[must_use]
    pub fn tell(&self, events: &[Event]) -> Seen {
        let mut engine = engine();
        let mut out = Output::default();
        for event in events {
            if let Some(time) = event.time() {
                engine.tick(time, &mut out);
            }
            engine.push(event.clone(), &mut out);
        }
        let last = events.iter().filter_map(Event::time).max().unwrap_or_default();
        engine.finish(BootNanos(last.0 + SETTLED_NS), &mut out);
        let core = engine.losses().into_iter().filter(|(_, count)| *count > 0);
        let mut losses: BTreeMap<String, u64> = core.map(|(name, count)| (name.to_owned(), count)).collect();
        losses.extend(self.losses.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        // As the sampler does: what somebody else decided of a trace is so for all of it.
        let unsampled: HashSet<_> =
            out.spans.iter().filter(|span| span.sampled == Some(false)).map(|span| span.trace_id).collect();
        let sampled = out.spans.iter().filter(|span| !unsampled.contains(&span.trace_id));
        Seen {
            spans: sampled.map(spans::exported).collect(),
            losses: Some(losses),
            times: self.times.clone(),
            tolerance_ns: 0,
            ends: self.ends.clone(),
        }
    }
}

/// Plays it, and judges what was told. Every difference, in words.
#[must_use]
pub fn play(play: &Play) -> Vec<String> {
    let recorded = record(play);
    judge::judge(play, &recorded.tell(&recorded.events))
}

fn engine() -> Engine {
    Engine::new(Options { nonce: [1; 16], excluded: Box::new(|_| false), explain: false })
}

/// Where a play is recorded.
struct Stage<'a> {
    play: &'a Play,
    kernel: Kernel,
    /// Knows what user space wants of each connection.
    engine: Engine,
    told: Vec<Event>,
    /// Of each connection so far the process that holds each end.
    holders: Vec<[u32; 2]>,
    /// What was said to an end and not heard yet.
    unheard: Vec<[Vec<u8>; 2]>,
    ends: Vec<[(String, String); 2]>,
    processes: u32,
}

impl<'a> Stage<'a> {
    fn new(play: &'a Play) -> Self {
        let mut stage = Self {
            play,
            kernel: Kernel::at(1_000_000_000),
            engine: engine(),
            told: Vec::new(),
            holders: Vec::new(),
            unheard: Vec::new(),
            ends: Vec::new(),
            processes: play.parties() as u32,
        };
        for number in 0..stage.processes {
            stage.introduce(number);
        }
        stage
    }

    fn act(&mut self, act: &Act) -> [u64; 2] {
        self.kernel.now += STEP_NS;
        let begun = self.kernel.now;
        match act {
            Act::Connect => self.connect(),
            Act::Do { wire, side, thread, what } => self.perform(*wire, *side, *thread as u32, what),
            Act::Pause(pause) => {
                self.kernel.sweep();
                self.kernel.now += pause.as_nanos() as u64;
            }
        }
        self.hand_over();
        [begun, self.kernel.now]
    }

    fn perform(&mut self, wire: usize, side: Side, thread: u32, what: &What) {
        let (cookie, who) = (cookie(wire, side), (self.holders[wire][side as usize], thread));
        match what {
            What::Say(bytes, by) => {
                self.unheard[wire][side.other() as usize].extend_from_slice(bytes);
                self.move_bytes(who, cookie, Direction::Send, bytes, &calls::sending(by, bytes.len()));
            }
            What::Hear(count, by) => {
                let bytes: Vec<u8> = self.unheard[wire][side as usize].drain(..count).collect();
                self.move_bytes(who, cookie, Direction::Recv, &bytes, &calls::receiving(by, bytes.len()));
            }
            What::HearEnd => self.kernel.ended(cookie, Closing::RecvEof),
            What::Fail(errno) => self.kernel.ended(cookie, Closing::Error(*errno)),
            What::Finish => self.finish(wire, side, false),
            What::Close => self.close(wire, side),
            What::Reset => self.reset(wire, side),
            What::Duplicate => {}
            What::Pass(party) => self.holders[wire][side as usize] = *party as u32,
            What::Fork => {
                let child = self.processes;
                self.processes += 1;
                self.kernel.forked(who, (child, 0));
                self.hand_over();
                self.introduce(child);
                self.holders[wire][side as usize] = child;
            }
            What::Exec => {
                self.kernel.executed(who);
                self.hand_over();
                self.introduce(who.0);
            }
        }
    }

    fn move_bytes(&mut self, who: Who, cookie: SockCookie, direction: Direction, bytes: &[u8], firings: &[Firing]) {
        let mut rest = bytes;
        for firing in firings {
            let (moved, left) = rest.split_at(firing.len);
            self.kernel.moved(who, cookie, direction, moved, *firing);
            rest = left;
        }
    }

    fn connect(&mut self) {
        let number = self.holders.len();
        let Wire { link, caller, callee } = self.play.wires[number];
        self.holders.push([caller as u32, callee as u32]);
        self.unheard.push([Vec::new(), Vec::new()]);
        let endpoints = endpoints(link, number);
        self.ends.push(endpoints.each_ref().map(|ends| (spans::end(&ends.local), spans::end(&ends.peer))));
        let [client, server] = Side::BOTH.map(|side| cookie(number, side));
        let bases = kernel::bases(number as u32 + 1);
        for (side, endpoint) in Side::BOTH.into_iter().zip(endpoints) {
            let (own, peer, opened) = match side {
                Side::Client => (client, server, Opened::Active),
                Side::Server => (server, client, Opened::Passive),
            };
            let mut socket = Socket::new(endpoint, opened, peer);
            socket.unix = link.is_unix();
            socket.other_protocol = link == Link::Mptcp;
            if !link.is_unix() {
                socket.link = Tie::Tcp(bases[side as usize]);
                if side == Side::Client {
                    // The SYN counts.
                    socket.moved[0] = 1;
                    socket.connect = Some(self.kernel.connecting((caller as u32, 0)));
                }
            }
            self.kernel.sockets.insert(own, socket);
        }
    }

    /// An end sends its FIN, and its socket is gone if it is `closed` or the other end's FIN came before.
    fn finish(&mut self, wire: usize, side: Side, closed: bool) {
        let (own, other) = (cookie(wire, side), cookie(wire, side.other()));
        if self.play.wires[wire].link.is_unix() {
            return;
        }
        if !self.is(own, |socket| socket.finished) {
            self.kernel.ended(own, Closing::SendFin);
            self.set(own, |socket| socket.finished = true);
        }
        let both = self.is(other, |socket| socket.finished);
        if closed || both {
            self.kernel.ended(own, Closing::Closed);
            self.set(own, |socket| socket.closed = true);
        }
        if both && !self.is(other, |socket| socket.closed) {
            self.kernel.ended(other, Closing::Closed);
            self.set(other, |socket| socket.closed = true);
        }
    }

    fn close(&mut self, wire: usize, side: Side) {
        if self.unheard[wire][side as usize].is_empty() {
            self.finish(wire, side, true);
        } else {
            self.reset(wire, side);
        }
    }

    /// The connection ends at once, and the other end learns why.
    fn reset(&mut self, wire: usize, side: Side) {
        const ECONNRESET: i32 = 104;
        const EPIPE: i32 = 32;
        if self.play.wires[wire].link.is_unix() {
            return;
        }
        let (own, other) = (cookie(wire, side), cookie(wire, side.other()));
        if self.is(own, |socket| socket.closed) {
            return;
        }
        self.kernel.ended(own, Closing::Closed);
        if !self.is(other, |socket| socket.closed) {
            let errno = if self.is(own, |socket| socket.finished) { EPIPE } else { ECONNRESET };
            self.kernel.ended(other, Closing::Error(errno));
            self.kernel.ended(other, Closing::Closed);
        }
        for cookie in [own, other] {
            self.set(cookie, |socket| socket.closed = true);
        }
    }

    /// What is left open at the end of the play is closed, the clients first.
    fn close_all(&mut self) {
        for wire in 0..self.holders.len() {
            for side in Side::BOTH {
                let heard_end = self.unheard[wire][side as usize].is_empty();
                if side == Side::Server && heard_end {
                    self.kernel.ended(cookie(wire, side), Closing::RecvEof);
                }
                if !self.is(cookie(wire, side), |socket| socket.closed) {
                    self.close(wire, side);
                }
            }
        }
        self.kernel.sweep();
        for number in 0..self.processes {
            self.kernel.exited((number, 0));
        }
        self.hand_over();
    }

    /// A process's facts are told before what it does.
    fn introduce(&mut self, number: u32) {
        let id = kernel::process(number);
        let facts = Process { id, executable: "player".to_owned(), resource: Vec::new() };
        self.told.push(Event::Process(Arc::new(facts)));
    }

    /// Hands what the kernel half wrote to user space, and its wishes back.
    fn hand_over(&mut self) {
        let mut out = Output::default();
        for event in std::mem::take(&mut self.kernel.events) {
            self.told.push(event.clone());
            self.engine.push(event, &mut out);
        }
        self.kernel.policies.extend(out.policies);
    }

    fn is(&self, cookie: SockCookie, has: impl Fn(&Socket) -> bool) -> bool {
        self.kernel.sockets.get(&cookie).is_some_and(has)
    }

    fn set(&mut self, cookie: SockCookie, change: impl Fn(&mut Socket)) {
        self.kernel.sockets.get_mut(&cookie).map(change);
    }
}

const fn cookie(wire: usize, side: Side) -> SockCookie {
    SockCookie(1 + 2 * wire as u64 + side as u64)
}

/// Both ends' addresses, as the client's socket has them and as the server's has.
fn endpoints(link: Link, number: usize) -> [Endpoint; 2] {
    let (client_port, server_port) = (40_000 + number as u16, 8_000 + number as u16);
    let ip = match link {
        Link::Ipv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Link::Mapped => IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let named = |name: String| {
        let name = Address::Unix(name);
        [Endpoint { local: Address::Unknown, peer: name.clone() }, Endpoint { local: name, peer: Address::Unknown }]
    };
    match link {
        Link::UnixPath => named(format!("/play/{number}")),
        Link::UnixAbstract => named(format!("@play-{number}")),
        Link::UnixPair => [Endpoint::default(), Endpoint::default()],
        Link::Ipv4 | Link::Ipv6 | Link::Mapped | Link::Mptcp | Link::MptcpListener | Link::ReusePort => {
            let (client, server) = ((ip, client_port), (ip, server_port));
            [kernel::inet(client, server), kernel::inet(server, client)]
        }
    }
}
