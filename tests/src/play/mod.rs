//! A language for conversations: what two ends say, word for word and call for call, and what an agent must tell of it.
//!
//! ```
//! # use tracemend_tests::play::{Link, Play, exchange};
//! let play = Play::over(Link::Ipv4)
//!     .client("GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
//!     .server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
//!     .told(exchange("GET", "/a", 200).bodies(0, 2));
//! assert_eq!(play.streams().len(), 2);
//! ```
//!
//! One description is played in two ways: [`perform`] has real processes make the calls on real sockets beside an agent,
//! and [`events`] makes of it what the kernel half would tell, and feeds that to the core without a kernel. [`judge`] holds
//! what came of either to the same expectation. [`catalogue`] has all plays; each is a test in both ways.

pub mod act;
pub mod catalogue;
pub mod events;
pub mod expect;
pub mod judge;
pub mod perform;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use act::{Act, Link, Receiving, Sending, Side, What, Wire};
pub use expect::{Cause, Context, Half, Told, exchange, unanswered};

/// A conversation with what must be told of it.
#[derive(Clone, Debug)]
pub struct Play {
    /// The connections, in the order in which they are made.
    pub wires: Vec<Wire>,
    /// What happens, in order.
    pub acts: Vec<Act>,
    /// The exchanges that must be told, and no others.
    pub told: Vec<Told>,
    /// What must be counted as lost, and nothing else.
    pub losses: BTreeMap<&'static str, u64>,
    alone: bool,
    wire: usize,
    threads: [usize; 2],
}

impl Play {
    /// A connection between party 0, the client, and party 1, the server.
    #[must_use]
    pub fn over(link: Link) -> Self {
        let play = Self {
            wires: Vec::new(),
            acts: Vec::new(),
            told: Vec::new(),
            losses: BTreeMap::new(),
            alone: false,
            wire: 0,
            threads: [0; 2],
        };
        play.connect(0, 1, link)
    }

    /// Another connection, between these parties. What follows takes place on it.
    #[must_use]
    pub fn connect(mut self, caller: usize, callee: usize, link: Link) -> Self {
        self.wire = self.wires.len();
        self.wires.push(Wire { link, caller, callee });
        self.acts.push(Act::Connect);
        self
    }

    /// What follows takes place on the connection of this number.
    #[must_use]
    pub const fn on(mut self, wire: usize) -> Self {
        self.wire = wire;
        self
    }

    /// What this end does from now on, a thread of this number in its process does.
    #[must_use]
    pub const fn thread(mut self, side: Side, thread: usize) -> Self {
        self.threads[side as usize] = thread;
        self
    }

    /// The client says something, and the server hears it all.
    #[must_use]
    pub fn client(self, bytes: impl AsRef<[u8]>) -> Self {
        self.carry(Side::Client, bytes, Sending::Send, Receiving::Recv)
    }

    /// The server says something, and the client hears it all.
    #[must_use]
    pub fn server(self, bytes: impl AsRef<[u8]>) -> Self {
        self.carry(Side::Server, bytes, Sending::Send, Receiving::Recv)
    }

    /// An end says something, and the other one hears it all, by these calls.
    #[must_use]
    pub fn carry(self, from: Side, bytes: impl AsRef<[u8]>, out: Sending, into: Receiving) -> Self {
        let count = bytes.as_ref().len();
        self.says(from, bytes, out).hears(from.other(), count, into)
    }

    /// An end says something in pieces of this many bytes, each of which is heard before the next is said.
    #[must_use]
    pub fn in_pieces(self, from: Side, bytes: impl AsRef<[u8]>, size: usize) -> Self {
        let pieces = bytes.as_ref().chunks(size);
        pieces.fold(self, |play, piece| play.carry(from, piece, Sending::Send, Receiving::Recv))
    }

    /// An end says something that is not heard yet.
    #[must_use]
    pub fn says(self, side: Side, bytes: impl AsRef<[u8]>, by: Sending) -> Self {
        self.does(side, What::Say(bytes.as_ref().to_vec(), by))
    }

    /// An end hears exactly so many bytes.
    #[must_use]
    pub fn hears(self, side: Side, count: usize, by: Receiving) -> Self {
        self.does(side, What::Hear(count, by))
    }

    /// An end does something.
    #[must_use]
    pub fn does(mut self, side: Side, what: What) -> Self {
        let thread = self.threads[side as usize];
        self.acts.push(Act::Do { wire: self.wire, side, thread, what });
        self
    }

    /// An end closes, and the other one reads the end.
    #[must_use]
    pub fn closes(self, side: Side) -> Self {
        self.does(side, What::Close).does(side.other(), What::HearEnd)
    }

    /// Nothing happens for a while.
    #[must_use]
    pub fn pause(mut self, milliseconds: u64) -> Self {
        self.acts.push(Act::Pause(Duration::from_millis(milliseconds)));
        self
    }

    /// What was just said and heard on the current connection must be told as this exchange.
    #[must_use]
    pub fn told(mut self, told: Told) -> Self {
        let told = told.placed(self.wire, &self.acts);
        self.told.push(told);
        self
    }

    /// So much must be counted as lost for this reason.
    #[must_use]
    pub fn loses(mut self, reason: &'static str, count: u64) -> Self {
        *self.losses.entry(reason).or_default() += count;
        self
    }

    /// It is played by processes that played nothing before.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The bytes of each connection in both directions: the client's and the server's in turn. Seeds for whatever wants
    /// bytes that are nearly HTTP.
    #[must_use]
    pub fn streams(&self) -> Vec<Vec<u8>> {
        let mut streams = vec![Vec::new(); 2 * self.wires.len()];
        for act in &self.acts {
            if let Act::Do { wire, side, what: What::Say(bytes, _), .. } = act {
                streams[2 * wire + *side as usize].extend_from_slice(bytes);
            }
        }
        streams
    }

    /// True if it must have an agent and actors of its own: what is lost is counted for all an agent sees, and processes
    /// that fork or execute are not what they were; or because it says so.
    #[must_use]
    pub fn plays_alone(&self) -> bool {
        let changes = |act: &Act| matches!(act, Act::Do { what: What::Fork | What::Exec, .. });
        self.alone || !self.losses.is_empty() || self.acts.iter().any(changes)
    }

    /// How many parties take part.
    #[must_use]
    pub fn parties(&self) -> usize {
        let of_wire = |wire: &Wire| wire.caller.max(wire.callee) + usize::from(wire.link == Link::ReusePort);
        let passed = |act: &Act| match act {
            Act::Do { what: What::Pass(party), .. } => *party,
            _ => 0,
        };
        1 + self.wires.iter().map(of_wire).chain(self.acts.iter().map(passed)).max().unwrap_or_default()
    }
}
