//! Which span describes which end of which exchange.

use std::collections::{HashMap, HashSet};

use super::exchange::{End, Exchange};
use crate::clock::TOLERANCE_NS;
use crate::otlp::{Kind, Span};

/// Spans by the exchanges' places, and the spans that belong to none.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    pub(super) clients: Vec<Option<&'a Span>>,
    pub(super) servers: Vec<Option<&'a Span>>,
    pub(super) extra: Vec<&'a Span>,
}

/// A connection as one end sees it. A unix connection's ends say only the server's path: its process takes the place of
/// the rest, so that such a process must serve or call one at a time to be judged.
type Connection = (Kind, Option<u32>, String, String);

/// Joins spans and exchanges.
pub(super) fn join<'a>(exchanges: &[Exchange], spans: &'a [Span]) -> Joined<'a> {
    let mut waiting = HashMap::<Connection, Vec<&'a Span>>::new();
    for span in spans {
        let connection = connection(span.kind, span.pid(), &span.local(), &span.peer());
        waiting.entry(connection).or_default().push(span);
    }
    let mut told = HashMap::<Connection, Vec<(usize, &End)>>::new();
    for (place, exchange) in exchanges.iter().enumerate() {
        for (kind, end) in [(Kind::Client, &exchange.client), (Kind::Server, &exchange.server)] {
            told.entry(connection(kind, end.pid, &end.local, &end.peer)).or_default().push((place, end));
        }
    }
    let mut joined =
        Joined { clients: vec![None; exchanges.len()], servers: vec![None; exchanges.len()], extra: Vec::new() };
    for (connection, ends) in told {
        let spans = waiting.remove(&connection).unwrap_or_default();
        let side = if connection.0 == Kind::Client { &mut joined.clients } else { &mut joined.servers };
        joined.extra.extend(pair(&ends, spans, side));
    }
    joined.extra.extend(waiting.into_values().flatten());
    through_their_server(exchanges, &mut joined);
    joined
}

fn connection(kind: Kind, pid: Option<u32>, local: &str, peer: &str) -> Connection {
    if local.starts_with("unix:") || peer.starts_with("unix:") {
        let path = if kind == Kind::Server { local } else { peer };
        (kind, pid, path.to_owned(), String::new())
    } else {
        (kind, None, local.to_owned(), peer.to_owned())
    }
}

/// Exchanges on a connection follow one another, unless they were pipelined: each is described by the span nearest to it, and of several exchanges
/// with the same nearest span only the nearest one is. Gives the spans that are left.
fn pair<'a>(ends: &[(usize, &End)], spans: Vec<&'a Span>, side: &mut [Option<&'a Span>]) -> Vec<&'a Span> {
    let begun: HashSet<_> = ends.iter().map(|(_, end)| end.from_ns).collect();
    let pipelined = begun.len() < ends.len();
    if pipelined && spans.len() == ends.len() {
        return zip(ends, spans, side);
    }
    let distance = if pipelined { distance_of_pipelined } else { distance };
    let mut claims = vec![None::<((u64, u64), usize)>; spans.len()];
    for (place, end) in ends {
        let nearest = (0..spans.len()).min_by_key(|index| distance(end, spans[*index]));
        let Some(index) = nearest else { continue };
        let distance = distance(end, spans[index]);
        if distance.0 <= TOLERANCE_NS && claims[index].is_none_or(|(other, _)| distance < other) {
            claims[index] = Some((distance, *place));
        }
    }
    let mut left = Vec::new();
    for (span, claim) in spans.into_iter().zip(claims) {
        match claim {
            Some((_, place)) => side[place] = Some(span),
            None => left.push(span),
        }
    }
    left
}

/// How long the exchange was over before the span began, or began after it ended; among spans that it overlaps, how far
/// its middle is from their start. (A span's end may be seen a little late, when the next exchange has begun already: its
/// start is the better witness, and always within the exchange.)
fn distance(end: &End, span: &Span) -> (u64, u64) {
    let middle = end.from_ns + (end.to_ns - end.from_ns) / 2;
    let outside = span.start_ns.saturating_sub(end.to_ns).max(end.from_ns.saturating_sub(span.end_ns));
    (outside, middle.abs_diff(span.start_ns))
}

/// Answers come in the order of requests (RFC 9112, section 9.3.2): if there are as many spans as exchanges, that says which
/// is which, however close together they end. Gives the spans that are too far away.
fn zip<'a>(ends: &[(usize, &End)], spans: Vec<&'a Span>, side: &mut [Option<&'a Span>]) -> Vec<&'a Span> {
    let (mut ends, mut spans) = (ends.to_vec(), spans);
    ends.sort_by_key(|(_, end)| end.to_ns);
    spans.sort_by_key(|span| span.end_ns);
    let mut left = Vec::new();
    for ((place, end), span) in ends.into_iter().zip(spans) {
        if distance_of_pipelined(end, span).0 <= TOLERANCE_NS {
            side[place] = Some(span);
        } else {
            left.push(span);
        }
    }
    left
}

/// Pipelined requests begin at once, but are answered one after the other.
fn distance_of_pipelined(end: &End, span: &Span) -> (u64, u64) {
    (distance(end, span).0, end.to_ns.abs_diff(span.end_ns))
}

/// A call over a unix socket that its caller told nothing of (nginx) can be told from its caller's other ones only
/// through its server: it is the one whose half the server span claims to be. Judged is then whether the two links
/// together, over this call, lead to the cause.
fn through_their_server<'a>(exchanges: &[Exchange], joined: &mut Joined<'a>) {
    let mut extra: HashMap<(&'a str, &'a str), &'a Span> =
        joined.extra.drain(..).map(|span| ((span.trace_id.as_str(), span.span_id.as_str()), span)).collect();
    for (place, exchange) in exchanges.iter().enumerate() {
        let nameless = exchange.client.pid.is_none() && exchange.client.peer.starts_with("unix:");
        let Some(server) = joined.servers[place].filter(|_| nameless && joined.clients[place].is_none()) else {
            continue;
        };
        let Some(parent) = server.parent.as_deref() else {
            continue;
        };
        let claimed = extra.get(&(server.trace_id.as_str(), parent)).copied();
        if claimed.is_some_and(|span| span.kind == Kind::Client && span.peer() == exchange.client.peer) {
            joined.clients[place] = extra.remove(&(server.trace_id.as_str(), parent));
        }
    }
    joined.extra = extra.into_values().collect();
}
