//! A closed loop over kept-alive connections, bounded in requests and in time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
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

    /// Drives it; gives what was sent, in the order of ids.
    ///
    /// # Errors
    /// A connection failed, an answer was not 200, or the time was up.
    pub fn run(&self) -> Result<Vec<Sent>> {
        let next = AtomicUsize::new(0);
        let sent = Mutex::new(Vec::with_capacity(self.requests));
        let start = Instant::now();
        let connection = || -> Result<()> {
            let mut session = Session::connect(&self.target)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.requests {
                    return Ok(());
                }
                ensure!(start.elapsed() < self.limit, "{number} of {} requests in {:?}", self.requests, self.limit);
                let context = self.contexts.then(WireContext::fresh);
                let answered = session.get(&self.path, &format!("{}{number}", self.ids), context)?;
                ensure!(answered.status == 200, "status {} for {}{number}", answered.status, self.ids);
                sent.lock().expect("no driver panics").push((number, answered));
                thread::sleep(self.pause);
            }
        };
        thread::scope(|scope| {
            let drivers: Vec<_> = (0..self.connections).map(|_| scope.spawn(connection)).collect();
            drivers.into_iter().try_for_each(|driver| driver.join().expect("no driver panics"))
        })
        .with_context(|| format!("driving {}", self.target))?;
        let mut sent = sent.into_inner().expect("no driver panics");
        sent.sort_by_key(|(number, _)| *number);
        Ok(sent.into_iter().map(|(_, sent)| sent).collect())
    }
}
