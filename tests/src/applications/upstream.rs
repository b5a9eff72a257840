//! What applications call: a server in the test itself, which notes what it was asked, and over which connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock;
use crate::target::{Target, free_port};

/// The longest head taken.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The longest time an answer takes: so requests overtake each other.
const SERVICE_MS: u64 = 20;
/// How often the listener looks whether it is to end.
const LOOK: Duration = Duration::from_millis(5);

/// What a request is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// `content-type`.
    pub kind: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 with this text.
    #[must_use]
    pub fn ok(text: &str) -> Self {
        Self { status: 200, kind: "text/plain", body: text.into() }
    }
}

/// An index of Python packages, in which each project has one file: what mirrors of it call.
#[must_use]
pub fn package_index(_: &str, path: &str) -> Answer {
    let name = project(path);
    if path.starts_with("/simple/") {
        let page = format!("<!DOCTYPE html><a href=\"/files/{name}/{name}-1.0.tar.gz\">{name}-1.0.tar.gz</a>");
        return Answer { kind: "text/html", ..Answer::ok(&page) };
    }
    Answer::ok(path)
}

/// The project that a path is about: its name follows `/index/` or `/resources/` at a mirror, `/simple/` or `/files/` at the index.
#[must_use]
pub fn project(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or(path)
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Target as it came.
    pub path: String,
    /// The caller's end of the connection.
    pub caller: String,
    /// It came here, nanoseconds since the epoch ...
    pub from_ns: u64,
    /// ... and was answered here.
    pub to_ns: u64,
}

/// A listening server. Dropped, it is gone with its connections.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    answer: fn(&str, &str) -> Answer,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    seen: Mutex<Vec<Seen>>,
}

impl Upstream {
    /// Serves on a free port of 127.0.0.1; `answer` is given method and target.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(answer: fn(&str, &str) -> Answer) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", free_port()?))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let state =
            Arc::new(State { answer, ended: false.into(), connections: Mutex::default(), seen: Mutex::default() });
        let acceptor = {
            let state = Arc::clone(&state);
            thread::spawn(move || accept(&listener, &state))
        };
        Ok(Self { address, state, acceptor: Some(acceptor) })
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::Tcp(self.address)
    }

    /// What it answered so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            _ = acceptor.join();
        }
        for connection in lock(&self.state.connections).drain(..) {
            _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.ended.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, caller)) => {
                let copy = stream.set_nonblocking(false).and_then(|()| stream.try_clone());
                let Ok(copy) = copy else { continue };
                lock(&state.connections).push(copy);
                let state = Arc::clone(state);
                thread::spawn(move || {
                    // What is wrong with a connection shows in what the application makes of it.
                    if let Err(error) = serve(&stream, caller, &state) {
                        println!("upstream: {caller}: {error:#}");
                    }
                    _ = stream.shutdown(Shutdown::Both);
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK),
            Err(error) => println!("upstream: {error}"),
        }
    }
}

fn serve(mut stream: &TcpStream, caller: SocketAddr, state: &State) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    while let Some((method, path, length)) = head(stream, &mut bytes)? {
        let from_ns = clock::now_ns();
        while bytes.len() < length {
            ensure!(read(stream, &mut bytes)?, "the connection ended within a body");
        }
        bytes.drain(..length);
        thread::sleep(Duration::from_millis(fastrand::u64(..=SERVICE_MS)));
        let Answer { status, kind, body } = (state.answer)(&method, &path);
        let length = body.len();
        let mut answer =
            format!("HTTP/1.1 {status} It\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        if method != "HEAD" {
            answer.extend(body);
        }
        stream.write_all(&answer)?;
        let to_ns = clock::now_ns();
        lock(&state.seen).push(Seen { method, path, caller: caller.to_string(), from_ns, to_ns });
    }
    Ok(())
}

/// Method, target and the body's length of the next request; none where the connection ends before it.
fn head(stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<Option<(String, String, usize)>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(length) = request.parse(bytes)? {
            let (method, path) = (request.method.context("a method")?, request.path.context("a target")?);
            let field = |name: &str| request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            ensure!(field("transfer-encoding").is_none(), "{method} {path}: a body without a length");
            let body = field("content-length").map_or(Ok(0), |field| length_of(field.value));
            let found = (method.to_owned(), path.to_owned(), body.with_context(|| path.to_owned())?);
            bytes.drain(..length);
            return Ok(Some(found));
        }
        ensure!(bytes.len() < HEAD_BYTES_MAX, "a head of more than {HEAD_BYTES_MAX} bytes");
        if !read(stream, bytes)? {
            ensure!(bytes.is_empty(), "the connection ended within a head");
            return Ok(None);
        }
    }
}

fn length_of(value: &[u8]) -> Result<usize> {
    Ok(std::str::from_utf8(value)?.parse()?)
}

/// Reads some bytes; false where there are no more.
fn read(mut stream: &TcpStream, bytes: &mut Vec<u8>) -> Result<bool> {
    let mut chunk = [0; 16_384];
    let count = match stream.read(&mut chunk) {
        // Callers may leave as they like.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
        count => count?,
    };
    bytes.extend_from_slice(&chunk[..count]);
    Ok(count > 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
