//! What `cargo xtask bench` measures with, measured itself: the load and the sink.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";

/// A server that answers `answers` requests of each connection, and then closes it.
fn server(answers: usize) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    // Both end with the test.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(&stream, answers));
        }
    });
    Ok(port)
}

fn serve(stream: &TcpStream, answers: usize) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    for _ in 0..answers {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        // In two pieces, as answers may come.
        (&mut &*stream).write_all(&ANSWER[..20])?;
        (&mut &*stream).write_all(&ANSWER[20..])?;
    }
    Ok(())
}

/// What a load of one second over four connections got.
fn load(port: u16, rate: Option<u32>) -> Result<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args([&port.to_string(), "4", "1"]).args(rate.map(|rate| rate.to_string()));
    let output = command.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_load_counts_every_request_at_a_rate_or_without() -> Result<()> {
    let port = server(usize::MAX)?;
    let paced = load(port, Some(200))?;
    let requests = |value: &Value, name: &str| value[name].as_u64().context("a number");
    assert_eq!(requests(&paced, "failed")?, 0);
    assert_eq!(requests(&paced, "requests")? + requests(&paced, "late")?, 200, "{paced}");
    let unpaced = load(port, None)?;
    assert_eq!(requests(&unpaced, "failed")?, 0);
    assert!(requests(&unpaced, "requests")? > 200, "{unpaced}");
    Ok(())
}

#[test]
fn a_connection_that_breaks_is_a_failure() -> Result<()> {
    let told = load(server(3)?, None)?;
    assert_eq!(told["requests"], 4 * 3);
    // A request is sent before the end of the connection is read, or the end comes first.
    assert!(told["failed"].as_u64().is_some_and(|failed| failed <= 4), "{told}");
    let refusing = load(server(0)?, Some(100))?;
    assert_eq!(refusing["requests"], 0);
    Ok(())
}

/// A running sink.
struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself: nothing is left to do then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_sink_counts_what_it_is_sent() -> Result<()> {
    let mut sink = Sink(Command::new(env!("CARGO_BIN_EXE_sink")).arg("0").stdout(Stdio::piped()).spawn()?);
    let mut line = String::new();
    BufReader::new(sink.0.stdout.take().context("a pipe")?).read_line(&mut line)?;
    let port: u16 = line.trim().strip_prefix("listening ").context("a port")?.parse()?;
    // One resource with one scope with two spans, empty but for a name.
    let span = [0x12, 3, 0x2a, 1, b'x'];
    let body = [[0x0a, 12, 0x12, 10].as_slice(), &span, &span].concat();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    for _ in 0..2 {
        let head = format!("POST /v1/traces HTTP/1.1\r\nhost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat())?;
        let mut answer = [0; 76];
        stream.read_exact(&mut answer)?;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"content-length: 0\r\n\r\n"));
    }
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, counts) = answer.split_once("\r\n\r\n").context("a body")?;
    let counts: Value = serde_json::from_str(counts)?;
    assert_eq!(counts, serde_json::json!({"requests": 2, "spans": 4, "bytes": 2 * body.len()}));
    Ok(())
}
