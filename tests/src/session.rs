//! One kept-alive HTTP/1.1 connection, driven one request at a time by a client that knows the truth.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::clock;
use crate::target::{Stream, Target};
use crate::truth::{Event, Sighting};

/// The longest answer read, head and body.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What a `traceparent` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireContext {
    /// Trace id.
    pub trace_id: String,
    /// Span id of the sender.
    pub span_id: String,
}

impl WireContext {
    /// Ids that no other request of this run has.
    #[must_use]
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let run = clock::now_ns() ^ (u64::from(std::process::id()) << 40);
        Self { trace_id: format!("{run:016x}{number:016x}"), span_id: format!("{:016x}", number | (1 << 63)) }
    }

    /// The header field's value.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// A request that was sent and answered.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The driver's word on the exchange.
    pub sighting: Sighting,
    /// The context it carried.
    pub context: Option<WireContext>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the answer's body.
    pub body_bytes: usize,
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Session {
    target: Target,
    stream: Stream,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(target: &Target) -> Result<Self> {
        Ok(Self { target: target.clone(), stream: target.connect()? })
    }

    /// Sends one GET with the truth's id, and reads the answer whole.
    ///
    /// # Errors
    /// The connection fails, or the answer is none with a length.
    pub fn get(&mut self, path: &str, id: &str, context: Option<WireContext>) -> Result<Sent> {
        let host = match &self.target {
            Target::Tcp(address) => address.to_string(),
            Target::Unix(_) => "localhost".to_owned(),
        };
        let mut head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-truth: {id}\r\n");
        if let Some(context) = &context {
            head += &format!("traceparent: {}\r\n", context.traceparent());
        }
        head += "\r\n";
        let (local, peer) = self.stream.ends()?;
        let from_ns = clock::now_ns();
        self.stream.write_all(head.as_bytes())?;
        let (status, body) = read_answer(&mut self.stream).with_context(|| format!("the answer to {id}"))?;
        let to_ns = clock::now_ns();
        let pid = std::process::id();
        let sighting = Sighting { event: Event::Out, id: id.to_owned(), pid, local, peer, from_ns, to_ns };
        Ok(Sent { sighting, context, status, body_bytes: body.len() })
    }
}

/// Reads one answer that has a length; gives its status and body.
///
/// # Errors
/// The connection fails or ends early, or the answer is malformed, has no length or is too long.
pub fn read_answer(stream: &mut impl Read) -> Result<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 65_536];
    let (status, head_bytes, length) = loop {
        if let Some(head) = parse_head(&bytes)? {
            break head;
        }
        extend(stream, &mut bytes, &mut chunk)?;
    };
    while bytes.len() < head_bytes + length {
        extend(stream, &mut bytes, &mut chunk)?;
    }
    ensure!(bytes.len() == head_bytes + length, "{} bytes behind the answer", bytes.len() - head_bytes - length);
    Ok((status, bytes.split_off(head_bytes)))
}

fn extend(stream: &mut impl Read, bytes: &mut Vec<u8>, chunk: &mut [u8]) -> Result<()> {
    let count = stream.read(chunk)?;
    ensure!(count > 0, "the connection ended after {} bytes", bytes.len());
    ensure!(bytes.len() + count <= ANSWER_BYTES_MAX, "an answer of more than {ANSWER_BYTES_MAX} bytes");
    bytes.extend_from_slice(&chunk[..count]);
    Ok(())
}

/// Status, length of the head, length of the body; none if the head is not whole yet.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let status = answer.code.context("a status")?;
    for field in &*answer.headers {
        if field.name.eq_ignore_ascii_case("content-length") {
            return Ok(Some((status, head_bytes, std::str::from_utf8(field.value)?.parse()?)));
        }
    }
    bail!("an answer of status {status} without a length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_at_their_length() {
        let mut stream: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(read_answer(&mut stream).expect("an answer"), (404, b"abc".to_vec()));
        let mut short: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc";
        assert!(read_answer(&mut short).is_err());
    }

    #[test]
    fn contexts_are_fresh_and_well_formed() {
        let (first, second) = (WireContext::fresh(), WireContext::fresh());
        assert_ne!(first.trace_id, second.trace_id);
        assert_ne!(first.span_id, second.span_id);
        assert_eq!(first.traceparent().len(), 55);
    }
}
