//! Judges the agent's links by the truth: right, orphan or wrong.
//!
//! Spans and truth meet by connection and time, never by an id on a span, so that an agent that took a request for
//! another one cannot hide it. Two edges are judged: a server span's parent is the client span of the same exchange, and a
//! client span's parent is the server span of what caused the call. [`Truth::judge`] asks whether all is right;
//! [`Truth::edges`] tells of each call what became of it, for calls with any number of causes.

mod edges;
mod exchange;
mod join;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use anyhow::{Result, ensure};

use crate::otlp::Span;
use crate::session::{Sent, WireContext};
use crate::truth::Sighting;
pub use edges::{Edge, Edges, Fate as EdgeFate, Wrong};
use exchange::Exchange;

/// What is known about the traffic.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    sightings: Vec<Sighting>,
    contexts: HashMap<String, WireContext>,
    driver_traced: bool,
}

impl Truth {
    /// What the workloads told.
    #[must_use]
    pub fn new(sightings: Vec<Sighting>) -> Self {
        Self { sightings, ..Self::default() }
    }

    /// Adds what a driver sent. The driver is not traced: nobody may have a span for its end.
    #[must_use]
    pub fn driven(mut self, sent: &[Sent]) -> Self {
        self.sightings.extend(sent.iter().map(|sent| sent.sighting.clone()));
        let contexts = sent.iter().filter_map(|sent| Some((sent.sighting.id.clone(), sent.context.clone()?)));
        self.contexts.extend(contexts);
        self
    }

    /// Whoever sent the requests that nothing caused is traced too.
    #[must_use]
    pub const fn driver_traced(mut self) -> Self {
        self.driver_traced = true;
        self
    }

    /// Only the exchanges whose ids begin so.
    #[must_use]
    pub fn only(&self, ids: &str) -> Self {
        let mut part = self.clone();
        part.sightings.retain(|sighting| sighting.id.starts_with(ids));
        part
    }

    /// Judges the spans of everything that was sighted.
    ///
    /// # Errors
    /// The truth contradicts itself.
    pub fn judge(&self, spans: &[Span]) -> Result<Score> {
        let exchanges = exchange::gather(&self.sightings)?;
        let joined = join::join(&exchanges, spans);
        let mut score = Score { exchanges: exchanges.len(), extra: twice(spans), ..Score::default() };
        for (place, exchange) in exchanges.iter().enumerate() {
            self.judge_exchange(place, exchange, &exchanges, &joined, &mut score);
        }
        score.extra.extend(joined.extra.iter().map(|span| span.describe()));
        Ok(score)
    }

    fn judge_exchange(
        &self,
        place: usize,
        exchange: &Exchange,
        all: &[Exchange],
        joined: &join::Joined<'_>,
        score: &mut Score,
    ) {
        let (client, server) = (joined.clients[place], joined.servers[place]);
        let client_traced = exchange.causes.is_some() || self.driver_traced;
        if server.is_none() {
            score.missing.push(format!("server span of {}", exchange.id));
        }
        if client_traced && client.is_none() {
            score.missing.push(format!("client span of {}", exchange.id));
        }
        if !client_traced && let Some(client) = client {
            score.extra.push(format!("client span {} of the untraced driver's {}", client.span_id, exchange.id));
        }
        let wire = self.contexts.get(&exchange.id).map(|context| (context.trace_id.as_str(), context.span_id.as_str()));
        let caller = if client_traced { client.map(ids) } else { wire };
        // Without its client span nothing can be said about a traced caller's half; it is missing already.
        if let Some(server) = server.filter(|_| !client_traced || client.is_some()) {
            score.halves.judge(server, caller, &exchange.id, &mut score.wrong);
        }
        let Some(client) = client.filter(|_| client_traced) else {
            return;
        };
        let cause = match exchange.causes.as_deref() {
            None => wire,
            Some([cause]) => {
                let Some(cause) = exchange::place(all, cause).and_then(|place| joined.servers[place]) else {
                    return;
                };
                Some(ids(cause))
            }
            // Nothing, or nothing alone.
            Some(_) => None,
        };
        let fate = score.causes.judge(client, cause, &exchange.id, &mut score.wrong);
        score.evidence.entry(client.evidence()).or_default().count(fate);
    }
}

