//! Which turn answers which, where records may be lost.
//!
//! Turns alternate: the kernel half begins one wherever bytes move after bytes of the other direction, and numbers the
//! turns of each direction. So the number of one direction's turn says how many of the other one began before it, seen
//! or not, once it is known which direction spoke first.

use crate::decode::Direction;

/// Number of a turn, or the difference of two.
pub(super) type Turn = i64;

/// Which turns were seen, and how far the two directions' numbers lie apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Latest turn of each direction of which a record was seen.
    seen: [Turn; 2],
    /// When a turn n of the sending direction begins, n plus at least and at most so many of the receiving one have:
    /// -1 if this end spoke first, 0 if the other one did.
    ahead: (Turn, Turn),
}

impl Order {
    /// Nothing was seen yet, and who spoke first is not known.
    pub(super) const fn unknown() -> Self {
        Self { seen: [0; 2], ahead: (-1, 0) }
    }

    /// The direction's first turn is the connection's first one.
    pub(super) const fn begins_with(&mut self, direction: Direction) {
        self.ahead = match direction {
            Direction::Send => (-1, -1),
            Direction::Recv => (0, 0),
        };
    }

    /// True if of this direction no turn was seen.
    pub(super) const fn is_unseen(&self, direction: Direction) -> bool {
        self.seen[direction as usize] == 0
    }

    /// True if of this direction no turn but the first one was seen.
    pub(super) const fn is_in_first_turn(&self, direction: Direction) -> bool {
        self.seen[direction as usize] == 1
    }

    /// A record of this turn is seen. If more turns of the other direction were seen than are thought to have begun,
    /// the thought was wrong (two threads may race for one connection's count). A `late` one, of a time before that of the
    /// other direction's latest, tells nothing of their order.
    pub(super) fn see(&mut self, direction: Direction, turn: u32, late: bool) {
        let turn = Turn::from(turn);
        if turn <= self.seen[direction as usize] {
            return;
        }
        self.seen[direction as usize] = turn;
        if late {
            return;
        }
        let other = self.seen[direction.opposite() as usize];
        let (least, most) = self.ahead;
        self.ahead = match direction {
            Direction::Send => {
                let least = least.max(other - turn);
                (least, most.max(least))
            }
            Direction::Recv => {
                let most = most.min(turn - other - 1);
                (least.min(most), most)
            }
        };
    }

    /// How many turns of the other direction have begun before this one does, at most.
    pub(super) const fn begun_before(&self, direction: Direction, turn: u32) -> Turn {
        turn as Turn
            + match direction {
                Direction::Send => self.ahead.1,
                Direction::Recv => -1 - self.ahead.0,
            }
    }

    /// True if a turn of the other direction may have come just before this one without a record.
    pub(super) const fn may_miss_before(&self, direction: Direction, turn: u32) -> bool {
        self.seen[direction.opposite() as usize] < self.begun_before(direction, turn)
    }
}

/// The request direction's turns against the response direction's, once it is known which is which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    order: Order,
    /// The request direction.
    asks: Direction,
    /// The request direction's latest turn known to have begun, seen or not.
    asked: Turn,
    /// Turn of the latest request known to have begun.
    latest: Turn,
    /// The turn of the request direction that the response direction's latest seen beginning comes after.
    answered: Turn,
}

impl Turns {
    /// The first request begins in this turn.
    pub(super) const fn first(order: Order, asks: Direction, turn: u32) -> Self {
        let turn = turn as Turn;
        Self { order, asks, asked: turn, latest: turn, answered: 0 }
    }

    /// The request direction's turn.
    pub(super) const fn asked(&self) -> Turn {
        self.asked
    }

    /// True if the response direction was seen to begin a turn after this one of the request direction.
    pub(super) const fn is_answered(&self, turn: Turn) -> bool {
        turn <= self.answered
    }

