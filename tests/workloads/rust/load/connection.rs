//! One kept-alive connection: a request out, an answer of known length back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// What a plain client sends.
const REQUEST: &[u8] = b"GET /item/42 HTTP/1.1\r\nhost: bench.test\r\nuser-agent: load/1\r\naccept: */*\r\n\r\n";
/// Answers, heads included, are shorter than this.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    asked: bool,
    /// Bytes of the answer so far.
    got: usize,
    /// Bytes of an answer: as many as the first one had. 0 until its head is whole.
    whole: usize,
    /// The first answer's bytes, until its head is whole.
    first: Vec<u8>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// More of it is to come.
    Partial,
    /// It is there, and is 200.
    Whole,
    /// It is another one, longer or shorter than the first, or the connection is over.
    Wrong,
}

impl Connection {
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, asked: false, got: 0, whole: 0, first: Vec::new() })
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self) -> io::Result<()> {
        if self.stream.write(REQUEST)? != REQUEST.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        self.got = 0;
        self.asked = true;
        Ok(())
    }

    /// Whether a request is unanswered.
    pub(crate) const fn is_asked(&self) -> bool {
        self.asked
    }

    /// Reads what is there, with one call.
    pub(crate) fn read(&mut self) -> Answer {
        let mut buffer = [0; 16 << 10];
        let read = match self.stream.read(&mut buffer) {
            Ok(0) => return Answer::Wrong,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Answer::Partial;
            }
            Err(_) => return Answer::Wrong,
        };
        let answer = self.take(&buffer[..read]);
        self.asked &= answer != Answer::Whole;
        answer
    }

    fn take(&mut self, bytes: &[u8]) -> Answer {
        if !self.asked || (self.got == 0 && self.whole > 0 && !bytes.starts_with(b"HTTP/1.1 200")) {
            return Answer::Wrong;
        }
        self.got += bytes.len();
        if self.whole == 0 {
            self.first.extend_from_slice(bytes);
            match length(&self.first) {
                Ok(Some(length)) => self.whole = length,
                Ok(None) if self.first.len() < ANSWER_BYTES_MAX => return Answer::Partial,
                _ => return Answer::Wrong,
            }
            self.first = Vec::new();
        }
        match self.got.cmp(&self.whole) {
            std::cmp::Ordering::Less => Answer::Partial,
            std::cmp::Ordering::Equal => Answer::Whole,
            std::cmp::Ordering::Greater => Answer::Wrong,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Bytes of an answer that is 200 and says its length; none while its head is not whole.
fn length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = answer.parse(bytes).map_err(|_| ())? else {
        return Ok(None);
    };
    let field = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length")).ok_or(())?;
    let body: usize = str::from_utf8(field.value).ok().and_then(|text| text.trim().parse().ok()).ok_or(())?;
    if answer.code == Some(200) && head + body <= ANSWER_BYTES_MAX { Ok(Some(head + body)) } else { Err(()) }
}
