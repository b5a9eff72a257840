//! `sink PORT`: a collector that costs next to nothing: takes OTLP over HTTP (http/protobuf) on loopback and counts the
//! spans. Says `listening PORT`; port 0 is one that is free. `GET /` gives what was counted so far as a JSON object:
//! `requests`, `spans`, `bytes`.

mod protobuf;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};

/// The longest export request taken: collectors take less.
const REQUEST_BYTES_MAX: usize = 64 << 20;
/// The longest line of a head.
const LINE_BYTES_MAX: u64 = 16 << 10;

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).context("PORT")?.parse().context("PORT")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!("listening {}", listener.local_addr()?.port());
    let counts = Arc::<Counts>::default();
    for stream in listener.incoming() {
        let (stream, counts) = (stream?, Arc::clone(&counts));
        thread::spawn(move || serve(&stream, &counts).inspect_err(|error| eprintln!("sink: {error:#}")));
    }
    Ok(())
}

/// Takes requests until the connection ends.
fn serve(stream: &TcpStream, counts: &Counts) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut body = Vec::new();
    while let Some(request) = read_head(&mut reader)? {
        ensure!(request.length <= REQUEST_BYTES_MAX, "a request of {} bytes", request.length);
        body.resize(request.length, 0);
        reader.read_exact(&mut body)?;
        let answer = if request.asks {
            counts.json()
        } else {
            if request.traces {
                counts.add(&body)?;
            }
            // An empty ExportTraceServiceResponse: everything was taken.
            String::new()
        };
        let kind = if request.asks { "application/json" } else { "application/x-protobuf" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", answer.len());
        (&mut &*stream).write_all((head + &answer).as_bytes())?;
    }
    Ok(())
}

struct Request {
    asks: bool,
    traces: bool,
    length: usize,
}

fn read_head(reader: &mut impl BufRead) -> Result<Option<Request>> {
    let start = read_line(reader)?;
    if start.is_empty() {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("a length")?;
        }
    }
    Ok(Some(Request { asks: start.starts_with("GET "), traces: start.starts_with("POST /v1/traces "), length }))
}

fn read_line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok(line)
}

impl Counts {
    fn add(&self, body: &[u8]) -> Result<()> {
        let spans = protobuf::spans(body).context("not an export request")?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.spans.fetch_add(spans, Ordering::Relaxed);
        Ok(())
    }

    fn json(&self) -> String {
        let [requests, spans, bytes] =
            [&self.requests, &self.spans, &self.bytes].map(|count| count.load(Ordering::Relaxed));
        serde_json::json!({"requests": requests, "spans": spans, "bytes": bytes}).to_string()
    }
}