    /// True if a request of this turn was followed by requests of a later one.
    pub(super) const fn is_past(&self, turn: Turn) -> bool {
        turn < self.latest
    }

    /// A record of the request direction. True if an answer to the turn before may have vanished without a record.
    pub(super) fn ask(&mut self, turn: u32, late: bool) -> bool {
        self.order.see(self.asks, turn, late);
        self.asked = self.asked.max(Turn::from(turn));
        self.order.may_miss_before(self.asks, turn)
    }

    /// Turns of the request direction up to this one began unseen. True as for [`Self::ask`].
    pub(super) fn ask_unseen(&mut self, turn: u32) -> bool {
        let news = Turn::from(turn) > self.asked;
        self.asked = self.asked.max(Turn::from(turn));
        news && self.order.may_miss_before(self.asks, turn)
    }

    /// A request begins in the request direction's turn, or has begun unseen.
    pub(super) const fn begin_request(&mut self) {
        self.latest = self.asked;
    }

    /// A turn of the response direction begins. False if the turn before it of the request direction had no record.
    pub(super) fn answer(&mut self, turn: u32, late: bool) -> bool {
        self.hear(turn, late);
        self.answered = self.order.begun_before(self.asks.opposite(), turn);
        self.answer_unseen(turn)
    }

    /// A record of the response direction.
    pub(super) fn hear(&mut self, turn: u32, late: bool) {
        self.order.see(self.asks.opposite(), turn, late);
    }

    /// Turns of the response direction up to this one began, seen or not. False as for [`Self::answer`].
    pub(super) fn answer_unseen(&mut self, turn: u32) -> bool {
        let begun = self.order.begun_before(self.asks.opposite(), turn);
        let told = begun <= self.asked;
        self.asked = self.asked.max(begun);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Recv, Send};

    fn after(records: &[(Direction, u32)]) -> Order {
        let mut order = Order::unknown();
        records.iter().for_each(|(direction, turn)| order.see(*direction, *turn, false));
        order
    }

    #[test]
    fn who_spoke_first_is_learned_from_one_turn_before_another() {
        assert_eq!(after(&[(Send, 4), (Recv, 4)]).begun_before(Recv, 9), 9);
        assert_eq!(after(&[(Send, 4), (Recv, 4)]).begun_before(Send, 9), 8);
        assert_eq!(after(&[(Recv, 4), (Send, 4)]).begun_before(Recv, 9), 8);
        assert_eq!(after(&[(Recv, 4), (Send, 4)]).begun_before(Send, 9), 9);
    }

    #[test]
    fn as_long_as_that_is_not_known_a_turn_may_be_missing() {
        let order = after(&[(Recv, 3)]);
        assert!(order.may_miss_before(Send, 4));
        assert!(!order.may_miss_before(Send, 3));
        assert!(!after(&[(Send, 3), (Recv, 3)]).may_miss_before(Send, 4));
        assert!(after(&[(Send, 3), (Recv, 3)]).may_miss_before(Send, 5));
    }

    #[test]
    fn numbers_that_two_threads_raised_at_once_are_learned_anew() {
        let mut order = after(&[(Send, 1), (Recv, 1), (Send, 2), (Recv, 3), (Send, 3)]);
        assert!(!order.may_miss_before(Send, 3));
        order.see(Recv, 4, false);
        assert_eq!(order.begun_before(Recv, 4), 3);
    }

    #[test]
    fn a_record_of_an_earlier_time_teaches_no_order() {
        let mut order = after(&[(Recv, 2)]);
        order.see(Send, 2, true);
        assert_eq!((order.begun_before(Recv, 3), order.begun_before(Send, 3)), (3, 3), "still either");
    }

    #[test]
    fn a_late_record_of_an_earlier_turn_tells_nothing() {
        let mut order = after(&[(Send, 1), (Recv, 1)]);
        order.see(Send, 1, false);
        assert_eq!(order.begun_before(Recv, 2), 2);
    }
}
