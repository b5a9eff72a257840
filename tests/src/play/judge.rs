//! Holds what was told of a play to what had to be.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Play;
use super::act::Side;
use super::expect::{Cause, Half, Told};
use crate::otlp::{Kind, Span};

/// What came of a play, however it was played.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The spans of its time, all of them.
    pub spans: Vec<Span>,
    /// What was lost meanwhile, by reason. Not looked at where others were played beside it.
    pub losses: Option<BTreeMap<String, u64>>,
    /// When each act began and ended, nanoseconds in the spans' clock.
    pub times: Vec<[u64; 2]>,
    /// How far a span's time may be from that of its act.
    pub tolerance_ns: u64,
    /// Of each connection its client's own end and the other one, then its server's, as spans write them.
    pub ends: Vec<[(String, String); 2]>,
}

/// Every difference, in words; none if all is as it had to be.
#[must_use]
pub fn judge(play: &Play, seen: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    let mut matched = Vec::new();
    for wire in 0..play.wires.len() {
        for side in Side::BOTH {
            pair(play, seen, wire, side, &mut matched, &mut faults);
        }
    }
    for (number, side, span) in &matched {
        let told = &play.told[*number];
        if let Some(half) = &told.halves[*side as usize] {
            let mut checks =
                Checks { what: format!("{side:?} half of {} {}", told.method, told.paths[0]), faults: &mut faults };
            checks.half(told, half, *side, span, seen);
            checks.origin(play, told, *side, span, &matched);
        }
    }
    for span in &seen.spans {
        if !matched.iter().any(|(_, _, known)| known.span_id == span.span_id) {
            faults.push(format!("extra: {}", short(span)));
        }
    }
    if let Some(losses) = &seen.losses {
        let expected: BTreeMap<String, u64> =
            play.losses.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let lost: BTreeMap<_, _> =
            losses.iter().filter(|(_, count)| **count > 0).map(|(name, count)| (name.clone(), *count)).collect();
        if lost != expected {
            faults.push(format!("lost {lost:?}, had to lose {expected:?}"));
        }
    }
    faults
}

/// Every difference that may not be where records were lost, repeated, or came late. An exchange may be missing then, or
/// a part of it, if something was counted; but whatever is told must be as it had to be. `whole` is what was told of all
/// records: a parent may be one of its spans that is missing now.
#[must_use]
pub fn judge_under_loss(play: &Play, seen: &Seen, whole: &Seen) -> Vec<String> {
    let strict = judge(play, seen);
    let declared = seen.losses.as_ref().is_some_and(|losses| {
        losses.iter().any(|(name, count)| *count > play.losses.get(name.as_str()).copied().unwrap_or_default())
    });
    if !declared {
        return strict;
    }
    let mut faults = Vec::new();
    for span in &seen.spans {
        let possible = candidates(play, seen, span);
        let worst = possible.iter().map(|(told, side)| wrong(play, told, *side, span, seen, whole));
        match worst.min_by_key(Vec::len) {
            None => faults.push(format!("invented: {}", short(span))),
            Some(wrong) => faults.extend(wrong),
        }
    }
    faults
}

/// The halves that a span may be of, by its connection and request line.
fn candidates<'a>(play: &'a Play, seen: &Seen, span: &Span) -> Vec<(&'a Told, Side)> {
    let side = if span.kind == Kind::Client { Side::Client } else { Side::Server };
    let is_of = |told: &&Told| {
        (span.local(), span.peer()) == seen.ends[told.wire][side as usize]
            && is_path(span.path(), &told.paths[side as usize])
            && original_method(span) == told.method
    };
    play.told.iter().filter(is_of).map(|told| (told, side)).collect()
}

/// True if a path is the one expected. A long URL is cut, and where depends on the host's name.
fn is_path(got: &str, expected: &str) -> bool {
    const CUT_BYTES: usize = 1900;
    got == expected || (got.len().min(expected.len()) > CUT_BYTES && got[..CUT_BYTES] == expected[..CUT_BYTES])
}

