//! A collector that takes OTLP over HTTP, well or badly: for what the agent does when there is one, none, or a bad one.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use prost::Message as _;

use crate::otlp::{self, Span};

/// The longest export request taken.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// How a collector treats what it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// It takes it.
    #[default]
    Takes,
    /// It takes it, and says so after this time.
    Slow(Duration),
    /// It answers that it is not available (503), and keeps nothing.
    Busy,
    /// It hangs up when it has read half of a request, and keeps nothing.
    HangsUp,
}

/// A listening collector. Dropped, it is gone with its connections.
#[derive(Debug)]
pub struct Collector {
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    ended: AtomicBool,
    manner: Mutex<Manner>,
    connections: Mutex<Vec<TcpStream>>,
    taken: Mutex<Vec<Vec<u8>>>,
    turned_away: Mutex<usize>,
}

impl Collector {
    /// Listens on a port of 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let state = Arc::<State>::default();
        let acceptor = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, &state))
        };
        Ok(Self { state, acceptor: Some(acceptor) })
    }

    /// Treats later requests so.
    pub fn behave(&self, manner: Manner) {
        *lock(&self.state.manner) = manner;
    }

    /// Bytes of the requests it took.
    #[must_use]
    pub fn bytes(&self) -> usize {
        lock(&self.state.taken).iter().map(Vec::len).sum()
    }

    /// Requests that it did not take.
    #[must_use]
    pub fn turned_away(&self) -> usize {
        *lock(&self.state.turned_away)
    }

    /// Spans it took, and how many different ones they were.
    ///
    /// # Errors
    /// It was sent something else.
    pub fn counts(&self) -> Result<(usize, usize)> {
        let (mut count, mut ids) = (0, HashSet::new());
        for request in self.requests()? {
            for span in spans(&request) {
                count += 1;
                ids.insert(span.span_id.clone());
            }
        }
        Ok((count, ids.len()))
    }

    /// The spans it took that started at this time or later.
    ///
    /// # Errors
    /// It was sent something else.
    pub fn spans_since(&self, start_ns: u64) -> Result<Vec<Span>> {
        let mut found = Vec::new();
        for mut request in self.requests()? {
            for resource in &mut request.resource_spans {
                for scope in &mut resource.scope_spans {
                    scope.spans.retain(|span| span.start_time_unix_nano >= start_ns);
                }
            }
            if spans(&request).next().is_some() {
                found.extend(otlp::read_line(&serde_json::to_string(&request)?)?);
            }
        }
        Ok(found)
    }

    fn requests(&self) -> Result<Vec<ExportTraceServiceRequest>> {
        let taken = lock(&self.state.taken);
        taken.iter().map(|body| Ok(ExportTraceServiceRequest::decode(body.as_slice())?)).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            // With it goes the port.
            _ = acceptor.join();
        }
        for connection in lock(&self.state.connections).drain(..) {
            _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.ended.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let (Ok(()), Ok(copy)) = (stream.set_nonblocking(false), stream.try_clone()) else { continue };
        lock(&state.connections).push(copy);
        let state = Arc::clone(state);
        thread::spawn(move || {
            // What the other end sees of it is what tests look at.
            _ = serve(&stream, &state);
            _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Takes requests until the connection ends or is not understood.
fn serve(stream: &TcpStream, state: &State) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut start = String::new();
        if reader.read_line(&mut start)? == 0 {
            return Ok(());
        }
        let length = read_length(&mut reader)?;
        let manner = *lock(&state.manner);
        let mut body = vec![0; if manner == Manner::HangsUp { length / 2 } else { length }];
        reader.read_exact(&mut body)?;
        let status = match manner {
            Manner::Takes => "200 OK",
            Manner::Slow(pause) => {
                thread::sleep(pause);
                "200 OK"
            }
            Manner::Busy => "503 Service Unavailable",
            Manner::HangsUp => {
                *lock(&state.turned_away) += 1;
                return Ok(());
            }
        };
        if manner == Manner::Busy {
            *lock(&state.turned_away) += 1;
        } else if start.starts_with("POST /v1/traces ") {
            lock(&state.taken).push(body);
        }
        // An empty ExportTraceServiceResponse: everything was taken.
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        (&mut &*stream).write_all(head.as_bytes())?;
    }
}

/// The rest of a request's head; the length of its body.
fn read_length(reader: &mut impl BufRead) -> Result<usize> {
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        let Some((name, value)) = field.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("a length")?;
        }
    }
    ensure!(length <= REQUEST_BYTES_MAX, "an export request of {length} bytes");
    Ok(length)
}

fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &OtlpSpan> {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
