//! One end of one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::conn::Ends;
use crate::decode::{Connect, Data, Direction, Link, Open, Opened};
use crate::ids::{BootNanos, SockCookie};
use crate::limits::TURNS_MAX;

/// What is known of a socket's connection.
pub struct Connection {
    /// The socket.
    pub cookie: SockCookie,
    /// Both addresses.
    pub ends: Arc<Ends>,
    /// A unix socket.
    pub unix: bool,
    /// Who opened it.
    pub opened: Opened,
    /// The call of `connect()`, until the first exchange takes it.
    pub connect: Option<Connect>,
    link: Link,
    /// The direction that sends requests, once one did.
    asks: Option<Direction>,
    turns: [VecDeque<u64>; 2],
    last: BootNanos,
    closed: bool,
}

impl Connection {
    /// A connection at its first sight.
    #[must_use]
    pub fn new(open: Open) -> Self {
        Self {
            cookie: open.cookie,
            ends: Arc::new(open.endpoint.into()),
            unix: open.unix,
            opened: open.opened,
            connect: open.connect,
            link: open.link,
            asks: None,
            turns: [VecDeque::new(), VecDeque::new()],
            last: open.time,
            closed: false,
        }
    }

    /// True if this end answers requests, as far as is known without reading them.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(self.opened, Opened::Passive | Opened::ListeningPort)
    }

    /// What ties the socket to its other end.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }

    /// When bytes moved last.
    #[must_use]
    pub const fn last(&self) -> BootNanos {
        self.last
    }

    /// True if it closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Notes that it closed. True if that is news.
    pub const fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    /// Notes that a unix socket says this one is its other end. True if that is news.
    pub fn met(&mut self, other: SockCookie) -> bool {
        let news = self.unix && self.link == Link::None;
        if news {
            self.link = Link::Unix(other);
        }
        news
    }

    /// Notes bytes: the turn they begin, and a sample of the link. True if the link changed.
    ///
    /// Bases never change: a sample that differs from the one before was read while the kernel changed both numbers,
    /// or the one before was; the next one decides.
    pub fn moved(&mut self, data: &Data) -> bool {
        self.last = data.time;
        if data.turn_start && self.asks.is_none_or(|asks| asks == data.direction) {
            let turns = &mut self.turns[index(data.direction)];
            if turns.len() == TURNS_MAX {
                turns.pop_front();
            }
            turns.push_back(data.offset);
        }
        let changed = data.link != Link::None && data.link != self.link;
        if changed {
            self.link = data.link;
        }
        changed
    }

    /// The turn that the request lies in which begins at an offset of a direction; the offset itself if its turn was not
    /// seen. Requests come in order: turns before it are asked for no more, and those of the other direction never.
    pub fn turn_of(&mut self, direction: Direction, offset: u64) -> u64 {
        if self.asks.replace(direction).is_none() {
            self.turns[index(direction.opposite())] = VecDeque::new();
        }
        let turns = &mut self.turns[index(direction)];
        while turns.get(1).is_some_and(|next| *next <= offset) {
            turns.pop_front();
        }
        turns.iter().rev().copied().find(|start| *start <= offset).unwrap_or(offset)
    }
}

const fn index(direction: Direction) -> usize {
    match direction {
        Direction::Send => 0,
        Direction::Recv => 1,
    }
}
