//! One kept-alive HTTP/1.1 connection, driven one request at a time by a client that knows the truth. Where the server
//! closes after an answer, and says so, the next request takes a new one.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};

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
    over: bool,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(target: &Target) -> Result<Self> {
        Ok(Self { target: target.clone(), stream: target.connect()?, over: false })
    }

    /// Sends one GET with the truth's id, and reads the answer whole.
    ///
    /// # Errors
    /// The connection fails, or the answer has neither length nor chunks.
    pub fn get(&mut self, path: &str, id: &str, context: Option<WireContext>) -> Result<Sent> {
        let request = self.head(path, id, context.as_ref());
        self.exchange(request.as_bytes(), id, context, answered)
    }

    /// Sends a request as it stands, without the truth's id, which is for whoever judges; and reads the answer whole.
    ///
    /// # Errors
    /// The connection fails, or the answer has neither length nor chunks.
    pub fn send(&mut self, request: &[u8], id: &str) -> Result<Sent> {
        self.exchange(request, id, None, answered)
    }

    /// Sends one GET with the truth's id, reads the answer's head and the beginning of its body, and leaves.
    ///
    /// # Errors
    /// The connection fails, or the answer is none.
    pub fn get_and_leave(&mut self, path: &str, id: &str) -> Result<Sent> {
        let request = self.head(path, id, None);
        let sent = self.exchange(request.as_bytes(), id, None, |stream| {
            let (status, body_bytes) = read_beginning(stream)?;
            Ok((status, body_bytes, true))
        })?;
        // Now, and not when the next one takes another connection.
        self.stream.shutdown()?;
        Ok(sent)
    }

    /// Sends GETs with the truth's ids in one write, and reads their answers.
    ///
    /// # Errors
    /// The connection fails, or an answer has neither length nor chunks.
    pub fn pipeline(&mut self, path: &str, ids: &[String]) -> Result<Vec<Sent>> {
        let heads: String = ids.iter().map(|id| self.head(path, id, None)).collect();
        let (local, peer) = self.stream.ends()?;
        let from_ns = clock::now_ns();
        self.stream.write_all(heads.as_bytes())?;
        let mut rest = Vec::new();
        let mut sent = Vec::new();
        for id in ids {
            let (head, body) = read_next(&mut self.stream, &mut rest).with_context(|| format!("the answer to {id}"))?;
            let sighting = Sighting {
                event: Event::Out,
                id: id.clone(),
                pid: std::process::id(),
                local: local.clone(),
                peer: peer.clone(),
                from_ns,
                to_ns: clock::now_ns(),
            };
            sent.push(Sent { sighting, context: None, status: head.status, body_bytes: body.len() });
        }
        ensure!(rest.is_empty(), "{} bytes behind the answers", rest.len());
        Ok(sent)
    }

    fn head(&self, path: &str, id: &str, context: Option<&WireContext>) -> String {
        let host = match &self.target {
            Target::Tcp(address) => address.to_string(),
            Target::Unix(_) => "localhost".to_owned(),
        };
        let context = context.map(|context| format!("traceparent: {}\r\n", context.traceparent())).unwrap_or_default();
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-truth: {id}\r\n{context}\r\n")
    }

    /// `read` gives the status, the bytes of the body, and whether the connection is over.
    fn exchange(
        &mut self,
        request: &[u8],
        id: &str,
        context: Option<WireContext>,
        read: impl FnOnce(&mut Stream) -> Result<(u16, usize, bool)>,
    ) -> Result<Sent> {
        if self.over {
            self.stream = self.target.connect()?;
        }
        let (local, peer) = self.stream.ends()?;
        let from_ns = clock::now_ns();
        self.stream.write_all(request)?;
        let (status, body_bytes, over) = read(&mut self.stream).with_context(|| format!("the answer to {id}"))?;
        self.over = over;
        let to_ns = clock::now_ns();
        let pid = std::process::id();
        let sighting = Sighting { event: Event::Out, id: id.to_owned(), pid, local, peer, from_ns, to_ns };
        Ok(Sent { sighting, context, status, body_bytes })
    }
}

/// Reads one answer that has a length or comes in chunks; gives its status and body.
///
/// # Errors
/// The connection fails or ends early, or the answer is malformed, has no end or is too long.
pub fn read_answer(stream: &mut impl Read) -> Result<(u16, Vec<u8>)> {
    read_whole(stream).map(|(head, body)| (head.status, body))
}

