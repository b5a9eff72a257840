//! Connections: which socket, whose, and what ties it to its other end.

mod connection;

use std::collections::{BTreeMap, HashSet};

pub use connection::Connection;

use crate::decode::{Bases, Closing, Link, Open};
use crate::ids::{BootNanos, SockCookie};
use crate::limits::{CLOSED_CONNECTION_NS, CONNECTIONS_MAX};

/// All connections.
#[derive(Default)]
pub struct Table {
    connections: BTreeMap<SockCookie, Connection>,
    /// Where the streams of the agent's own connections start, as their other ends see it.
    agent: HashSet<Bases>,
}

impl Table {
    /// Adds a connection at its first sight. Returns those that were forgotten to make room.
    pub fn open(&mut self, open: Open) -> Vec<SockCookie> {
        if open.agent {
            if let Link::Tcp(bases) = open.link {
                // Raw, at the end that opened the connection: the SYN counts.
                self.agent.insert(Bases { send: bases.recv, recv: bases.send.wrapping_add(1) });
            }
            return Vec::new();
        }
        let evicted = if self.connections.len() >= CONNECTIONS_MAX { self.evict() } else { Vec::new() };
        self.connections.insert(open.cookie, Connection::new(open));
        evicted
    }

    /// A connection.
    pub fn get_mut(&mut self, cookie: SockCookie) -> Option<&mut Connection> {
        self.connections.get_mut(&cookie)
    }

    /// True if the other end of this connection is the agent itself.
    #[must_use]
    pub fn is_agents(&self, link: Link) -> bool {
        matches!(link, Link::Tcp(bases) if self.agent.contains(&bases))
    }

    /// The socket at the other end of a unix connection that closes, since unix sockets tell of no end themselves.
    #[must_use]
    pub fn unix_peer(&self, cookie: SockCookie, what: Closing) -> Option<SockCookie> {
        let both = matches!(what, Closing::RecvEof | Closing::Closed | Closing::Error(_));
        match self.connections.get(&cookie).filter(|_| both)?.link() {
            Link::Unix(peer) => Some(peer),
            Link::None | Link::Tcp(_) => None,
        }
    }

    /// Forgets what closed a while ago, and tells which.
    pub fn sweep(&mut self, now: BootNanos, forgotten: &mut Vec<SockCookie>) {
        self.connections.retain(|cookie, connection| {
            let keep = connection.closed().is_none_or(|at| now.since(at) < CLOSED_CONNECTION_NS);
            if !keep {
                forgotten.push(*cookie);
            }
            keep
        });
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
