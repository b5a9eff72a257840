//! Many clients at once, each with a connection of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use crate::session::Session;
use crate::target::Target;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: &'static str,
    /// Path.
    pub path: String,
    /// Body; without one there is no length either.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET.
    #[must_use]
    pub const fn get(path: String) -> Self {
        Self { method: "GET", path, body: Vec::new() }
    }

    fn bytes(&self, host: &Target) -> Vec<u8> {
        let Self { method, path, body } = self;
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n{length}\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// What was asked and answered with 200.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path.
    pub path: String,
    /// The client's end of the connection.
    pub client: String,
}

/// Asks everything, by so many clients at a time.
///
/// # Errors
/// A connection failed, or an answer was not 200.
pub fn ask_all(front: &Target, clients: usize, requests: &[Request]) -> Result<Vec<Asked>> {
    let next = AtomicUsize::new(0);
    let client = || -> Result<Vec<Asked>> {
        let mut session = Session::connect(front)?;
        let mut asked = Vec::new();
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let sent = session.send(&request.bytes(front), &request.path)?;
            ensure!(sent.status == 200, "status {} for {}", sent.status, request.path);
            asked.push(Asked { path: request.path.clone(), client: sent.sighting.local });
        }
        Ok(asked)
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut asked = Vec::new();
        for client in clients {
            asked.append(&mut client.join().expect("no client panics").with_context(|| format!("asking {front}"))?);
        }
        Ok(asked)
    })
}
