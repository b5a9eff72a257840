//! What became of each call: the one question that a pattern of handing work over is about.
//!
//! An edge is a call and what it says of its causes: the client span below the server span of the one request that caused
//! it (or linked to all that did, or to nothing), and the callee's server span below that client span. It is right if both
//! are, and else as bad as the worse of the two.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Result;

use super::exchange::{self, Exchange};
use super::join::{self, Joined};
use super::{Ids, Truth, ids, twice};
use crate::otlp::Span;
use crate::truth;

/// What became of an edge, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Exactly what is true is claimed.
    Right,
    /// Less is claimed than is true.
    Orphan,
    /// A span is missing, so that nothing is claimed that could be judged.
    Unseen,
    /// Something untrue is claimed, in the trace of a true cause.
    WrongParent,
    /// Something untrue is claimed, in another trace.
    WrongRequest,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The truth's id of it.
    pub id: String,
    /// How many requests caused it.
    pub causes: usize,
    /// Its caller's end of the connection.
    pub caller: String,
    /// When it was under way, nanoseconds since the epoch.
    pub at_ns: u64,
    /// What became of it.
    pub fate: Fate,
    /// The evidence for its cause that the agent names, or the reason it gives for an orphan. None for an unseen edge.
    pub evidence: Option<String>,
}

/// A claim that is untrue.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The span that makes it.
    pub span_id: String,
    /// It was said to be exact.
    pub exact: bool,
    /// What is claimed, and what is true.
    pub what: String,
}

/// Every call, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// The calls, in the order of ids.
    pub edges: Vec<Edge>,
    /// The untrue claims: of edges, and of spans of the driver's requests, which nothing caused.
    pub wrong: Vec<Wrong>,
    /// Spans that describe nothing that happened.
    pub extra: Vec<String>,
    /// Requests of the driver.
    pub requests: usize,
    /// Those whose every span is there and claims exactly what is true.
    pub complete: usize,
}

impl Edges {
    /// Edges with this fate.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.edges.iter().filter(|edge| edge.fate == fate).count()
    }

    /// Edges that claim something untrue.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.count(Fate::WrongParent) + self.count(Fate::WrongRequest)
    }

    /// Untrue claims that were said to be exact.
    #[must_use]
    pub fn exact_wrong(&self) -> usize {
        self.wrong.iter().filter(|wrong| wrong.exact).count()
    }
}

impl Truth {
    /// Tells of each call what became of it. The driver is not traced.
    ///
    /// # Errors
    /// The truth contradicts itself.
    pub fn edges(&self, spans: &[Span]) -> Result<Edges> {
        let exchanges = exchange::gather(&self.sightings)?;
        let joined = join::join(&exchanges, spans);
        let mut edges = Edges { extra: twice(spans), ..Edges::default() };
        edges.extra.extend(joined.extra.iter().map(|span| span.describe()));
        let mut spoiled = HashSet::new();
        for (place, exchange) in exchanges.iter().enumerate() {
            match &exchange.causes {
                None => {
                    edges.requests += 1;
                    if !root(joined.servers[place], &exchange.id, &mut edges.wrong) {
                        spoiled.insert(exchange.id.as_str());
                    }
                }
                Some(causes) => {
                    let edge = edge(place, exchange, causes, &exchanges, &joined, &mut edges.wrong);
                    if edge.fate != Fate::Right {
                        spoiled.extend(roots(&exchange.id));
                    }
                    edges.edges.push(edge);
                }
            }
        }
        let requests = exchanges.iter().filter(|exchange| exchange.causes.is_none());
        edges.complete = requests.filter(|exchange| !spoiled.contains(exchange.id.as_str())).count();
        Ok(edges)
    }

    /// The same traffic with each call blamed on a request that did not cause it, except by chance: an agent that is right
    /// by the truth is wrong by this.
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut shuffled = self.clone();
        let roots: Vec<String> = {
            let ids = self.sightings.iter().map(|one| one.id.as_str()).filter(|id| truth::causes(id).is_none());
            ids.collect::<std::collections::BTreeSet<_>>().into_iter().map(ToOwned::to_owned).collect()
        };
        let mut others = roots.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut others);
        let blamed: HashMap<_, _> = roots.into_iter().zip(others).collect();
        for sighting in &mut shuffled.sightings {
            if let Some((causes, part)) = sighting.id.rsplit_once('.') {
                let other = |cause: &str| {
                    let (root, rest) = cause.find('.').map_or((cause, ""), |at| cause.split_at(at));
                    blamed.get(root).map_or_else(|| cause.to_owned(), |root| format!("{root}{rest}"))
                };
                let causes: Vec<_> = causes.split('+').map(other).collect();
                sighting.id = format!("{}.{part}", causes.join("+"));
            }
        }
        shuffled
    }
}

