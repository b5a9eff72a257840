//! Where a server is, and a stream to it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest wait for one read or write.
const IO_LIMIT: Duration = Duration::from_secs(30);

/// Where a server listens. Printed the way spans' ends, the workloads and nginx write it: `127.0.0.1:80`, `[::1]:80`, `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl Target {
    /// A free port on 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub fn ipv4() -> Result<Self> {
        free_port().map(|port| Self::Tcp((Ipv4Addr::LOCALHOST, port).into()))
    }

    /// A free port on ::1.
    ///
    /// # Errors
    /// No port is free.
    pub fn ipv6() -> Result<Self> {
        free_port().map(|port| Self::Tcp((Ipv6Addr::LOCALHOST, port).into()))
    }

    /// Connects; reads and writes on the stream block, at most 30 s.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(&self) -> Result<Stream> {
        let stream = match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).with_context(|| format!("connecting to {self}"))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
            Self::Unix(path) => {
                Stream::Unix(UnixStream::connect(path).with_context(|| format!("connecting to {self}"))?)
            }
        };
        stream.limit(IO_LIMIT)?;
        Ok(stream)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A TCP port that nobody listens on, outside the range the kernel takes ports of outgoing connections from.
///
/// # Errors
/// All are taken.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 10_000;
    // Test processes that run at a time begin at different places.
    let offset = (std::process::id() % u32::from(COUNT)).try_into().unwrap_or(0_u16).wrapping_mul(37) % COUNT;
    (0..COUNT)
        .map(|_| FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port")
}

/// A connected stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl Stream {
    /// The local and the peer's end, as spans write them.
    ///
    /// # Errors
    /// The stream is not connected any more.
    pub fn ends(&self) -> io::Result<(String, String)> {
        match self {
            Self::Tcp(stream) => Ok((stream.local_addr()?.to_string(), stream.peer_addr()?.to_string())),
            Self::Unix(stream) => {
                let path = |address: std::os::unix::net::SocketAddr| {
                    format!(
                        "unix:{}",
                        address.as_pathname().map_or_else(String::new, |path| path.display().to_string())
                    )
                };
                Ok((path(stream.local_addr()?), path(stream.peer_addr()?)))
            }
        }
    }

    /// Ends both directions.
    ///
    /// # Errors
    /// The stream is not connected any more.
    pub fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        }
    }

    fn limit(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