/// What a span says that is not so.
fn wrong(play: &Play, told: &Told, side: Side, span: &Span, seen: &Seen, whole: &Seen) -> Vec<String> {
    let mut faults = Vec::new();
    let mut checks =
        Checks { what: format!("{side:?} half of {} {}", told.method, told.paths[0]), faults: &mut faults };
    let number = |name| span.number(name).and_then(|number| u64::try_from(number).ok());
    let Some(half) = &told.halves[side as usize] else {
        // Unseen as it was at this end, a loss may not have made it seen.
        return vec![format!("invented: {}", short(span))];
    };
    checks.near("start", span.start_ns, seen.times[half.from], seen.tolerance_ns);
    let last = seen.times.last().map_or(0, |time| time[1]);
    checks.near("end", span.end_ns, [seen.times[half.from][0], last + LAST_NS], seen.tolerance_ns);
    if span.status().is_some() {
        checks.same("status", span.status(), half.status.map(i64::from));
    }
    for (name, expected) in [("http.request.body.size", half.bodies[0]), ("http.response.body.size", half.bodies[1])] {
        if number(name).is_some() {
            checks.same(name, number(name), expected);
        }
    }
    // Where the request's name for its server was not seen, the connection's stands in.
    for (name, value) in told.attributes.iter().filter(|(name, _)| !name.starts_with("server.")) {
        if let Some(got) = span.attributes.get(*name) {
            checks.same(name, text(got), value.clone());
        }
    }
    for name in &told.absent {
        checks.same(name, span.attributes.get(*name).map(text), None);
    }
    if let Some(error) = span.text("error.type")
        && span.status().is_none()
        // Why a connection ended may be lost, and that it did be told.
        && !(error == "closed" && half.error.is_some())
    {
        checks.same("error.type", Some(error), half.error);
    }
    if let Some(parent) = &span.parent {
        let of_wire = told.context.as_ref().is_some_and(|context| &context.span == parent);
        let of_span = seen.spans.iter().chain(&whole.spans).find(|other| &other.span_id == parent);
        let right = of_span.is_some_and(|other| play.may_be_below(told, side, other, seen));
        if !of_wire && !right {
            checks.faults.push(format!("{}: a wrong parent, {}", checks.what, of_span.map_or_else(String::new, short)));
        }
    }
    faults
}

/// A connection that is left open is closed this long after the last act.
const LAST_NS: u64 = 1_000_000_000;

/// A span, in a line.
#[must_use]
pub fn short(span: &Span) -> String {
    let status = span.status().map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!("{:?} {} {} {status} {} <- {}", span.kind, span.method(), span.path(), span.local(), span.peer())
}

type Matched<'a> = (usize, Side, &'a Span);

/// Pairs the spans of one end of a connection with what it had to tell, in their order.
fn pair<'a>(
    play: &Play,
    seen: &'a Seen,
    wire: usize,
    side: Side,
    matched: &mut Vec<Matched<'a>>,
    faults: &mut Vec<String>,
) {
    let kind = if side == Side::Client { Kind::Client } else { Kind::Server };
    let ends = &seen.ends[wire][side as usize];
    let mut spans: Vec<&Span> =
        seen.spans.iter().filter(|span| span.kind == kind && (span.local(), span.peer()) == *ends).collect();
    // Requests of one call begin at the same time, and are told in their order.
    spans.sort_by_key(|span| (span.start_ns, span.end_ns));
    let expected = (0..play.told.len()).filter(|number| {
        let told = &play.told[*number];
        told.wire == wire && told.halves[side as usize].is_some() && told.is_sampled()
    });
    let mut expected: Vec<usize> = expected.collect();
    expected.sort_by_key(|number| play.told[*number].halves[side as usize].as_ref().map(|half| half.from));
    for number in expected {
        let told = &play.told[number];
        let path = &told.paths[side as usize];
        match spans.iter().position(|span| span.path() == path && original_method(span) == told.method) {
            Some(place) => matched.push((number, side, spans.remove(place))),
            None => faults.push(format!("{side:?} half of {} {path}: not told", told.method)),
        }
    }
}

/// The method as it was on the wire.
fn original_method(span: &Span) -> &str {
    span.text("http.request.method_original").unwrap_or_else(|| span.method())
}

struct Checks<'a> {
    what: String,
    faults: &'a mut Vec<String>,
}

