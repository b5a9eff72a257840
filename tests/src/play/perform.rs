//! Plays a description on real sockets: each party is a process that makes the calls, one act after the other.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::act::{Act, Link, Receiving, Sending, Side, What};
use super::judge::Seen;
use super::{Play, act::Wire};
use crate::actor::Actor;
use crate::clock;
use crate::scene::Scene;

/// More than this does not fit the buffers of a connection: it is heard while it is said.
const AT_ONCE_BYTES: usize = 32_768;
/// A party that listens beside another one is given this long to find that the connection is its own, in seconds.
const ACCEPT_LIMIT: f64 = 0.5;

/// The processes that play, the same for many plays.
#[derive(Debug)]
pub struct Troupe {
    actors: Vec<Actor>,
    /// Names of what is made in the scene are numbered.
    names: usize,
}

/// What really happened.
#[derive(Clone, Debug)]
pub struct Performed {
    /// When it began and ended, nanoseconds since the epoch.
    pub between: [u64; 2],
    times: Vec<[u64; 2]>,
    ends: Vec<[(String, String); 2]>,
}

impl Performed {
    /// What an agent told of it, to be judged.
    #[must_use]
    pub fn seen(self, spans: Vec<crate::otlp::Span>, losses: Option<std::collections::BTreeMap<String, u64>>) -> Seen {
        Seen { spans, losses, times: self.times, tolerance_ns: clock::TOLERANCE_NS, ends: self.ends }
    }
}

impl Troupe {
    /// Starts so many actors.
    ///
    /// # Errors
    /// They do not start.
    pub fn start(scene: &Scene, parties: usize) -> Result<Self> {
        let actors = (0..parties).map(|_| Actor::start(scene)).collect::<Result<_>>()?;
        Ok(Self { actors, names: 0 })
    }

    /// Their processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.actors.iter().map(Actor::pid)
    }

    /// Performs a play, and closes what it left open.
    ///
    /// # Errors
    /// A call does not do what the description says.
    pub fn perform(&mut self, scene: &Scene, play: &Play) -> Result<Performed> {
        let begun = clock::now_ns();
        let mut stage = Stage { troupe: self, scene, play, holders: Vec::new(), ends: Vec::new() };
        let mut times = vec![[0; 2]; play.acts.len()];
        let mut number = 0;
        while number < play.acts.len() {
            let heard_meanwhile = stage.act(number, &mut times).with_context(|| format!("act {number}"))?;
            number += 1 + usize::from(heard_meanwhile);
        }
        let ends = stage.close_all()?;
        Ok(Performed { between: [begun, clock::now_ns()], times, ends })
    }
}

struct Stage<'a> {
    troupe: &'a mut Troupe,
    scene: &'a Scene,
    play: &'a Play,
    /// Of each connection so far the party that holds each end.
    holders: Vec<[usize; 2]>,
    ends: Vec<[(String, String); 2]>,
}

