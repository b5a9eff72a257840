//! One direction of a connection, byte by byte: no byte that has to be masked is ever waited for.

use super::fields;

const MASK: u8 = b'x';

/// How a response begins (RFC 9112, section 4).
const RESPONSE: &[u8] = b"HTTP/1.";

/// Bytes of a first word that a method or `HTTP/1.x` may have. A longer one begins no message.
const WORD_BYTES_MAX: usize = 32;

/// Bytes of a field's name that stay.
const NAME_BYTES_MAX: usize = 64;

/// Where a direction is.
#[derive(Debug, Default)]
pub(super) struct Direction {
    place: Place,
    framing: Framing,
    /// It is one of responses.
    responds: bool,
    /// The first word, or the name of a field in lower case.
    word: Vec<u8>,
    /// What follows the version in a status line, or a kept value, in lower case.
    value: Vec<u8>,
    /// Status of the response.
    status: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing is known before the next turn.
    #[default]
    Lost,
    /// Before a start line, or within its first word.
    Word,
    /// The first byte of a target.
    Target,
    /// Within `http://`, with so many slashes to come.
    Scheme(u8),
    /// Within the authority of a URL, which may name a user.
    Authority,
    /// Within a target that is `host:port` (RFC 9110, section 9.3.6).
    Tunnel,
    /// Within the path of a target, or its authority.
    Path,
    /// Behind a `?` or `#`.
    Query,
    /// Behind the target, or within a status line.
    Line,
    /// At the beginning of a line of the head, or within a name.
    Name,
    /// Within a value that stays, or does not.
    Value { kept: bool },
    /// Within a body of so many bytes more.
    Body(u64),
    /// Within a line that tells a chunk's size; its extension does not stay.
    Size { size: u64, digits: bool },
    /// Within a chunk of so many bytes more, with its line end.
    Chunk(u64),
    /// Within the lines behind the last chunk; an empty one ends the message.
    Trailer { empty: bool },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// No body, if this is a request.
    #[default]
    None,
    Length(u64),
    Chunked,
    Unknown,
}

impl Direction {
    /// A turn begins with these bytes. A body may go on over many turns (`100 Continue`): then nothing begins, unless an
    /// answer does. It was one to HEAD before.
    pub(super) fn begin(&mut self, bytes: &[u8]) {
        let within =
            matches!(self.place, Place::Body(_) | Place::Size { .. } | Place::Chunk(_) | Place::Trailer { .. });
        if !within || (self.responds && bytes.starts_with(RESPONSE)) {
            self.start();
        }
    }

    /// Bytes are missing.
    pub(super) fn lose(&mut self) {
        self.place = Place::Lost;
    }

    /// Bytes that moved and were not captured.
    pub(super) fn skip(&mut self, count: u64) {
        if count > 0 {
            match self.place {
                Place::Body(left) if left >= count => self.place = Place::Body(left - count),
                Place::Chunk(left) if left > count => self.place = Place::Chunk(left - count),
                _ => self.place = Place::Lost,
            }
            self.over();
        }
    }

