//! What Celery puts into a list: a JSON object whose `headers` have the task's name as their `id` (kombu/transport/virtual;
//! RFC 8259).

use super::push::{Took, UNNEEDED};
use super::uuid::Uuid;

/// Objects and arrays within one another. In deeper ones nothing more is read.
const DEPTH_MAX: u8 = 64;

/// The member that has the headers, and the one of these that has the name.
const HEADERS: &[u8] = b"headers";
const ID: &[u8] = b"id";

/// Reads one, byte by byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    place: Place,
    /// How many objects and arrays are open.
    depth: u8,
    /// Which of them are objects, the innermost in the lowest bit.
    objects: u64,
    /// What is read is the value of `headers`.
    in_headers: bool,
    /// The next byte of a string is escaped.
    escaped: bool,
    /// The member's name that is looked for, as far as it was read.
    key: Key,
    id: Uuid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing was read yet.
    #[default]
    Start,
    /// Before a value, or within a number or a word.
    Value,
    /// Before a member's name.
    Name,
    /// Within one.
    Key,
    /// Behind one.
    Colon,
    /// Within a string.
    Text,
    /// Within the string that is the task's name.
    Id,
    /// Behind a value.
    Behind,
    /// The name was told, or there is none.
    Over,
}

/// A member's name that is compared with one that is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    /// It is another one.
    #[default]
    Other,
    /// It may be; so many characters were the same.
    Same(u8),
}

impl Message {
    /// Takes the next byte.
    pub(super) fn take(&mut self, byte: u8) -> Took {
        let needed = Took { needed: true, task: None };
        match self.place {
            Place::Over => UNNEEDED,
            Place::Key => self.key(byte),
            Place::Text => self.text(byte),
            Place::Id => self.id(byte),
            _ if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => needed,
            Place::Start if byte != b'{' => self.over(),
            Place::Start | Place::Value if matches!(byte, b'{' | b'[') => self.open(byte == b'{'),
            Place::Value | Place::Behind if matches!(byte, b'}' | b']') => self.close(),
            Place::Name if byte == b'}' => self.close(),
            Place::Value | Place::Behind if byte == b',' => self.go(self.next()),
            Place::Value if byte == b'"' => self.begin_text(),
            // A number, or a word: which does not matter.
            Place::Value => UNNEEDED,
            Place::Name if byte == b'"' => {
                self.key = if self.wanted().is_some() { Key::Same(0) } else { Key::Other };
                self.escaped = false;
                self.go(Place::Key)
            }
            Place::Colon if byte == b':' => self.go(Place::Value),
            Place::Start | Place::Name | Place::Colon | Place::Behind => self.over(),
        }
    }

    /// The member's name that is looked for here.
    fn wanted(&self) -> Option<&'static [u8]> {
        match (self.depth, self.in_headers) {
            (1, _) => Some(HEADERS),
            (2, true) => Some(ID),
            _ => None,
        }
    }

    /// True if the member is the one that is looked for.
    fn is_wanted(&self) -> bool {
        let Key::Same(count) = self.key else { return false };
        self.wanted().is_some_and(|wanted| wanted.len() == usize::from(count))
    }

    fn open(&mut self, object: bool) -> Took {
        if self.depth == DEPTH_MAX {
            return self.over();
        }
        if self.depth == 1 {
            self.in_headers = object && self.is_wanted();
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        self.key = Key::Other;
        self.go(if object { Place::Name } else { Place::Value })
    }

    fn close(&mut self) -> Took {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.key = Key::Other;
        if self.depth == 0 {
            self.place = Place::Over;
            return Took { needed: true, task: None };
        }
        self.go(Place::Behind)
    }

    /// What comes behind a comma.
    const fn next(&self) -> Place {
        if self.objects & 1 == 1 { Place::Name } else { Place::Value }
    }

    fn begin_text(&mut self) -> Took {
        self.escaped = false;
        self.id = Uuid::default();
        let named = self.depth == 2 && self.in_headers && self.is_wanted();
        self.go(if named { Place::Id } else { Place::Text })
    }

    fn key(&mut self, byte: u8) -> Took {
        if byte == b'"' && !self.escaped {
            return self.go(Place::Colon);
        }
        let same = match (self.key, self.wanted()) {
            (Key::Same(count), Some(wanted)) if wanted.get(usize::from(count)) == Some(&byte) => Key::Same(count + 1),
            _ => Key::Other,
        };
        self.key = same;
        self.escape(byte);
        Took { needed: same != Key::Other || byte == b'\\' || byte == b'"', task: None }
    }

    fn text(&mut self, byte: u8) -> Took {
        if byte == b'"' && !self.escaped {
            return self.go(Place::Behind);
        }
        self.escape(byte);
        Took { needed: matches!(byte, b'\\' | b'"'), task: None }
    }

    fn id(&mut self, byte: u8) -> Took {
        if byte == b'"' {
            let task = self.id.whole();
            self.place = Place::Over;
            return Took { needed: true, task };
        }
        if !self.id.take(byte) {
            return self.over();
        }
        Took { needed: true, task: None }
    }

    /// A backslash escapes the next byte: only whether that is a quotation mark matters.
    const fn escape(&mut self, byte: u8) {
        self.escaped = byte == b'\\' && !self.escaped;
    }

    const fn go(&mut self, place: Place) -> Took {
        self.place = place;
        Took { needed: true, task: None }
    }

    const fn over(&mut self) -> Took {
        self.place = Place::Over;
        UNNEEDED
    }
}