impl Stage<'_> {
    /// Performs an act; true if the next one was performed with it.
    fn act(&mut self, number: usize, times: &mut [[u64; 2]]) -> Result<bool> {
        match &self.play.acts[number] {
            Act::Connect => self.connect()?,
            Act::Pause(pause) => std::thread::sleep(*pause),
            Act::Do { wire, side, thread, what } => {
                let next = self.play.acts.get(number + 1);
                if let (What::Say(bytes, by), Some(Act::Do { what: What::Hear(..), .. })) = (what, next)
                    && (bytes.len() > AT_ONCE_BYTES || *by == Sending::Partial)
                {
                    self.at_once(number, times)?;
                    return Ok(true);
                }
                let statement = self.statement(*wire, *side, *thread, what);
                times[number] = self.perform(*wire, *side, what, &statement)?;
            }
        }
        Ok(false)
    }

    fn perform(&mut self, wire: usize, side: Side, what: &What, statement: &str) -> Result<[u64; 2]> {
        let party = self.holders[wire][side as usize];
        match what {
            What::Pass(to) => {
                let place = self.place();
                let now = clock::now_ns();
                self.troupe.actors[*to].does(&format!("player.expect({place:?})"))?;
                self.troupe.actors[party].does(&format!("player.hand({:?}, {place:?})", name(wire, side)))?;
                self.troupe.actors[*to].does(&format!("player.take({:?}, {place:?})", name(wire, side)))?;
                self.holders[wire][side as usize] = *to;
                Ok([now, clock::now_ns()])
            }
            What::Exec | What::Fork | What::Duplicate => {
                let now = clock::now_ns();
                self.troupe.actors[party].does(statement)?;
                Ok([now, clock::now_ns()])
            }
            _ => times(&self.troupe.actors[party].does(statement)?),
        }
    }

    /// Performs an act of saying and the hearing of it side by side.
    fn at_once(&mut self, number: usize, told: &mut [[u64; 2]]) -> Result<()> {
        let mut parties = [0; 2];
        // The hearing begins first, so that the saying finds room.
        for (place, act) in [number + 1, number].into_iter().zip([1, 0]) {
            let Act::Do { wire, side, thread, what } = &self.play.acts[place] else { bail!("no act of hearing") };
            parties[act] = self.holders[*wire][*side as usize];
            let statement = self.statement(*wire, *side, *thread, what);
            self.troupe.actors[parties[act]].begins(&statement)?;
        }
        for (act, party) in parties.into_iter().enumerate() {
            told[number + act] = times(&self.troupe.actors[party].is_done()?)?;
        }
        Ok(())
    }

    fn statement(&self, wire: usize, side: Side, thread: usize, what: &What) -> String {
        let end = name(wire, side);
        let statement = match what {
            What::Say(bytes, by) => {
                let (call, sizes) = sending(by);
                format!("player.say({end:?}, {}, {call:?}, {sizes:?})", literal(bytes))
            }
            What::Hear(count, by) => {
                let (call, sizes) = receiving(by);
                format!("player.hear({end:?}, {count}, {call:?}, {sizes:?})")
            }
            What::HearEnd => format!("player.hear_end({end:?})"),
            What::Fail(errno) => format!("player.fail({end:?}, {errno})"),
            What::Finish => format!("player.finish({end:?})"),
            What::Close => format!("player.close({end:?})"),
            What::Reset => format!("player.reset({end:?})"),
            What::Duplicate => format!("player.duplicate({end:?})"),
            What::Pass(_) => String::new(),
            What::Fork => "player.fork()".to_owned(),
            What::Exec => {
                let party = self.holders[wire][side as usize];
                // This one's own answer is given by the program that goes on.
                let next = self.troupe.actors[party].commands() + 2;
                format!("player.execute({end:?}, {next})")
            }
        };
        if thread == 0 { statement } else { format!("player.by_thread({thread}, lambda: {statement})") }
    }

    fn connect(&mut self) -> Result<()> {
        let number = self.holders.len();
        let Wire { link, caller, callee } = self.play.wires[number];
        let kind = kind(link);
        let [client, server] = Side::BOTH.map(|side| name(number, side));
        self.holders.push([caller, callee]);
        if link == Link::UnixPair {
            let actor = &mut self.troupe.actors[caller];
            actor.does(&format!("player.pair({client:?}, {server:?})"))?;
            if caller != callee {
                let pass = What::Pass(callee);
                self.holders[number][1] = caller;
                self.perform(number, Side::Server, &pass, "")?;
            }
            let unnamed = || ("unix:".to_owned(), "unix:".to_owned());
            self.ends.push([unnamed(), unnamed()]);
            return Ok(());
        }
        let place = match link {
            Link::UnixPath => format!("{:?}", self.place()),
            Link::UnixAbstract => {
                format!("'\\0play-{}-{}'", std::process::id(), self.place().len() + self.troupe.names)
            }
            _ => "None".to_owned(),
        };
        let listen = |place: &str| format!("player.listen({number}, {kind:?}, {place})");
        let place = self.troupe.actors[callee].does(&listen(&place))?;
        let place = literal_of(&place);
        if link == Link::ReusePort {
            self.troupe.actors[callee + 1].does(&listen(&place))?;
        }
        let actors = &mut self.troupe.actors;
        let client_ends = ends(&actors[caller].does(&format!("player.connect({client:?}, {kind:?}, {place})"))?)?;
        let limit = if link == Link::ReusePort { ACCEPT_LIMIT.to_string() } else { "None".to_owned() };
        let accept = format!("player.accept({server:?}, {number}, {limit})");
        let mut accepted = actors[callee].does(&accept)?;
        if link == Link::ReusePort {
            let other = actors[callee + 1].does(&accept)?;
            if accepted.is_null() {
                accepted = other;
                self.holders[number][1] = callee + 1;
            }
        }
        self.ends.push([client_ends, ends(&accepted)?]);
        Ok(())
    }

    /// What the play left open is closed: clients first.
    fn close_all(self) -> Result<Vec<[(String, String); 2]>> {
        for (wire, holders) in self.holders.iter().enumerate() {
            for side in Side::BOTH {
                self.troupe.actors[holders[side as usize]].does(&format!("player.close({:?})", name(wire, side)))?;
            }
        }
        Ok(self.ends)
    }

    /// A path in the scene that was not used yet.
    fn place(&mut self) -> String {
        self.troupe.names += 1;
        self.scene.path(&format!("socket-{}", self.troupe.names)).display().to_string()
    }
}

