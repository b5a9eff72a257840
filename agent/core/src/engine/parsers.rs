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

    /// The parser of a connection, if it has one.
    pub(super) fn get(&mut self, cookie: SockCookie) -> Option<Parser<'_>> {
        let Self { all, held, given_up, .. } = self;
        all.get_mut(&cookie).map(|parser| Parser { parser, held, given_up })
    }

    /// True if exchanges of a connection may yet be told.
    pub(super) fn says_more(&self, cookie: SockCookie) -> bool {
        self.all.get(&cookie).is_some_and(|parser| !parser.is_over() && parser.verdict() != Verdict::Undecided)
    }

    /// Lets the parser of a connection take something, if it has one.
    pub(super) fn feed(
        &mut self,
        cookie: SockCookie,
        updates: &mut Vec<Update>,
        give: impl FnOnce(&mut Http1, &mut Vec<Update>),
    ) {
        if let Some(mut parser) = self.get(cookie) {
            parser.feed(updates, give);
        }
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

/// The parser of one connection, and what it counts for.
pub(super) struct Parser<'a> {
    parser: &'a mut Http1,
    held: &'a mut usize,
    given_up: &'a mut u64,
}

impl Parser<'_> {
    /// What the connection speaks.
    pub(super) fn verdict(&self) -> Verdict {
        self.parser.verdict()
    }

    /// Lets it take something. One that comes to hold much while there is no room gives up, so that slow clients cost
    /// themselves.
    pub(super) fn feed(&mut self, updates: &mut Vec<Update>, give: impl FnOnce(&mut Http1, &mut Vec<Update>)) {
        let before = self.parser.held_bytes();
        give(self.parser, updates);
        let held = self.parser.held_bytes();
        if held > before && held > PARSER_BYTES_MIN && *self.held > PARSERS_BYTES_MAX {
            self.parser.abandon(updates);
            *self.given_up += 1;
        }
        *self.held = *self.held - before + self.parser.held_bytes();
    }
}