/// The driver's requests that an exchange with this id was made for.
fn roots(id: &str) -> impl Iterator<Item = &str> {
    let causes = truth::causes(id).unwrap_or_default();
    causes.into_iter().map(|cause| cause.split('.').next().unwrap_or(cause))
}

/// A request of the driver was caused by nothing. Whether its span is there and says so.
fn root(server: Option<&Span>, id: &str, wrong: &mut Vec<Wrong>) -> bool {
    let Some(span) = server else { return false };
    let claims = claims(span);
    if claims.is_empty() {
        return true;
    }
    wrong.push(Wrong {
        span_id: span.span_id.clone(),
        exact: is_exact(span),
        what: format!("{}, the driver's {id}, claims {claims:?} and has no cause", span.describe()),
    });
    false
}

fn edge(
    place: usize,
    exchange: &Exchange,
    causes: &[String],
    all: &[Exchange],
    joined: &Joined<'_>,
    wrong: &mut Vec<Wrong>,
) -> Edge {
    let edge = |fate, evidence| {
        let (caller, at_ns) = (exchange.client.local.clone(), exchange.client.from_ns);
        Edge { id: exchange.id.clone(), causes: causes.len(), caller, at_ns, fate, evidence }
    };
    let seen = || {
        let truth: Option<Vec<Ids<'_>>> =
            causes.iter().map(|cause| Some(ids(joined.servers[exchange::place(all, cause)?]?))).collect();
        Some((joined.clients[place]?, joined.servers[place]?, truth?))
    };
    let Some((client, server, truth)) = seen() else {
        return edge(Fate::Unseen, None);
    };
    let mut judge = |span: &Span, truth: &[Ids<'_>]| {
        let fate = judge(span, truth);
        if fate > Fate::Unseen {
            let claims = claims(span);
            wrong.push(Wrong {
                span_id: span.span_id.clone(),
                exact: is_exact(span),
                what: format!(
                    "{} ({}) of {} claims {claims:?}, in truth {truth:?}",
                    span.describe(),
                    span.evidence(),
                    exchange.id
                ),
            });
        }
        fate
    };
    let fate = judge(client, &truth).max(judge(server, &[ids(client)]));
    edge(fate, Some(client.evidence()))
}

/// What a span says of its causes, by the truth.
fn judge(span: &Span, truth: &[Ids<'_>]) -> Fate {
    let claims = claims(span);
    let untrue = claims.iter().filter(|claim| !truth.contains(claim));
    let in_trace = |claim: &Ids<'_>| truth.iter().any(|(trace, _)| *trace == claim.0);
    let worst = untrue.map(|claim| if in_trace(claim) { Fate::WrongParent } else { Fate::WrongRequest }).max();
    match (worst, truth) {
        (Some(worst), _) => worst,
        (None, [_]) if span.parent.is_none() => Fate::Orphan,
        (None, [] | [_]) => Fate::Right,
        // One of several is not the cause.
        (None, _) if span.parent.is_some() => Fate::WrongParent,
        (None, _) if truth.iter().all(|cause| claims.contains(cause)) => Fate::Right,
        (None, _) => Fate::Orphan,
    }
}

/// Parent and links.
fn claims(span: &Span) -> Vec<Ids<'_>> {
    let parent = span.parent.as_deref().map(|parent| (span.trace_id.as_str(), parent));
    parent.into_iter().chain(span.links.iter().map(|(trace, span)| (trace.as_str(), span.as_str()))).collect()
}

fn is_exact(span: &Span) -> bool {
    span.text("tracemend.link.confidence") == Some("exact")
}

impl Edges {
    /// Fates by the evidence that the agent names for them.
    #[must_use]
    pub fn by_evidence(&self) -> BTreeMap<&str, BTreeMap<Fate, usize>> {
        let mut table = BTreeMap::<&str, BTreeMap<Fate, usize>>::new();
        for edge in &self.edges {
            let evidence = edge.evidence.as_deref().unwrap_or("not seen");
            *table.entry(evidence).or_default().entry(edge.fate).or_default() += 1;
        }
        table
    }
}
