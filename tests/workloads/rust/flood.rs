//! `flood PAIRS SECONDS [PADDING [PAUSE_US]]`: waits for a line on its input, then PAIRS clients and servers exchange HTTP on
//! loopback, for SECONDS, as quickly as they can or with a pause after each answer. Each request has a path of its own,
//! `/flood/PAIR/NUMBER`, and PADDING bytes in its head. Says `done EXCHANGES` and lives on until its input ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Nearly all that is captured of a head, so that few exchanges make many bytes.
const PADDING_BYTES: usize = 7_500;
/// A flood longer than this would be no test any more.
const SECONDS_MAX: u64 = 120;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What every pair does.
#[derive(Clone, Copy)]
struct Flood {
    padding: usize,
    pause: Duration,
    until: Instant,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|word| word.parse::<u64>().context(word)).transpose();
    let (pairs, seconds) = (number()?.context("PAIRS")?, number()?.context("SECONDS")?);
    let padding = number()?.map_or(Ok(PADDING_BYTES), TryInto::try_into)?;
    let pause = Duration::from_micros(number()?.unwrap_or(0));
    ensure!(seconds <= SECONDS_MAX, "at most {SECONDS_MAX} seconds");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let flood = Flood { padding, pause, until: Instant::now() + Duration::from_secs(seconds) };
    let exchanges = thread::scope(|scope| -> Result<u64> {
        let mut clients = Vec::new();
        for pair in 0..pairs {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            scope.spawn(move || serve(server, flood.request(pair, 0).len()));
            clients.push(scope.spawn(move || flood.call(client, pair)));
        }
        clients.into_iter().map(|client| client.join().expect("no client panics")).sum()
    })?;
    println!("done {exchanges}");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

impl Flood {
    /// All requests are of one length.
    fn request(self, pair: u64, number: u64) -> String {
        let padding = "p".repeat(self.padding);
        format!("GET /flood/{pair:03}/{number:08} HTTP/1.1\r\nhost: flood\r\nx-padding: {padding}\r\n\r\n")
    }

    /// Calls until the time is up; gives the number of calls.
    fn call(self, mut stream: TcpStream, pair: u64) -> Result<u64> {
        stream.set_nodelay(true)?;
        let mut answer = [0; ANSWER.len()];
        let mut count = 0;
        while Instant::now() < self.until {
            stream.write_all(self.request(pair, count).as_bytes())?;
            stream.read_exact(&mut answer)?;
            count += 1;
            thread::sleep(self.pause);
        }
        Ok(count)
    }
}

/// Answers until the client hangs up.
fn serve(mut stream: TcpStream, request_bytes: usize) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut request = vec![0; request_bytes];
    while stream.read_exact(&mut request).is_ok() {
        stream.write_all(ANSWER)?;
    }
    Ok(())
}
