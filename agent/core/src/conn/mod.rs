//! Connections: which socket, whose, and what ties it to its other end.

mod connection;
mod ends;

use std::collections::VecDeque;

pub use connection::Connection;
pub use ends::{End, Ends};

use crate::decode::{Bases, Closing, Link, Open};
use crate::ids::{BootNanos, SockCookie};
use crate::limits::{AGENT_CONNECTIONS_MAX, CLOSED_CONNECTION_NS, CONNECTIONS_MAX};
use crate::map::Map;

/// All connections.
#[derive(Default)]
pub struct Table {
    /// Each in a place of its own, so that the map's empty places are small.
    connections: Map<SockCookie, Box<Connection>>,
    /// Those that closed, in the order they did.
    closed: VecDeque<(BootNanos, SockCookie)>,
    /// Where the streams of the agent's own latest connections start, as their other ends see it.
    agent: VecDeque<Bases>,
}

impl Table {
    /// Adds a connection at its first sight. Returns those that were forgotten to make room.
    pub fn open(&mut self, open: Open) -> Vec<SockCookie> {
        if open.agent {
            if let Link::Tcp(bases) = open.link {
                // Raw, at the end that opened the connection: the SYN counts.
                if self.agent.len() == AGENT_CONNECTIONS_MAX {
                    self.agent.pop_front();
                }
                self.agent.push_back(Bases { send: bases.recv, recv: bases.send.wrapping_add(1) });
            }
            return Vec::new();
        }
        let evicted = if self.connections.len() >= CONNECTIONS_MAX { self.evict() } else { Vec::new() };
        self.connections.insert(open.cookie, Box::new(Connection::new(open)));
        evicted
    }

    /// A connection.
    pub fn get_mut(&mut self, cookie: SockCookie) -> Option<&mut Connection> {
        self.connections.get_mut(&cookie).map(Box::as_mut)
    }

    /// True if the other end of this connection is the agent itself.
    #[must_use]
    pub fn is_agents(&self, link: Link) -> bool {
        matches!(link, Link::Tcp(bases) if self.agent.contains(&bases))
    }

    /// What one end's news say about the other end of a unix connection, since unix sockets tell of no end themselves.
    #[must_use]
    pub fn unix_peer(&self, cookie: SockCookie, what: Closing) -> Option<(SockCookie, Closing)> {
        let theirs = match what {
            // It may go on reading.
            Closing::RecvEof => Closing::SendFin,
            Closing::Closed | Closing::Error(_) => Closing::Closed,
            Closing::SendFin => return None,
        };
        match self.connections.get(&cookie)?.link() {
            Link::Unix(peer) => Some((peer, theirs)),
            Link::None | Link::Tcp(_) => None,
        }
    }

    /// Notes that a connection closed.
    pub fn close(&mut self, cookie: SockCookie, time: BootNanos) {
        if let Some(connection) = self.connections.get_mut(&cookie)
            && connection.close()
        {
            self.closed.push_back((time, cookie));
        }
    }

    /// Forgets a connection that closed a while ago, and tells which.
    pub fn sweep(&mut self, now: BootNanos) -> Option<SockCookie> {
        while let Some((_, cookie)) = self.closed.pop_front_if(|(at, _)| now.since(*at) >= CLOSED_CONNECTION_NS) {
            // Its socket may have connected anew since.
            if self.connections.get(&cookie).is_some_and(|connection| connection.is_closed()) {
                self.connections.remove(&cookie);
                return Some(cookie);
            }
        }
        None
    }

    /// Forgets the eighth that is idle longest.
    fn evict(&mut self) -> Vec<SockCookie> {
        let mut idle: Vec<_> = self.connections.iter().map(|(cookie, one)| (one.last(), *cookie)).collect();
        idle.sort_unstable();
        idle.truncate((CONNECTIONS_MAX / 8).max(1));
        let cookies: Vec<_> = idle.into_iter().map(|(_, cookie)| cookie).collect();
        for cookie in &cookies {
            self.connections.remove(cookie);
        }
        cookies
    }
}
