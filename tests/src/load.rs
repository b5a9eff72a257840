//! A closed loop over kept-alive connections, bounded in requests and in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::session::{Sent, Session, WireContext};
use crate::target::Target;

/// What is to be driven.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub target: Target,
    /// Path of every request.
    pub path: String,
    /// Begins the ids of this load; a number follows.
    pub ids: String,
    /// Connections, each kept alive by a thread of its own.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
    /// Each request carries a `traceparent` of its own.
    pub contexts: bool,
    /// Pause of each connection after an answer.
    pub pause: Duration,
    /// No request is begun after this.
    pub limit: Duration,
}

impl Load {
    /// `requests` requests for `/` with ids that begin with `ids`, over one connection, without contexts, within two minutes.
    #[must_use]
    pub fn new(target: &Target, ids: &str, requests: usize) -> Self {
        Self {
            target: target.clone(),
            path: "/".to_owned(),
            ids: ids.to_owned(),
            connections: 1,
            requests,
            contexts: false,
            pause: Duration::ZERO,
            limit: Duration::from_secs(120),
        }
    }

    /// Requests without end, until it is told to finish.
    #[must_use]
    pub fn endless(target: &Target, ids: &str) -> Self {
        Self::new(target, ids, usize::MAX)
    }

    /// Drives it; gives what was sent, in the order of ids.
    ///
    /// # Errors
    /// A connection failed, an answer was not 200, or the time was up.
    pub fn run(&self) -> Result<Vec<Sent>> {
        self.begin().join()
    }

    /// Begins to drive it.
    #[must_use]
    pub fn begin(&self) -> Running {
        let (next, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let drivers = (0..self.connections)
            .map(|_| {
                let (load, next, over) = (self.clone(), Arc::clone(&next), Arc::clone(&over));
                thread::spawn(move || load.connection(&next, &over))
            })
            .collect();
        Running { target: self.target.clone(), drivers, over, next }
    }

    fn connection(&self, next: &AtomicUsize, over: &AtomicBool) -> Result<Driven> {
        let start = Instant::now();
        let mut session = Session::connect(&self.target)?;
        let mut sent = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                break;
            }
            ensure!(start.elapsed() < self.limit, "{number} of {} requests in {:?}", self.requests, self.limit);
            let context = self.contexts.then(WireContext::fresh);
            let answered = session.get(&self.path, &format!("{}{number}", self.ids), context)?;
            ensure!(answered.status == 200, "status {} for {}{number}", answered.status, self.ids);
            sent.push((number, answered));
            thread::sleep(self.pause);
        }
        Ok(sent)
    }
}

/// What one connection sent, by the requests' numbers.
type Driven = Vec<(usize, Sent)>;

/// A load that is being driven.
#[derive(Debug)]
pub struct Running {
    target: Target,
    drivers: Vec<JoinHandle<Result<Driven>>>,
    over: Arc<AtomicBool>,
    next: Arc<AtomicUsize>,
}

impl Running {
    /// Requests begun so far.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Has each connection end after the answer it waits for; gives what was sent, in the order of ids.
    ///
    /// # Errors
    /// A connection failed, an answer was not 200, or the time was up.
    pub fn finish(self) -> Result<Vec<Sent>> {
        self.over.store(true, Ordering::Relaxed);
        self.join()
    }

    fn join(self) -> Result<Vec<Sent>> {
        let mut sent = Vec::new();
        for driver in self.drivers {
            let mut driven =
                driver.join().expect("no driver panics").with_context(|| format!("driving {}", self.target))?;
            sent.append(&mut driven);
        }
        sent.sort_by_key(|(number, _)| *number);
        Ok(sent.into_iter().map(|(_, sent)| sent).collect())
    }
}
