//! `flood PAIRS SECONDS`: waits for a line on its input, then PAIRS clients and servers exchange HTTP with long heads on
//! loopback as quickly as they can, for SECONDS; says `done EXCHANGES` and lives on until its input ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Nearly all that is captured of a head, so that few exchanges make many bytes.
const PADDING_BYTES: usize = 7_500;
/// A flood longer than this would be no test any more.
const SECONDS_MAX: u64 = 30;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name| arguments.next().context(name)?.parse::<u64>().context(name);
    let (pairs, seconds) = (number("PAIRS")?, number("SECONDS")?);
    ensure!(seconds <= SECONDS_MAX, "at most {SECONDS_MAX} seconds");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let request = format!("GET /flood HTTP/1.1\r\nhost: flood\r\nx-padding: {}\r\n\r\n", "p".repeat(PADDING_BYTES));
    let until = Instant::now() + Duration::from_secs(seconds);
    let exchanges = thread::scope(|scope| -> Result<u64> {
        let mut clients = Vec::new();
        for _ in 0..pairs {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            let length = request.len();
            scope.spawn(move || serve(server, length));
            let request = request.as_bytes();
            clients.push(scope.spawn(move || call(client, request, until)));
        }
        clients.into_iter().map(|client| client.join().expect("no client panics")).sum()
    })?;
    println!("done {exchanges}");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Calls until the time is up; gives the number of calls.
fn call(mut stream: TcpStream, request: &[u8], until: Instant) -> Result<u64> {
    stream.set_nodelay(true)?;
    let mut answer = [0; ANSWER.len()];
    let mut count = 0;
    while Instant::now() < until {
        stream.write_all(request)?;
        stream.read_exact(&mut answer)?;
        count += 1;
    }
    Ok(count)
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
