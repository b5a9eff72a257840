//! Whether the trace that was read back is the one that happened.

use std::collections::BTreeSet;

use super::span::{Kind, Span};

/// The attribute that says how a link is known.
const EVIDENCE: &str = "tracemend.link.evidence";

/// A step of the request, in its order.
pub(super) struct Step {
    /// The service, for messages.
    pub(super) service: &'static str,
    /// Its processes.
    pub(super) pids: BTreeSet<u32>,
    /// Which end of an exchange.
    pub(super) kind: Kind,
}

/// The steps of a request through services that each serve and then call, the first calling alone, the last only
/// serving.
pub(super) fn steps(services: &[(&'static str, BTreeSet<u32>)]) -> Vec<Step> {
    let both = services.iter().flat_map(|(service, pids)| {
        [Kind::Server, Kind::Client].map(|kind| Step { service, pids: pids.clone(), kind })
    });
    let count = (services.len() * 2).saturating_sub(2);
    both.skip(1).take(count).collect()
}

/// What is wrong with the spans of the trace: empty if they are `root` and one span per step, each the child of the one
/// before it and saying how that is known.
pub(super) fn problems(trace: &[Span], root: &str, steps: &[Step]) -> Vec<String> {
    let mut problems: Vec<_> =
        trace.iter().flat_map(|span| span.warnings.iter().map(|text| format!("{}: {text}", span.describe()))).collect();
    let is_at =
        |step: &Step, span: &Span| span.kind == step.kind && span.pid().is_some_and(|pid| step.pids.contains(&pid));
    let mut before = trace.iter().find(|span| span.id == root);
    if before.is_none() {
        problems.push("the root span is missing".to_owned());
    }
    for step in steps {
        let found: Vec<_> = trace.iter().filter(|span| is_at(step, span)).collect();
        let kind = format!("{:?}", step.kind).to_lowercase();
        let [span] = found.as_slice() else {
            problems.push(format!("{} {kind} spans of {}, expected one", found.len(), step.service));
            before = None;
            continue;
        };
        if before.is_some_and(|before| span.parent.as_ref() != Some(&before.id)) {
            problems.push(format!("{} is not the child of the step before it", span.describe()));
        }
        if span.text(EVIDENCE).is_none_or(|evidence| evidence.is_empty()) {
            problems.push(format!("{} has no {EVIDENCE}", span.describe()));
        }
        before = Some(span);
    }
    let is_expected = |span: &Span| span.id == root || steps.iter().any(|step| is_at(step, span));
    problems.extend(
        trace.iter().filter(|span| !is_expected(span)).map(|span| format!("{} belongs to no step", span.describe())),
    );
    problems
}

/// Orphans among `spans`, all those of the traced processes: client spans without a parent in a process that had an open
/// request, and server spans whose observed peer is not their parent.
pub(super) fn orphans<'a>(spans: &'a [Span], pids: &BTreeSet<u32>) -> Vec<&'a Span> {
    let ours = |span: &&Span| span.pid().is_some_and(|pid| pids.contains(&pid));
    spans
        .iter()
        .filter(ours)
        .filter(|span| match span.kind {
            Kind::Client => span.parent.is_none() && spans.iter().any(|other| is_serving(other, span)),
            Kind::Server => is_apart_from_its_peer(span, spans),
            Kind::Internal => false,
        })
        .collect()
}

/// Whether `server` was open in the process of `client` when that started.
fn is_serving(server: &Span, client: &Span) -> bool {
    server.kind == Kind::Server
        && server.pid() == client.pid()
        && server.start <= client.start
        && client.start <= server.end
}

fn is_apart_from_its_peer(server: &Span, spans: &[Span]) -> bool {
    let mut peers = spans.iter().filter(|other| other.kind == Kind::Client && is_other_end(other, server)).peekable();
    peers.peek().is_some() && !peers.any(|peer| peer.trace == server.trace && Some(&peer.id) == server.parent.as_ref())
}

/// Whether the two are ends of one connection at one time: each one's local end is the other's peer. A unix socket has a
/// path on one side only, and no ports.
fn is_other_end(client: &Span, server: &Span) -> bool {
    let overlap = client.start <= server.end && server.start <= client.end;
    let called = end(client, "peer");
    let (caller, calling) = (end(client, "local"), end(server, "peer"));
    overlap
        && called.is_some()
        && called == end(server, "local")
        && (caller == calling || called.is_some_and(|(_, port)| port.is_none()))
}

/// Address and, unless it is a path, port.
fn end(span: &Span, side: &str) -> Option<(String, Option<String>)> {
    let address = span.text(&format!("network.{side}.address")).filter(|address| !address.is_empty())?;
    Some((address, span.text(&format!("network.{side}.port"))))
}

#[cfg(test)]
mod tests;
