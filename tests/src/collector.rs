//! A collector that takes OTLP over HTTP and only counts: for what the agent does when there is one, or none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The longest export request taken.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A listening collector.
#[derive(Debug)]
pub struct Collector {
    bytes: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Collector {
    /// Listens on a port of 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let (bytes, ended) = (Arc::default(), Arc::default());
        let collector = Self { bytes: Arc::clone(&bytes), ended: Arc::clone(&ended) };
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let bytes = Arc::clone(&bytes);
                        thread::spawn(move || serve(&stream, &bytes));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        Ok(collector)
    }

    /// Bytes of the spans it was sent.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Takes requests until the connection ends or is not understood.
fn serve(stream: &TcpStream, bytes: &AtomicUsize) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut start = String::new();
        if reader.read_line(&mut start)? == 0 {
            return Ok(());
        }
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
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if start.starts_with("POST /v1/traces ") {
            bytes.fetch_add(length, Ordering::Relaxed);
        }
        // An empty ExportTraceServiceResponse: everything was taken.
        (&mut &*stream)
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
    }
}
