//! Both ends of a conversation, spoken word for word: what is sent, in which pieces, and that the other end read it all.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::clock;
use crate::target::Stream;

/// One end, spoken for by a thread of its own, as it would be in a program of its own.
#[derive(Debug)]
pub struct Party {
    orders: Sender<Order>,
    reports: Receiver<Result<u64>>,
    speaker: JoinHandle<()>,
    ends: (String, String),
}

enum Order {
    Send { pieces: Vec<Vec<u8>>, pause: Duration },
    Read(usize),
    ReadEnd,
}

impl Party {
    /// Speaks for this end.
    ///
    /// # Errors
    /// The stream is not connected.
    pub fn new(mut stream: Stream) -> Result<Self> {
        let ends = stream.ends()?;
        let (orders, inbox) = channel();
        let (outbox, reports) = channel();
        // Ends when the party is dropped, and the stream with it.
        let speaker = thread::spawn(move || {
            for order in inbox {
                if outbox.send(carry_out(order, &mut stream)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { orders, reports, speaker, ends })
    }

    /// Its end of the connection and the other one.
    #[must_use]
    pub const fn ends(&self) -> &(String, String) {
        &self.ends
    }

    /// Sends the pieces, one call each, with a pause after each.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send(&self, pieces: &[&[u8]], pause: Duration) -> Result<u64> {
        self.order(Order::Send { pieces: pieces.iter().map(|piece| piece.to_vec()).collect(), pause })
    }

    /// Reads exactly this many bytes; gives the time of the last one.
    ///
    /// # Errors
    /// The connection ended before or failed.
    pub fn read(&self, count: usize) -> Result<u64> {
        self.order(Order::Read(count))
    }

    /// Reads the end of the stream, and nothing before it.
    ///
    /// # Errors
    /// The other end said more, or the connection failed.
    pub fn read_end(&self) -> Result<u64> {
        self.order(Order::ReadEnd)
    }

    /// Closes its end; gives the time.
    ///
    /// # Errors
    /// It had failed.
    pub fn hang_up(self) -> Result<u64> {
        drop(self.orders);
        self.speaker.join().map_err(|_| anyhow!("the party failed"))?;
        Ok(clock::now_ns())
    }

    fn order(&self, order: Order) -> Result<u64> {
        self.start(order)?;
        self.report()
    }

    fn start(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the party is gone"))
    }

    fn report(&self) -> Result<u64> {
        self.reports.recv().context("the party is gone")?
    }
}

/// A client and a server that say and hear what the test wants.
#[derive(Debug)]
pub struct Dialogue {
    /// The calling end; none after it hung up.
    pub client: Option<Party>,
    /// The serving end; none after it hung up.
    pub server: Option<Party>,
}

impl Dialogue {
    /// Connects two parties over TCP on 127.0.0.1.
    ///
    /// # Errors
    /// There is no free port.
    pub fn open() -> Result<Self> {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, crate::target::free_port()?))?;
        let client = crate::target::Target::Tcp(listener.local_addr()?).connect()?;
        let (server, _) = listener.accept()?;
        server.set_nodelay(true)?;
        Ok(Self { client: Some(Party::new(client)?), server: Some(Party::new(Stream::Tcp(server))?) })
    }

    /// The client sends, and the server reads it all; gives the time of the last byte.
    ///
    /// # Errors
    /// The connection failed.
    pub fn ask(&self, bytes: &[u8]) -> Result<u64> {
        self.ask_in_pieces(&[bytes], Duration::ZERO)
    }

    /// The client sends in pieces with pauses between, and the server reads it all, piece for piece as it comes.
    ///
    /// # Errors
    /// The connection failed.
    pub fn ask_in_pieces(&self, pieces: &[&[u8]], pause: Duration) -> Result<u64> {
        Self::carry(self.client()?, self.server()?, pieces, pause)
    }

    /// The server sends, and the client reads it all; gives the time of the last byte.
    ///
    /// # Errors
    /// The connection failed.
    pub fn answer(&self, bytes: &[u8]) -> Result<u64> {
        self.answer_in_pieces(&[bytes], Duration::ZERO)
    }

    /// The server sends in pieces with pauses between, and the client reads it all.
    ///
    /// # Errors
    /// The connection failed.
    pub fn answer_in_pieces(&self, pieces: &[&[u8]], pause: Duration) -> Result<u64> {
        Self::carry(self.server()?, self.client()?, pieces, pause)
    }

    /// The calling end.
    ///
    /// # Errors
    /// It hung up.
    pub fn client(&self) -> Result<&Party> {
        self.client.as_ref().context("the client hung up")
    }

    /// The serving end.
    ///
    /// # Errors
    /// It hung up.
    pub fn server(&self) -> Result<&Party> {
        self.server.as_ref().context("the server hung up")
    }

    fn carry(from: &Party, to: &Party, pieces: &[&[u8]], pause: Duration) -> Result<u64> {
        to.start(Order::Read(pieces.iter().map(|piece| piece.len()).sum()))?;
        let sent = from.send(pieces, pause);
        to.report().and_then(|read| sent.map(|sent| sent.max(read)))
    }
}

fn carry_out(order: Order, stream: &mut Stream) -> Result<u64> {
    match order {
        Order::Send { pieces, pause } => {
            for piece in pieces {
                stream.write_all(&piece)?;
                thread::sleep(pause);
            }
        }
        Order::ReadEnd => ensure!(stream.read(&mut [0])? == 0, "more was said"),
        Order::Read(mut left) => {
            let mut buffer = [0; 65_536];
            while left > 0 {
                let room = left.min(buffer.len());
                let count = stream.read(&mut buffer[..room])?;
                if count == 0 {
                    return Err(anyhow!("the other end hung up, {left} bytes early"));
                }
                left -= count;
            }
        }
    }
    Ok(clock::now_ns())
}
