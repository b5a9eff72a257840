//! The parsers of all connections, and what they hold together.

use crate::ids::SockCookie;
use crate::limits::{PARSER_BYTES_MIN, PARSERS_BYTES_MAX};
use crate::map::Map;
use crate::proto::exchange::Update;
use crate::proto::http1::{Http1, Losses, Verdict};

/// One parser a connection.
#[derive(Default)]
pub(super) struct Parsers {
    /// Each in a place of its own, so that the map's empty places are small.
    all: Map<SockCookie, Box<Http1>>,
    /// Bytes they hold of unfinished heads and of open exchanges.
    held: usize,
    losses: Losses,
    given_up: u64,
}

impl Parsers {
    /// Adds the parser of a connection.
    pub(super) fn insert(&mut self, cookie: SockCookie, parser: Http1) {
        self.remove(cookie);
        self.held += parser.held_bytes();
        self.all.insert(cookie, Box::new(parser));
    }

    /// Forgets a connection's parser.
    pub(super) fn remove(&mut self, cookie: SockCookie) {
        if let Some(mut parser) = self.all.remove(&cookie) {
            self.held -= parser.held_bytes();
            self.losses += parser.take_losses();
        }
    }

    /// What a connection speaks; none if it has no parser.
    pub(super) fn verdict(&self, cookie: SockCookie) -> Option<Verdict> {
        self.all.get(&cookie).map(|parser| parser.verdict())
    }

    /// True if exchanges of a connection may yet be told.
    pub(super) fn says_more(&self, cookie: SockCookie) -> bool {
        self.all.get(&cookie).is_some_and(|parser| !parser.is_over() && parser.verdict() != Verdict::Undecided)
    }

    /// Lets the parser of a connection take something. One that comes to hold much while there is no room gives up, so that
    /// slow clients cost themselves.
    pub(super) fn feed(
        &mut self,
        cookie: SockCookie,
        updates: &mut Vec<Update>,
        give: impl FnOnce(&mut Http1, &mut Vec<Update>),
    ) {
        let Some(parser) = self.all.get_mut(&cookie) else { return };
        let before = parser.held_bytes();
        give(parser, updates);
        let held = parser.held_bytes();
        if held > before && held > PARSER_BYTES_MIN && self.held > PARSERS_BYTES_MAX {
            parser.abandon(updates);
            self.given_up += 1;
        }
        self.held = self.held - before + parser.held_bytes();
    }

    /// Parsers that gave up because there was no room.
    pub(super) const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// What was not understood so far.
    pub(super) fn losses(&mut self) -> Losses {
        for parser in self.all.values_mut() {
            self.losses += parser.take_losses();
        }
        self.losses
    }
}
