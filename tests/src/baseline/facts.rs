//! What guesses are made from.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use tracemend::recording::Recording;
use tracemend_core::decode::{Address, Direction, Event};
use tracemend_core::ids::SockCookie;
use tracemend_core::recording::Entry;

use crate::clock::TOLERANCE_NS;
use crate::otlp::{Kind, Span};

/// Processes, by their numbers.
#[derive(Debug, Default)]
pub struct Facts(BTreeMap<u32, Process>);

/// What a process served and called, each in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// What it served.
    pub requests: Vec<Request>,
    /// What it called.
    pub calls: Vec<Call>,
}

/// A request that a process served. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its place among the spans.
    pub span: usize,
    /// The thread that read it; 0 if it is not known.
    pub thread: u32,
    /// When it was read.
    pub start_ns: u64,
    /// When it was answered.
    pub end_ns: u64,
}

/// A call that a process made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its place among the spans.
    pub span: usize,
    /// The thread that made it; 0 if it is not known.
    pub thread: u32,
    /// When it was sent.
    pub start_ns: u64,
    /// When its answer was read.
    pub end_ns: u64,
    /// The thread that read the answer's beginning, and when.
    pub answered: Option<(u32, u64)>,
}

impl Request {
    /// Whether it was read and not answered.
    #[must_use]
    pub const fn open_at(&self, ns: u64) -> bool {
        self.start_ns <= ns && ns <= self.end_ns
    }
}

/// A turn's first bytes: when, and by which thread.
type Turn = (u64, u32);
/// Turns of a direction of a connection, by both ends' addresses.
type Turns = HashMap<(String, String, Direction), Vec<Turn>>;

impl Facts {
    /// The processes.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.0.values()
    }

    pub(super) fn read(spans: &[Span], recording: &Path) -> Result<Self> {
        let turns = turns(recording)?;
        let mut facts = Self::default();
        for (place, span) in spans.iter().enumerate() {
            let process = facts.0.entry(span.pid().context("a span of no process")?).or_default();
            let turn = |direction, ns| nearest(turns.get(&(span.local(), span.peer(), direction)), ns);
            let (start_ns, end_ns) = (span.start_ns, span.end_ns);
            if span.kind == Kind::Server {
                let thread = turn(Direction::Recv, start_ns).map_or(0, |(_, thread)| thread);
                process.requests.push(Request { span: place, thread, start_ns, end_ns });
            } else {
                let sent = turn(Direction::Send, start_ns);
                let answered = turn(Direction::Recv, end_ns).map(|(ns, thread)| (thread, ns));
                // A span may begin when the other end read the request.
                let (start_ns, thread) = sent.unwrap_or((start_ns, 0));
                process.calls.push(Call { span: place, thread, start_ns, end_ns, answered });
            }
        }
        for process in facts.0.values_mut() {
            process.requests.sort_by_key(|request| request.start_ns);
            process.calls.sort_by_key(|call| call.start_ns);
        }
        Ok(facts)
    }
}

fn nearest(turns: Option<&Vec<Turn>>, ns: u64) -> Option<Turn> {
    let nearest = turns?.iter().min_by_key(|(at, _)| at.abs_diff(ns))?;
    (nearest.0.abs_diff(ns) <= TOLERANCE_NS).then_some(*nearest)
}

fn turns(recording: &Path) -> Result<Turns> {
    let mut turns = Turns::new();
    let mut ends = HashMap::<SockCookie, (String, String)>::new();
    let mut offset_ns = 0;
    for entry in Recording::open(recording).with_context(|| recording.display().to_string())? {
        match entry? {
            Entry::Clock(offset) => offset_ns = offset,
            Entry::Event(Event::Open(open)) => {
                ends.insert(open.cookie, (name(&open.endpoint.local), name(&open.endpoint.peer)));
            }
            Entry::Event(Event::Data(data)) if data.turn_start => {
                if let Some((local, peer)) = ends.get(&data.cookie) {
                    let key = (local.clone(), peer.clone(), data.direction);
                    let ns = data.time.0.saturating_add_signed(offset_ns);
                    turns.entry(key).or_default().push((ns, data.actor.thread.tid.0));
                }
            }
            _ => {}
        }
    }
    Ok(turns)
}

/// As spans write it.
fn name(address: &Address) -> String {
    match address {
        Address::Inet(ip, port) => std::net::SocketAddr::new(*ip, *port).to_string(),
        Address::Unix(path) => format!("unix:{path}"),
        Address::Unknown => "unix:".to_owned(),
    }
}