/// What an actor calls an end.
fn name(wire: usize, side: Side) -> String {
    format!("{}{wire}", if side == Side::Client { 'c' } else { 's' })
}

/// When a call began and ended.
fn times(value: &Value) -> Result<[u64; 2]> {
    serde_json::from_value(value.clone()).with_context(|| format!("two times: {value}"))
}

/// An end of a connection and the other one.
fn ends(value: &Value) -> Result<(String, String)> {
    serde_json::from_value(value.clone()).with_context(|| format!("two ends: {value}"))
}

/// Bytes as Python writes them.
fn literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

/// An address as Python writes it, from what it was in JSON.
fn literal_of(address: &Value) -> String {
    match address.as_str().and_then(|name| name.strip_prefix('\0')) {
        Some(name) => format!("'\\0{name}'"),
        None => address.to_string(),
    }
}

const fn kind(link: Link) -> &'static str {
    match link {
        Link::Ipv4 => "ipv4",
        Link::Ipv6 => "ipv6",
        Link::Mapped => "mapped",
        Link::UnixPath => "unix_path",
        Link::UnixAbstract => "unix_abstract",
        Link::UnixPair => "unix_pair",
        Link::Mptcp => "mptcp",
        Link::MptcpListener => "mptcp_listener",
        Link::ReusePort => "reuse_port",
    }
}

const fn sending(call: &Sending) -> (&'static str, &[usize]) {
    match call {
        Sending::Send => ("send", &[]),
        Sending::Write => ("write", &[]),
        Sending::Writev(sizes) => ("writev", sizes.as_slice()),
        Sending::Pwritev2(sizes) => ("pwritev2", sizes.as_slice()),
        Sending::Sendmsg(sizes) => ("sendmsg", sizes.as_slice()),
        Sending::More(sizes) => ("more", sizes.as_slice()),
        Sending::Partial => ("partial", &[]),
        Sending::ZeroCopy => ("zero_copy", &[]),
        Sending::Sendmmsg(sizes) => ("sendmmsg", sizes.as_slice()),
        Sending::Sendfile => ("sendfile", &[]),
        Sending::Splice => ("splice", &[]),
        Sending::Ring => ("ring", &[]),
        Sending::RingWorker => ("ring_worker", &[]),
        Sending::RingPolled => ("ring_polled", &[]),
    }
}

const fn receiving(call: &Receiving) -> (&'static str, &[usize]) {
    match call {
        Receiving::Recv => ("recv", &[]),
        Receiving::Read => ("read", &[]),
        Receiving::Readv(sizes) => ("readv", sizes.as_slice()),
        Receiving::Preadv2(sizes) => ("preadv2", sizes.as_slice()),
        Receiving::Recvmsg(sizes) => ("recvmsg", sizes.as_slice()),
        Receiving::Peeked => ("peeked", &[]),
        Receiving::WaitAll => ("wait_all", &[]),
        Receiving::NonBlocking => ("non_blocking", &[]),
        Receiving::Dropped => ("dropped", &[]),
        Receiving::Recvmmsg(sizes) => ("recvmmsg", sizes.as_slice()),
        Receiving::Splice => ("splice", &[]),
        Receiving::Ring => ("ring", &[]),
        Receiving::RingWorker => ("ring_worker", &[]),
    }
}
