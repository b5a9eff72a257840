//! Looks at processes, on a thread of its own: their files may be on a server that does not answer.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::{Found, Images, Kind, Refusal, Refused, find};

/// A process that has just begun to run its program has its libraries, and its runtime's state, a moment later.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(30), Duration::from_millis(120), Duration::from_millis(500), Duration::from_secs(2)];
/// Processes that are yet to be looked at. Beyond it they are not, and counted.
const WAITING_MAX: usize = 16_384;

/// What was seen of one process.
#[derive(Debug)]
pub struct Seen {
    /// Process id.
    pub tgid: u32,
    /// It was asked for as one that serves.
    pub serves: bool,
    /// What it runs, or why it is not adapted.
    pub outcome: Result<Found, Refused>,
}

/// A process to look at.
#[derive(Clone, Copy, Debug)]
struct Question {
    tgid: u32,
    /// It has just begun to run its program.
    young: bool,
    /// It serves: what is passed too often to be watched in every process is watched there.
    serves: bool,
}

/// Looks at processes.
#[derive(Debug)]
pub struct Finder {
    asked: Sender<Question>,
    seen: Receiver<Seen>,
    sees: Arc<OwnedFd>,
}

/// Where its thread tells what it saw.
struct Answers {
    seen: Sender<Seen>,
    /// Raised with each (`eventfd(2)`), and read by nobody: whoever waits does so for edges.
    sees: Arc<OwnedFd>,
}

impl Finder {
    /// Starts its thread.
    ///
    /// # Errors
    /// There is no room for one.
    pub fn start() -> std::io::Result<Self> {
        let (asked, questions) = channel();
        let (answers, seen) = channel();
        let sees = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let answers = Answers { seen: answers, sees: Arc::clone(&sees) };
        thread::Builder::new().name("runtimes".into()).spawn(move || work(&questions, &answers))?;
        Ok(Self { asked, seen, sees })
    }

    /// Becomes readable, anew, with each thing that is seen.
    pub fn sees(&self) -> BorrowedFd<'_> {
        self.sees.as_fd()
    }

    /// Looks at a process soon; at one that is `young`, having just begun to run its program, again and again for a while.
    pub fn look_at(&self, tgid: u32, young: bool, serves: bool) {
        // It ends with the agent alone.
        let _ = self.asked.send(Question { tgid, young, serves });
    }

    /// Waits for what is seen next, until it is too late.
    #[must_use]
    pub fn wait(&self, until: Instant) -> Option<Seen> {
        self.seen.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    /// What was seen since the last time.
    pub fn seen(&self) -> impl Iterator<Item = Seen> {
        self.seen.try_iter()
    }
}

impl Answers {
    /// False if nobody wants to know any more.
    fn send(&self, seen: Seen) -> bool {
        let wanted = self.seen.send(seen).is_ok();
        // It is full after 2^64 - 2 of them.
        let _ = rustix::io::write(&self.sees, &1_u64.to_ne_bytes());
        wanted
    }
}

fn work(questions: &Receiver<Question>, answers: &Answers) {
    let mut images = Images::default();
    let mut waiting: BTreeMap<(Instant, u32, bool), usize> = BTreeMap::new();
    loop {
        let pause = waiting.first_key_value().map(|((due, ..), _)| due.saturating_duration_since(Instant::now()));
        match questions.recv_timeout(pause.unwrap_or(Duration::from_secs(60))) {
            Ok(Question { tgid, young, serves }) if waiting.len() < WAITING_MAX => {
                waiting.insert((Instant::now(), tgid, serves), if young { 0 } else { AGAIN.len() });
            }
            Ok(Question { tgid, serves, .. }) => {
                // Nobody knows what it runs.
                let outcome = Err(Refused { kind: Kind::Python, why: Refusal::TooMany });
                if !answers.send(Seen { tgid, serves, outcome }) {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            let ((_, tgid, serves), looks) = entry.remove_entry();
            match (find(tgid, &mut images), AGAIN.get(looks)) {
                (Ok(found), Some(pause)) if found.layout.is_none() => {
                    let known = looks > 0 || answers.send(Seen { tgid, serves, outcome: Ok(found) });
                    if !known {
                        return;
                    }
                    waiting.insert((Instant::now() + *pause, tgid, serves), looks + 1);
                }
                (Ok(found), None) if found.layout.is_none() => {
                    let outcome = Err(Refused { kind: found.kind, why: Refusal::NotStarted });
                    if !answers.send(Seen { tgid, serves, outcome }) {
                        return;
                    }
                }
                // An interpreter is known by its executable at once; its library, and its state, come later.
                (Err(Refused { why: Refusal::Symbols(_) | Refusal::NotStarted, .. }), Some(pause)) => {
                    waiting.insert((Instant::now() + *pause, tgid, serves), looks + 1);
                }
                // Every question is answered once.
                (outcome, _) => {
                    if !answers.send(Seen { tgid, serves, outcome }) {
                        return;
                    }
                }
            }
        }
    }
}
