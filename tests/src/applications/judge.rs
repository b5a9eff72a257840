//! Whether each call of an application has the request as its parent that it was made for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use anyhow::{Result, ensure};

use super::{Asked, Seen};
use crate::clock::near;
use crate::otlp::{Kind, Span};

/// Of a thousand calls so many are to be right at least, where nothing else is known of an application.
const RIGHT_PER_MILLE: usize = 995;

/// What is created while serving is given up when it was idle for so long: the agent cannot wait for ever.
const GIVEN_UP_NS: u64 = 1_000_000_000;

/// What became of an application's requests and calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Requests it was asked.
    pub requests: usize,
    /// Requests that are not one server span.
    pub unserved: Vec<String>,
    /// Calls it made.
    pub calls: usize,
    /// Calls that are no span.
    pub unseen: Vec<String>,
    /// Calls whose parent is the request they were made for.
    pub right: usize,
    /// Calls whose parent is another one.
    pub wrong: Vec<String>,
    /// Calls without a parent, by what they say.
    pub orphans: BTreeMap<String, usize>,
    /// Those of the latter whose request took so long that what made the call may have been given up: on a machine that is busy
    /// with other things.
    pub late: usize,
    /// Right calls, by how they are known.
    pub evidence: BTreeMap<String, usize>,
}

/// Judges the spans of one application. `name` gives the name of the request that a path belongs to, at both ends.
#[must_use]
pub fn judge(spans: &[Span], asked: &[Asked], seen: &[Seen], name: fn(&str) -> &str) -> Verdict {
    let mut verdict = Verdict { requests: asked.len(), calls: seen.len(), ..Verdict::default() };
    let mut served = HashMap::<(&str, String), usize>::new();
    for span in spans.iter().filter(|span| span.kind == Kind::Server) {
        *served.entry((span.path(), span.peer())).or_default() += 1;
    }
    for one in asked {
        if served.get(&(bare(&one.path), one.client.clone())) != Some(&1) {
            verdict.unserved.push(one.path.clone());
        }
    }
    let is_slow = |span: &&Span| span.kind == Kind::Server && span.end_ns - span.start_ns > GIVEN_UP_NS;
    let slow: HashSet<_> = spans.iter().filter(is_slow).map(|span| name(span.path())).collect();
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut calls = HashMap::<(&str, &str, String), Vec<&Span>>::new();
    for span in spans.iter().filter(|span| span.kind == Kind::Client) {
        calls.entry((span.method(), span.path(), span.local())).or_default().push(span);
    }
    for one in seen {
        let candidates = calls.entry((&one.method, bare(&one.path), one.caller.clone())).or_default();
        let overlaps = |span: &&Span| {
            (span.start_ns <= one.to_ns && one.from_ns <= span.end_ns) || near(span.start_ns, one.from_ns)
        };
        let Some(call) = candidates.iter().position(overlaps).map(|place| candidates.swap_remove(place)) else {
            verdict.unseen.push(format!("{} {}", one.method, one.path));
            continue;
        };
        match call.parent.as_ref().map(|parent| by_id.get(parent.as_str())) {
            None => {
                *verdict.orphans.entry(call.evidence()).or_default() += 1;
                verdict.late += usize::from(slow.contains(name(bare(&one.path))));
            }
            Some(Some(parent)) if parent.kind == Kind::Server && name(parent.path()) == name(bare(&one.path)) => {
                verdict.right += 1;
                *verdict.evidence.entry(call.evidence()).or_default() += 1;
            }
            Some(parent) => {
                let parent = parent.map_or("nothing that was told".to_owned(), |parent| parent.describe());
                verdict.wrong.push(format!("{} {}: {parent}, {}", one.method, one.path, call.evidence()));
            }
        }
    }
    verdict
}

impl Verdict {
    /// Every request and every call was seen, and no parent is wrong.
    ///
    /// # Errors
    /// What is not so.
    pub fn nothing_wrong(&self) -> Result<()> {
        ensure!(self.unserved.is_empty(), "requests without a span of their own: {self}: {:?}", self.unserved);
        ensure!(self.unseen.is_empty(), "calls without a span: {self}: {:?}", self.unseen);
        ensure!(self.wrong.is_empty(), "wrong parents: {self}: {:#?}", self.wrong);
        Ok(())
    }

    /// And nearly all have one.
    ///
    /// # Errors
    /// What is not so.
    pub fn all_right(&self) -> Result<()> {
        self.right_per_mille(RIGHT_PER_MILLE)
    }

    /// The same, of an application of which so many of a thousand are expected to be right.
    ///
    /// # Errors
    /// What is not so.
    pub fn right_per_mille(&self, expected: usize) -> Result<()> {
        self.nothing_wrong()?;
        ensure!(self.right * 1000 >= (self.calls - self.late) * expected, "too few are right: {self}");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, calls, right, .. } = self;
        let (wrong, unseen, unserved) = (self.wrong.len(), self.unseen.len(), self.unserved.len());
        let orphans: usize = self.orphans.values().sum();
        write!(f, "{requests} requests ({unserved} without a span), {calls} calls ({unseen} without a span): ")?;
        let late = self.late;
        write!(
            f,
            "{right} right {:?}, {orphans} orphans {:?} ({late} of slow requests), ",
            self.evidence, self.orphans
        )?;
        write!(f, "{wrong} wrong")
    }
}

/// A span's path has no query.
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