impl Checks<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, got: T, expected: T) {
        if got != expected {
            self.faults.push(format!("{}: {name} is {got:?}, had to be {expected:?}", self.what));
        }
    }

    fn near(&mut self, name: &str, got: u64, act: [u64; 2], tolerance: u64) {
        let (from, to) = (act[0].saturating_sub(tolerance), act[1] + tolerance);
        if !(from..=to).contains(&got) {
            let off = if got < from { from - got } else { got - to };
            self.faults.push(format!("{}: {name} is {off} ns beyond the tolerance off", self.what));
        }
    }

    fn half(&mut self, told: &Told, half: &Half, side: Side, span: &Span, seen: &Seen) {
        let number = |name| span.number(name).and_then(|number| u64::try_from(number).ok());
        self.near("start", span.start_ns, seen.times[half.from], seen.tolerance_ns);
        self.near("end", span.end_ns, seen.times[half.to], seen.tolerance_ns);
        if let Some(first) = half.first_byte {
            let time = span.start_ns + number("tracemend.http.time_to_first_byte_ns").unwrap_or_default();
            self.near("first byte", time, seen.times[first], seen.tolerance_ns);
        }
        self.same("status", span.status(), half.status.map(i64::from));
        let lowest = if side == Side::Client { 400 } else { 500 };
        let error = half.status.filter(|status| *status >= lowest).map(|status| status.to_string());
        let error = error.or_else(|| half.error.map(str::to_owned));
        self.same("error.type", span.text("error.type").map(str::to_owned), error);
        self.same("request body", number("http.request.body.size"), half.bodies[0]);
        self.same("answer body", number("http.response.body.size"), half.bodies[1]);
        self.same("unseen bytes", number("tracemend.unseen_bytes").unwrap_or_default(), half.unseen);
        for (name, value) in &told.attributes {
            self.same(name, span.attributes.get(*name).map(text), Some(value.clone()));
        }
        for name in &told.absent {
            self.same(name, span.attributes.get(*name).map(text), None);
        }
        let state = told.context.as_ref().map_or("", |context| context.state.as_str());
        self.same("tracestate", span.trace_state.as_str(), state);
    }

    /// Trace, parent, and how they are known.
    fn origin(&mut self, play: &Play, told: &Told, side: Side, span: &Span, matched: &[Matched<'_>]) {
        let find = |wanted: usize, end: Side| {
            matched.iter().find(|(number, side, _)| (*number, *side) == (wanted, end)).map(|(_, _, span)| *span)
        };
        let wire = told.context.as_ref().map(|context| (context.trace.as_str(), context.span.as_str()));
        let number = matched.iter().find(|(_, _, known)| known.span_id == span.span_id).map(|(number, ..)| *number);
        let caller = number.and_then(|number| find(number, Side::Client));
        let (parent, evidence) = match (side, caller, told.cause) {
            (Side::Server, Some(caller), _) => (Some(ids(caller)), "peer (exact)".to_owned()),
            (Side::Client, _, Cause::Served(cause, evidence, confidence)) => {
                (find(cause, Side::Server).map(ids), format!("{evidence} ({confidence})"))
            }
            (Side::Client, _, Cause::Orphan(reason)) => (None, format!("orphan: {reason}")),
            (Side::Client, _, Cause::Conflict(cause)) => {
                let linked = find(cause, Side::Server).map(|span| (span.trace_id.clone(), span.span_id.clone()));
                self.same("links", span.links.clone(), linked.into_iter().collect());
                (None, "orphan: conflict".to_owned())
            }
            _ if wire.is_some() => (wire, "wire (exact)".to_owned()),
            _ => (None, "root (none)".to_owned()),
        };
        self.same("parent", span.parent.as_deref(), parent.map(|(_, span)| span));
        self.same("evidence", span.evidence(), evidence);
        let trace = parent.or(wire).map(|(trace, _)| trace);
        if let Some(trace) = trace {
            self.same("trace", span.trace_id.as_str(), trace);
        } else {
            let shared = matched.iter().filter(|(_, _, other)| other.trace_id == span.trace_id);
            let foreign = shared.filter(|(other, ..)| !play.is_of_one_trace(*other, number.unwrap_or_default()));
            self.same("exchanges in a trace that is its own", foreign.count(), 0);
        }
    }
}

fn ids(span: &Span) -> (&str, &str) {
    (&span.trace_id, &span.span_id)
}

/// A value as it is printed: of a list its parts, one after the other.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Play {
    /// True if a span may be the parent of a half of this exchange.
    fn may_be_below(&self, told: &Told, side: Side, parent: &Span, seen: &Seen) -> bool {
        candidates(self, seen, parent).iter().any(|(other, end)| match (side, told.cause) {
            (Side::Server, _) => *end == Side::Client && std::ptr::eq(*other, told),
            (Side::Client, Cause::Served(cause, ..)) => *end == Side::Server && std::ptr::eq(*other, &self.told[cause]),
            // Which of two disagreeing kinds of evidence is right nobody knows: without one the other stands.
            (Side::Client, Cause::Conflict(_) | Cause::Orphan("conflict")) => *end == Side::Server,
            (Side::Client, _) => false,
        })
    }

    /// True if one of two exchanges caused the other, by way of others or not, or both have a cause in common.
    fn is_of_one_trace(&self, one: usize, other: usize) -> bool {
        self.root(one) == self.root(other)
    }

    fn root(&self, number: usize) -> usize {
        match self.told[number].cause {
            Cause::Served(cause, ..) if cause != number => self.root(cause),
            _ => number,
        }
    }
}
