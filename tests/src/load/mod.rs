//! Load over kept-alive connections, bounded in requests and in time: a closed loop, in which each connection asks again
//! when it was answered, or an open one, in which requests come when they come.

mod concurrency;
mod plan;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::session::{Sent, Session, WireContext};
use crate::target::Target;
use plan::Plan;

pub use concurrency::Concurrency;

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
    /// Each answer is left at its beginning.
    pub leave: bool,
    /// So many requests are sent at once over each connection.
    pub pipelined: usize,
    /// Pause of each connection after an answer; with a seed, the longest one.
    pub pause: Duration,
    /// Open loop: so many requests a second on average, with the pauses of independent people between them (a Poisson
    /// process). One that finds no connection free waits for it.
    pub per_second: Option<f64>,
    /// With a seed, ids all have one length and say nothing about the order, and times are random.
    pub seed: Option<u64>,
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
            leave: false,
            pipelined: 1,
            pause: Duration::ZERO,
            per_second: None,
            seed: None,
            limit: Duration::from_secs(120),
        }
    }

    /// Requests without end, until it is told to finish.
    #[must_use]
    pub fn endless(target: &Target, ids: &str) -> Self {
        Self::new(target, ids, usize::MAX)
    }

    /// Drives it; gives what was sent, in the order of sending.
    ///
    /// # Errors
    /// A connection failed, an answer was not 200, or the time was up.
    pub fn run(&self) -> Result<Vec<Sent>> {
        self.begin().join()
    }

    /// Begins to drive it.
    #[must_use]
    pub fn begin(&self) -> Running {
        let plan = Arc::new(Plan::new(self));
        let (next, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let start = Instant::now();
        let drivers = (0..self.connections)
            .map(|connection| {
                let (load, plan, next, over) = (self.clone(), Arc::clone(&plan), Arc::clone(&next), Arc::clone(&over));
                thread::spawn(move || load.connection(connection, &plan, start, &next, &over))
            })
            .collect();
        Running { target: self.target.clone(), drivers, over, next }
    }

    fn connection(
        &self,
        number: usize,
        plan: &Plan,
        start: Instant,
        next: &AtomicUsize,
        over: &AtomicBool,
    ) -> Result<Driven> {
        let mut random = self.seed.map(|seed| fastrand::Rng::with_seed(seed ^ ((number as u64) << 32)));
        let mut session = Session::connect(&self.target)?;
        let mut sent = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let first = next.fetch_add(self.pipelined, Ordering::Relaxed);
            if first >= self.requests {
                break;
            }
            thread::sleep((start + plan.due(first)).saturating_duration_since(Instant::now()));
            ensure!(start.elapsed() < self.limit, "{first} of {} requests in {:?}", self.requests, self.limit);
            let ids: Vec<_> =
                (first..self.requests.min(first + self.pipelined)).map(|number| plan.id(number)).collect();
            let answered = self.ask(&mut session, &ids)?;
            for one in &answered {
                ensure!(one.status == 200, "status {} for {}", one.status, one.sighting.id);
            }
            sent.extend((first..).zip(answered));
            thread::sleep(random.as_mut().map_or(self.pause, |random| self.pause.mul_f64(random.f64())));
        }
        Ok(sent)
    }

    fn ask(&self, session: &mut Session, ids: &[String]) -> Result<Vec<Sent>> {
        match ids {
            [id] if self.leave => Ok(vec![session.get_and_leave(&self.path, id)?]),
            [id] => Ok(vec![session.get(&self.path, id, self.contexts.then(WireContext::fresh))?]),
            ids => session.pipeline(&self.path, ids),
        }
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

    /// Has each connection end after the answer it waits for; gives what was sent, in the order of sending.
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