    /// Masks the next bytes.
    pub(super) fn mask(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if !self.keeps(*byte) {
                *byte = MASK;
            }
        }
    }

    fn start(&mut self) {
        self.place = Place::Word;
        self.framing = Framing::None;
        self.responds = false;
        self.word.clear();
        self.value.clear();
    }

    /// Begins the next message where a body is over.
    fn over(&mut self) {
        if self.place == Place::Body(0) {
            self.start();
        }
    }

    /// Takes one byte. True if it stays.
    fn keeps(&mut self, byte: u8) -> bool {
        match self.place {
            Place::Lost => false,
            Place::Word => self.word(byte),
            Place::Target => self.target(byte),
            Place::Path => self.path(byte),
            Place::Query => self.query(byte),
            Place::Scheme(slashes) => self.scheme(byte, slashes),
            Place::Authority => self.authority(byte),
            Place::Tunnel => self.path(byte),
            Place::Line => self.line(byte),
            Place::Name => self.name(byte),
            Place::Value { kept } => self.value(byte, kept),
            Place::Body(left) => {
                self.place = Place::Body(left.saturating_sub(1));
                self.over();
                false
            }
            Place::Size { size, digits } => self.size(byte, size, digits),
            Place::Chunk(left) => {
                let kept = left <= 2 && matches!(byte, b'\r' | b'\n');
                self.chunk(byte, left);
                kept
            }
            Place::Trailer { empty } => self.trailer(byte, empty),
        }
    }

    /// A method in capitals, or a version. Methods may be any token, but a first word that looks like none of those in
    /// use may be a password.
    fn word(&mut self, byte: u8) -> bool {
        match byte {
            b'\r' | b'\n' if self.word.is_empty() => true,
            b' ' if self.word.starts_with(RESPONSE) => {
                self.responds = true;
                self.value.clear();
                self.go(Place::Line)
            }
            b' ' if !self.word.is_empty() && !self.word.contains(&b'/') => self.go(Place::Target),
            b'A'..=b'Z' | b'-' if self.word.len() < WORD_BYTES_MAX => self.spell(byte),
            b'/' if self.word == b"HTTP" => self.spell(byte),
            b'0'..=b'9' | b'.' if self.word.starts_with(b"HTTP/") && self.word.len() <= RESPONSE.len() => {
                self.spell(byte)
            }
            _ => self.give_up(),
        }
    }

    fn spell(&mut self, byte: u8) -> bool {
        self.word.push(byte);
        true
    }

    /// A target is a path, a URL, `*` or `host:port`; what is none begins no request, and may be a password.
    fn target(&mut self, byte: u8) -> bool {
        match byte {
            b' ' => true,
            b'/' => self.go(Place::Path),
            _ if self.word == b"CONNECT" => self.go(Place::Tunnel),
            b'*' if self.word == b"OPTIONS" => self.go(Place::Path),
            b'h' => self.go(Place::Scheme(2)),
            _ => self.give_up(),
        }
    }

    fn scheme(&mut self, byte: u8, slashes: u8) -> bool {
        match byte {
            b't' | b'p' | b's' | b':' if slashes == 2 => true,
            b'/' if slashes == 1 => self.go(Place::Authority),
            b'/' => self.go(Place::Scheme(1)),
            _ => self.give_up(),
        }
    }

    fn authority(&mut self, byte: u8) -> bool {
        match byte {
            b'/' | b' ' | b'?' | b'#' => {
                self.place = Place::Path;
                self.path(byte)
            }
            _ if byte.is_ascii_graphic() => false,
            _ => self.give_up(),
        }
    }

    fn path(&mut self, byte: u8) -> bool {
        match byte {
            b' ' => self.go(Place::Line),
            b'?' | b'#' => self.go(Place::Query),
            b'\r' | b'\n' => self.give_up(),
            _ => true,
        }
    }

    fn query(&mut self, byte: u8) -> bool {
        match byte {
            b' ' => self.go(Place::Line),
            b'\r' | b'\n' => self.give_up(),
            _ => false,
        }
    }

    /// Behind a target, or within a status line: a version, or a status and its reason.
    fn line(&mut self, byte: u8) -> bool {
        if byte == b'\n' {
            if self.responds {
                let status = self.value.get(..3).and_then(|digits| str::from_utf8(digits).ok());
                self.status = status.and_then(|digits| digits.parse().ok()).unwrap_or_default();
                // A response without framing ends with its turn or its connection.
                self.framing = Framing::Unknown;
            }
            self.word.clear();
            return self.go(Place::Name);
        }
        if self.value.len() < WORD_BYTES_MAX {
            self.value.push(byte);
        }
        self.value.len() < WORD_BYTES_MAX
    }

    fn name(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' if self.word.is_empty() => {
                self.body();
                true
            }
            b'\n' => {
                self.word.clear();
                true
            }
            b'\r' => true,
            b':' => {
                let kept = fields::is_kept(self.word.trim_ascii());
                self.value.clear();
                self.go(Place::Value { kept })
            }
            // A folded line goes on with a value that is not known here.
            b' ' | b'\t' if self.word.is_empty() => self.go(Place::Value { kept: false }),
            _ if self.word.len() <= NAME_BYTES_MAX => self.spell(byte.to_ascii_lowercase()),
            _ => false,
        }
    }

    fn value(&mut self, byte: u8, kept: bool) -> bool {
        match byte {
            b'\n' => {
                self.frame();
                self.word.clear();
                self.go(Place::Name)
            }
            b'\r' | b' ' | b'\t' => true,
            _ if kept => {
                if self.value.len() < WORD_BYTES_MAX {
                    self.value.push(byte.to_ascii_lowercase());
                }
                true
            }
            _ => false,
        }
    }

    /// A field ended: it may frame the body.
    fn frame(&mut self) {
        match self.word.trim_ascii() {
            b"transfer-encoding" if self.value.ends_with(b"chunked") => self.framing = Framing::Chunked,
            b"content-length" if self.framing != Framing::Chunked => {
                let length = str::from_utf8(&self.value).ok().and_then(|text| text.parse().ok());
                self.framing = length.map_or(Framing::Unknown, Framing::Length);
            }
            _ => {}
        }
    }

    /// The head is over.
    fn body(&mut self) {
        match self.framing {
            // No body, whatever the head says (RFC 9110, sections 15.2, 15.3.5 and 15.4.5). What follows a 101 is not HTTP.
            _ if self.responds && matches!(self.status, 100 | 102..=199 | 204 | 304) => self.start(),
            _ if self.responds && self.status == 101 => self.lose(),
            Framing::None => self.start(),
            Framing::Length(length) => {
                self.place = Place::Body(length);
                self.over();
            }
            Framing::Chunked => self.place = Place::Size { size: 0, digits: true },
            Framing::Unknown => self.lose(),
        }
    }

    fn size(&mut self, byte: u8, size: u64, digits: bool) -> bool {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) if digits => {
                let size = size.saturating_mul(16).saturating_add(digit.into());
                self.go(Place::Size { size, digits })
            }
            (_, b'\n') if size == 0 => self.go(Place::Trailer { empty: true }),
            (_, b'\n') => self.go(Place::Chunk(size.saturating_add(2))),
            (_, b'\r' | b' ' | b'\t' | b';') => self.go(Place::Size { size, digits: byte != b';' && digits }),
            _ => {
                self.place = Place::Size { size, digits: false };
                false
            }
        }
    }

    fn trailer(&mut self, byte: u8, empty: bool) -> bool {
        match byte {
            b'\r' => true,
            b'\n' if empty => {
                self.start();
                true
            }
            b'\n' => self.go(Place::Trailer { empty: true }),
            _ => {
                self.place = Place::Trailer { empty: false };
                false
            }
        }
    }

    fn chunk(&mut self, byte: u8, left: u64) {
        self.place = match left {
            // A bare line feed ends a chunk too.
            2 if byte == b'\n' => Place::Size { size: 0, digits: true },
            0 | 1 => Place::Size { size: 0, digits: true },
            _ => Place::Chunk(left - 1),
        };
    }

    /// This is no HTTP; the byte does not stay.
    fn give_up(&mut self) -> bool {
        self.lose();
        false
    }

    /// Goes on elsewhere; the byte stays.
    const fn go(&mut self, place: Place) -> bool {
        self.place = place;
        true
    }
}