/// What the head of an answer says.
struct Head {
    status: u16,
    /// Its own length.
    bytes: usize,
    body: Framing,
    /// The connection ends behind the answer.
    closes: bool,
}

/// Status and length of a whole answer, and whether the connection is over.
fn answered(stream: &mut Stream) -> Result<(u16, usize, bool)> {
    let (head, body) = read_whole(stream)?;
    Ok((head.status, body.len(), head.closes))
}

/// How long a body is.
#[derive(Clone, Copy)]
enum Framing {
    Bytes(usize),
    /// As the chunks say (RFC 9112 section 7.1).
    Chunks,
}

fn read_whole(stream: &mut impl Read) -> Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    let answer = read_next(stream, &mut bytes)?;
    ensure!(bytes.is_empty(), "{} bytes behind the answer", bytes.len());
    Ok(answer)
}

/// Reads an answer that begins with `bytes`, and leaves there what came behind it.
fn read_next(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<(Head, Vec<u8>)> {
    let mut chunk = [0; 65_536];
    let head = loop {
        if let Some(head) = parse_head(bytes)? {
            break head;
        }
        extend(stream, bytes, &mut chunk)?;
    };
    bytes.drain(..head.bytes);
    let Framing::Bytes(length) = head.body else {
        let mut body = Vec::new();
        while let Some(mut data) = read_chunk(stream, bytes)? {
            body.append(&mut data);
        }
        return Ok((head, body));
    };
    while bytes.len() < length {
        extend(stream, bytes, &mut chunk)?;
    }
    let rest = bytes.split_off(length);
    Ok((head, std::mem::replace(bytes, rest)))
}

/// The data of the next chunk; none of the last one, which no trailer may follow.
fn read_chunk(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    let mut piece = [0; 65_536];
    loop {
        let parsed = httparse::parse_chunk_size(bytes).ok().context("a chunk's size")?;
        if let httparse::Status::Complete((line, size)) = parsed {
            let data = line..line + usize::try_from(size)?;
            if bytes.len() >= data.end + 2 {
                ensure!(bytes[data.end..].starts_with(b"\r\n"), "a chunk that does not end");
                let found = bytes[data.clone()].to_vec();
                bytes.drain(..data.end + 2);
                return Ok(Some(found).filter(|found| !found.is_empty()));
            }
        }
        extend(stream, bytes, &mut piece)?;
    }
}

/// Status, and so many bytes of the body as came with the first of them.
fn read_beginning(stream: &mut impl Read) -> Result<(u16, usize)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut fields);
        match (answer.parse(&bytes)?, answer.code) {
            (httparse::Status::Complete(head), Some(status)) if head < bytes.len() => {
                return Ok((status, bytes.len() - head));
            }
            _ => extend(stream, &mut bytes, &mut chunk)?,
        }
    }
}

fn extend(stream: &mut impl Read, bytes: &mut Vec<u8>, chunk: &mut [u8]) -> Result<()> {
    let count = stream.read(chunk)?;
    ensure!(count > 0, "the connection ended after {} bytes", bytes.len());
    ensure!(bytes.len() + count <= ANSWER_BYTES_MAX, "an answer of more than {ANSWER_BYTES_MAX} bytes");
    bytes.extend_from_slice(&chunk[..count]);
    Ok(())
}

/// None if the head is not whole yet.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let status = answer.code.context("a status")?;
    let field = |name: &str| answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let chunked = field("transfer-encoding").is_some_and(|field| field.value.eq_ignore_ascii_case(b"chunked"));
    let length = field("content-length").map(|field| anyhow::Ok(std::str::from_utf8(field.value)?.parse()?));
    let body = match length.transpose()? {
        Some(length) => Framing::Bytes(length),
        None => chunked
            .then_some(Framing::Chunks)
            .with_context(|| format!("an answer of status {status} without a length"))?,
    };
    Ok(Some(Head {
        status,
        bytes: head_bytes,
        body,
        closes: field("connection").is_some_and(|field| field.value.eq_ignore_ascii_case(b"close")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_at_their_length() {
        let mut stream: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(read_answer(&mut stream).expect("an answer"), (404, b"abc".to_vec()));
        let mut chunks: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(read_answer(&mut chunks).expect("an answer"), (200, b"abcde".to_vec()));
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
