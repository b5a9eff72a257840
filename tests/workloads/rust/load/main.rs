//! `load PORT CONNECTIONS SECONDS [RATE [SEED]]`: drives an HTTP/1.1 server on loopback over kept-alive connections, from one
//! thread, so that it costs one core little.
//!
//! With a rate it is an open loop: that many requests a second are due, whether earlier ones are answered or not, and
//! what finds no idle connection waits for one. They are due at even times; with a seed, each at a random time in its interval,
//! so that loads which run at the same time have no phase to each other. Without a rate, each connection asks again as soon as it is answered. All
//! connections stay open until the end. Prints one JSON object: `requests` answered well, `failed`, `late` (due and not
//! sent before the end), `seconds` from the first request to the last answer.

mod connection;
mod pace;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

use connection::{Answer, Connection};
use pace::Pace;

/// As many descriptors as one process usually gets.
const CONNECTIONS_MAX: usize = 15_000;
/// A load longer than this would be no measurement any more.
const SECONDS_MAX: f64 = 600.0;
/// Answers that are under way when the time is up get this long.
const DRAIN: Duration = Duration::from_secs(5);
/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// An agent that was told to trace this program by its name finds it a moment after it began; what it does before is not
/// lost, but not traced.
const FOUND: Duration = Duration::from_millis(250);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name: &'static str| arguments.next().map(|text| text.parse::<f64>().context(name)).transpose();
    let port = number("PORT")?.context("PORT")? as u16;
    let connections = number("CONNECTIONS")?.context("CONNECTIONS")? as usize;
    let seconds = number("SECONDS")?.context("SECONDS")?;
    let rate = number("RATE")?;
    let seed = number("SEED")?.map(|seed| seed as u64);
    ensure!((1..=CONNECTIONS_MAX).contains(&connections), "between 1 and {CONNECTIONS_MAX} connections");
    ensure!(seconds > 0.0 && seconds <= SECONDS_MAX, "at most {SECONDS_MAX} seconds");
    std::thread::sleep(FOUND);
    let mut load = Load::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), connections)?;
    let report = load.run(Duration::from_secs_f64(seconds), rate, seed)?;
    println!(
        "{}",
        serde_json::json!({"requests": report.requests, "failed": report.failed, "late": report.late,
            "seconds": report.seconds})
    );
    Ok(())
}

struct Load {
    epoll: std::os::fd::OwnedFd,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    waiting: usize,
}

#[derive(Default)]
struct Report {
    requests: u64,
    failed: u64,
    late: u64,
    seconds: f64,
}

impl Load {
    fn connect(server: SocketAddr, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let connection = Connection::open(server)?;
            epoll::add(&epoll, &connection, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        Ok(Self { epoll, connections, idle: (0..count).collect(), waiting: 0 })
    }

    fn run(&mut self, length: Duration, rate: Option<f64>, seed: Option<u64>) -> Result<Report> {
        let mut pace = Pace::new(Instant::now(), length, rate, seed);
        let mut report = Report::default();
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let mut now = Instant::now();
            while pace.is_due(now) && self.ask(&mut report) {
                pace.sent();
                now = Instant::now();
            }
            if pace.is_over(now) && self.waiting == 0 {
                break;
            }
            let Some(pause) = pace.pause(now, !self.idle.is_empty(), DRAIN) else {
                report.failed += self.waiting as u64;
                break;
            };
            let pause = Timespec::try_from(pause).context("a pause of seconds")?;
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&pause)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll"),
            }
            for event in &events {
                self.answered(event.data.u64() as usize, &mut report);
            }
        }
        report.late = pace.late();
        report.seconds = pace.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Sends a request on the connection that is idle longest. False if none is.
    fn ask(&mut self, report: &mut Report) -> bool {
        let Some(index) = self.idle.pop_front() else {
            return false;
        };
        match self.connections[index].ask() {
            Ok(()) => self.waiting += 1,
            // It does not come back: the connection is broken.
            Err(_) => report.failed += 1,
        }
        true
    }

    fn answered(&mut self, index: usize, report: &mut Report) {
        let asked = self.connections[index].is_asked();
        match self.connections[index].read() {
            Answer::Partial => return,
            Answer::Whole => {
                report.requests += 1;
                self.idle.push_back(index);
            }
            Answer::Wrong => {
                report.failed += u64::from(asked);
                self.idle.retain(|idle| *idle != index);
                // So that its end does not wake this loop for ever. It cannot fail for a descriptor that is there.
                let _ = epoll::delete(&self.epoll, &self.connections[index]);
            }
        }
        self.waiting -= usize::from(asked);
    }
}
