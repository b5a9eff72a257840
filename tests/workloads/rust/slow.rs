//! `slow ADDRESS COUNT`: COUNT clients that never finish the head of their request. For each line on its input all of them
//! send their next kilobyte, the first time after connecting; then it says `sent ROUND`. They hang up with its input.

use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result};

const PIECE_BYTES: usize = 1024;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().context("ADDRESS")?.parse()?;
    let count: usize = arguments.next().context("COUNT")?.parse()?;
    let mut clients = Vec::with_capacity(count);
    let piece = "s".repeat(PIECE_BYTES);
    for (round, line) in io::stdin().lock().lines().enumerate() {
        line?;
        while clients.len() < count {
            let mut client = TcpStream::connect(address).with_context(|| format!("client {}", clients.len()))?;
            client.set_nodelay(true)?;
            write!(client, "GET /slow/{} HTTP/1.1\r\nhost: slow\r\nx-slow: ", clients.len())?;
            clients.push(client);
        }
        for client in &mut clients {
            client.write_all(piece.as_bytes())?;
        }
        println!("sent {round}");
    }
    Ok(())
}