/// Span ids that several spans have: a span that was exported twice, or two things with one name.
fn twice(spans: &[Span]) -> Vec<String> {
    let mut seen = HashSet::new();
    let again = spans.iter().filter(|span| !seen.insert(&span.span_id));
    again.map(|span| format!("the id {} again", span.span_id)).collect()
}

/// Trace and span id.
type Ids<'a> = (&'a str, &'a str);

fn ids(span: &Span) -> Ids<'_> {
    (&span.trace_id, &span.span_id)
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Right,
    Orphan,
    Wrong,
}

/// Counts of the three fates of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// The parent is the true one.
    pub right: usize,
    /// There is no parent where there should be one.
    pub orphan: usize,
    /// The parent is another one, or one where none should be.
    pub wrong: usize,
}

impl Fates {
    fn judge(&mut self, span: &Span, parent: Option<Ids<'_>>, id: &str, wrong: &mut Vec<String>) -> Fate {
        let fate = match (&span.parent, parent) {
            (None, None) => Fate::Right,
            (None, Some(_)) => Fate::Orphan,
            (Some(found), Some((trace, parent))) if found == parent && span.trace_id == trace => Fate::Right,
            (Some(found), _) => {
                wrong.push(format!(
                    "{:?} span {} of {id} ({}): parent {found} in trace {}, in truth {parent:?}",
                    span.kind,
                    span.span_id,
                    span.evidence(),
                    span.trace_id
                ));
                Fate::Wrong
            }
        };
        self.count(fate);
        fate
    }

    const fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Right => self.right += 1,
            Fate::Orphan => self.orphan += 1,
            Fate::Wrong => self.wrong += 1,
        }
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} right, {} orphan, {} wrong", self.right, self.orphan, self.wrong)
    }
}

/// How the agent did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Exchanges in truth.
    pub exchanges: usize,
    /// Server spans' parents.
    pub halves: Fates,
    /// Client spans' parents.
    pub causes: Fates,
    /// Spans that should be there.
    pub missing: Vec<String>,
    /// Spans that describe nothing that happened.
    pub extra: Vec<String>,
    /// The wrong links.
    pub wrong: Vec<String>,
    /// Client spans' parents by the evidence the agent names.
    pub evidence: BTreeMap<String, Fates>,
}

impl Score {
    /// Every span is there and none too many.
    ///
    /// # Errors
    /// It is not so.
    pub fn whole(&self) -> Result<()> {
        ensure!(self.missing.is_empty() && self.extra.is_empty(), "spans are missing or invented\n{self}");
        Ok(())
    }

    /// No link is wrong.
    ///
    /// # Errors
    /// It is not so.
    pub fn none_wrong(&self) -> Result<()> {
        ensure!(self.halves.wrong == 0 && self.causes.wrong == 0, "links are wrong\n{self}");
        Ok(())
    }

    /// Every span is there, every link is right.
    ///
    /// # Errors
    /// It is not so.
    pub fn all_right(&self) -> Result<()> {
        self.whole()?;
        self.none_wrong()?;
        ensure!(self.halves.orphan == 0 && self.causes.orphan == 0, "links are missing\n{self}");
        Ok(())
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Examples printed of each defect.
        const EXAMPLES: usize = 10;
        writeln!(f, "{} exchanges; halves: {}; causes: {}", self.exchanges, self.halves, self.causes)?;
        for (evidence, fates) in &self.evidence {
            writeln!(f, "  {evidence}: {fates}")?;
        }
        for (name, defects) in [("missing", &self.missing), ("extra", &self.extra), ("wrong", &self.wrong)] {
            if !defects.is_empty() {
                writeln!(f, "  {} {name}, such as", defects.len())?;
                defects.iter().take(EXAMPLES).try_for_each(|defect| writeln!(f, "    {defect}"))?;
            }
        }
        Ok(())
    }
}
