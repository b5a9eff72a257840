//! Commands to Redis, as far as they put something into a list: `*3`, and then `$5` `LPUSH`, the list's key and what is put
//! there, each behind its length (RESP, <https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use super::MASK;
use super::message::Message;
use crate::ids::TaskId;

/// Digits of a length or a count: more than Redis takes of either.
const DIGITS_MAX: u8 = 10;

/// The commands that put something at either end of a list.
const VERBS: [&[u8; VERB_BYTES as usize]; 2] = [b"LPUSH", b"RPUSH"];
const VERB_BYTES: u64 = 5;

/// What a client sends in one turn, read byte by byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pushes {
    place: Place,
    /// Arguments of the command that are still to come, that which is being read among them.
    left: u64,
    /// How many there were before that.
    before: u64,
    verbs: Verbs,
    message: Message,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Between commands.
    #[default]
    Between,
    /// Within how many arguments there are.
    Count(Number),
    /// Before an argument's length.
    Dollar,
    /// Within that.
    Length(Number),
    /// Within an argument: bytes of it and of its line end that are still to come.
    Argument(u64),
    /// Among what is not read.
    Lost,
}

/// A number with its line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Number {
    value: u64,
    digits: u8,
    /// Its carriage return was there.
    over: bool,
}

/// Which of [`VERBS`] a command may be, by what is read of it.
#[derive(Clone, Copy, Debug, Default)]
struct Verbs([bool; VERBS.len()]);

/// What became of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// It says something: without it others would be read.
    pub needed: bool,
    /// A task was put: this was the last byte of its name.
    pub task: Option<TaskId>,
}

const NEEDED: Took = Took { needed: true, task: None };
pub(super) const UNNEEDED: Took = Took { needed: false, task: None };

impl Pushes {
    /// Takes the next byte of a turn.
    pub fn take(&mut self, byte: u8) -> Took {
        match self.place {
            Place::Between if byte == b'*' => self.go(Place::Count(Number::default())),
            Place::Dollar if byte == b'$' => self.go(Place::Length(Number::default())),
            Place::Count(mut number) => match number.take(byte) {
                None => self.go(Place::Count(number)),
                Some(Ok(count)) => {
                    (self.left, self.before) = (count, 0);
                    self.go(if count == 0 { Place::Between } else { Place::Dollar })
                }
                Some(Err(NoNumber)) => self.lost(),
            },
            Place::Length(mut number) => match number.take(byte) {
                None => self.go(Place::Length(number)),
                Some(Ok(length)) => {
                    self.begin_argument(length);
                    self.go(Place::Argument(length.saturating_add(2)))
                }
                Some(Err(NoNumber)) => self.lost(),
            },
            Place::Argument(left) => self.argument(byte, left),
            Place::Between | Place::Dollar => self.lost(),
            Place::Lost => UNNEEDED,
        }
    }

    /// Takes the next bytes, and masks those that say nothing.
    pub fn mask(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if !self.take(*byte).needed {
                *byte = MASK;
            }
        }
    }

    /// Bytes are missing: nothing is read before the next turn, which begins with another one of these.
    pub const fn lose(&mut self) {
        self.place = Place::Lost;
    }

    /// True if a command is over, and none begun.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.place == Place::Between
    }

    /// True within what is put into a list.
    #[must_use]
    pub fn is_putting(&self) -> bool {
        self.before > 1 && self.verbs.are() && matches!(self.place, Place::Argument(_))
    }

    fn begin_argument(&mut self, length: u64) {
        if self.before == 0 {
            self.verbs = Verbs([length == VERB_BYTES; VERBS.len()]);
        }
        self.message = Message::default();
    }

    /// A byte of an argument, or of its line end.
    fn argument(&mut self, byte: u8, left: u64) -> Took {
        if left > 2 {
            self.place = Place::Argument(left - 1);
            return match self.before {
                0 => self.verbs.take(byte, VERB_BYTES.saturating_sub(left - 2)),
                // The key of the list.
                1 => UNNEEDED,
                _ if self.verbs.are() => self.message.take(byte),
                _ => UNNEEDED,
            };
        }
        if byte != [b'\n', b'\r'][usize::from(left == 2)] {
            return self.lost();
        }
        if left == 2 {
            return self.go(Place::Argument(1));
        }
        self.left -= 1;
        self.before += 1;
        self.go(if self.left == 0 { Place::Between } else { Place::Dollar })
    }

    const fn go(&mut self, place: Place) -> Took {
        self.place = place;
        NEEDED
    }

    const fn lost(&mut self) -> Took {
        self.place = Place::Lost;
        UNNEEDED
    }
}

/// A number that is none, or too long.
struct NoNumber;

impl Number {
    /// Takes the next byte; tells the number with the last one.
    fn take(&mut self, byte: u8) -> Option<Result<u64, NoNumber>> {
        match byte {
            b'0'..=b'9' if !self.over && self.digits < DIGITS_MAX => {
                self.value = self.value * 10 + u64::from(byte - b'0');
                self.digits += 1;
                None
            }
            b'\r' if !self.over && self.digits > 0 => {
                self.over = true;
                None
            }
            b'\n' if self.over => Some(Ok(self.value)),
            _ => Some(Err(NoNumber)),
        }
    }
}

impl Verbs {
    /// Takes the byte of a command's name at a place. It says something as long as it may be one of these.
    fn take(&mut self, byte: u8, place: u64) -> Took {
        for (may_be, verb) in self.0.iter_mut().zip(VERBS) {
            let same = usize::try_from(place).is_ok_and(|place| verb.get(place) == Some(&byte.to_ascii_uppercase()));
            *may_be &= same;
        }
        Took { needed: self.are(), task: None }
    }

    /// True if it is one of these.
    fn are(self) -> bool {
        self.0.contains(&true)
    }
}
