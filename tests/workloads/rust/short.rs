//! `short THREADS COUNT ADDRESSES PORT`: waits for a line on its input, then opens COUNT connections to PORT on ADDRESSES
//! addresses of the loopback network in turn, on each of them asks once and hangs up after the answer. Says `done SECONDS`
//! and lives on until its input ends.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name| arguments.next().context(name)?.parse::<u32>().context(name);
    let (threads, count) = (number("THREADS")?, number("COUNT")?);
    let (addresses, port) = (number("ADDRESSES")?, number("PORT")?.try_into()?);
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let start = Instant::now();
    let next = AtomicU32::new(0);
    thread::scope(|scope| -> Result<()> {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                ask(number, number % addresses, port).with_context(|| format!("connection {number}"))?;
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    println!("done {:.1}", start.elapsed().as_secs_f64());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// One connection, one request, one answer.
fn ask(number: u32, address: u32, port: u16) -> Result<()> {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + address);
    let mut stream = TcpStream::connect((address, port))?;
    stream.write_all(format!("GET /short/{number} HTTP/1.1\r\nhost: short\r\n\r\n").as_bytes())?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer)?;
    ensure!(answer == ANSWER, "another answer");
    Ok(())
}
