//! `serve ADDRESS`: one thread that answers every HTTP request without a body on any number of connections, `ok`. It says
//! `listening`, and serves until it is ended. A head that does not end is waited for for ever.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// The key of the listener; connections are known by their descriptors.
const LISTENER: u64 = u64::MAX;

/// A connection, and the last bytes of what it sent.
struct Connection {
    stream: TcpStream,
    tail: Vec<u8>,
}

fn main() -> Result<()> {
    let listener = TcpListener::bind(std::env::args().nth(1).context("ADDRESS")?)?;
    listener.set_nonblocking(true)?;
    let waiter = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&waiter, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = HashMap::new();
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 256];
    println!("listening");
    loop {
        let count = epoll::wait(&waiter, &mut events[..], None)?;
        for event in &events[..count] {
            let key = event.data.u64();
            if key == LISTENER {
                // More than one may wait; what does not fit into the descriptor table waits for another turn.
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    let key = u64::try_from(stream.as_raw_fd())?;
                    epoll::add(&waiter, &stream, EventData::new_u64(key), EventFlags::IN)?;
                    connections.insert(key, Connection { stream, tail: Vec::new() });
                }
            } else if connections.get_mut(&key).is_some_and(|connection| !connection.serve()) {
                // Closing takes it out of the waiter too.
                connections.remove(&key);
            }
        }
    }
}

impl Connection {
    /// Reads what is there, and answers if a head ended with it; false if the connection is over.
    fn serve(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.tail.extend_from_slice(&bytes[..count]);
                self.tail.drain(..self.tail.len().saturating_sub(4));
                self.tail != b"\r\n\r\n" || self.stream.write_all(ANSWER).is_ok()
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}
