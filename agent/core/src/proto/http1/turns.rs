//! Which answer belongs to which turn, for a direction that lost its place.
//!
//! Turns alternate: the kernel half begins one wherever bytes move after bytes of the other direction. So a turn that
//! begins without one of the other direction since the last tells of lost records, and an answer's first turn after a
//! request's is its own.

/// Counts the request direction's turns against the response direction's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// The request direction's turn.
    asked: u32,
    /// Turn of the latest request known to have begun.
    latest: u32,
    /// No turn of the response direction began since this one of the request direction did.
    unanswered: bool,
    /// The other way round.
    answered: bool,
}

impl Turns {
    /// The first request has begun.
    pub(super) const fn first() -> Self {
        Self { asked: 1, latest: 1, unanswered: true, answered: false }
    }

    /// The request direction's turn.
    pub(super) const fn asked(&self) -> u32 {
        self.asked
    }

    /// True once the turn that answers the request direction's turn began.
    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }

    /// True if a request of this turn was followed by requests of a later one.
    pub(super) const fn is_past(&self, turn: u32) -> bool {
        turn < self.latest
    }

    /// A turn of the request direction begins. False if none of the response direction did since the last.
    pub(super) const fn ask(&mut self) -> bool {
        self.asked += 1;
        self.unanswered = true;
        std::mem::replace(&mut self.answered, false)
    }

    /// A turn of the request direction may have begun unseen.
    pub(super) const fn ask_unseen(&mut self) {
        self.asked += 1;
        self.unanswered = true;
    }

    /// A request begins in the request direction's turn, or has begun unseen.
    pub(super) const fn begin_request(&mut self) {
        self.latest = self.asked;
    }

    /// A turn of the response direction begins. False if none of the request direction did since the last.
    pub(super) const fn answer(&mut self) -> bool {
        self.answered = true;
        std::mem::replace(&mut self.unanswered, false)
    }

    /// The turn that answers the request direction's turn may have begun unseen.
    pub(super) const fn answer_unseen(&mut self) {
        self.unanswered = false;
    }
}
