//! The scorer on spans made by hand from the truth.

mod edges;

use std::sync::Arc;

use super::*;
use crate::otlp::{Attributes, Kind};
use crate::truth::Event;

/// A driver's request to a server that calls a backend, `count` times over kept-alive connections.
fn truth(count: u64) -> Vec<Sighting> {
    let sighting = |event, id: String, local: &str, peer: &str, from_ns, to_ns| Sighting {
        event,
        id,
        pid: 1,
        local: local.to_owned(),
        peer: peer.to_owned(),
        from_ns,
        to_ns,
    };
    (0..count)
        .flat_map(|number| {
            let start = 1_000_000_000 + number * 1_000_000;
            [
                sighting(Event::Out, format!("r{number}"), "d:1", "s:1", start, start + 900_000),
                sighting(Event::In, format!("r{number}"), "s:1", "d:1", start + 100_000, start + 100_000),
                sighting(Event::Out, format!("r{number}.1"), "s:2", "b:1", start + 200_000, start + 800_000),
                sighting(Event::In, format!("r{number}.1"), "b:1", "s:2", start + 400_000, start + 400_000),
            ]
        })
        .collect()
}

fn span(kind: Kind, ids: (u64, u64), parent: Option<u64>, ends: (&str, &str), times: (u64, u64)) -> Span {
    let mut attributes = Attributes::new();
    for (name, end) in [("network.local", ends.0), ("network.peer", ends.1)] {
        let (address, port) = end.split_once(':').expect("an address with a port");
        attributes.insert(format!("{name}.address"), address.into());
        attributes.insert(format!("{name}.port"), port.parse::<u64>().expect("a port").into());
    }
    Span {
        trace_id: format!("{:032x}", ids.0 + 1),
        span_id: format!("{:016x}", ids.1),
        parent: parent.map(|parent| format!("{parent:016x}")),
        kind,
        name: "GET".to_owned(),
        start_ns: times.0,
        end_ns: times.1,
        attributes,
        trace_state: String::new(),
        links: Vec::new(),
        resource: Arc::default(),
    }
}

/// What a perfect agent writes for `truth(count)`, out of order: server, call, backend for each request.
fn spans(count: u64) -> Vec<Span> {
    let mut spans: Vec<_> = (0..count)
        .flat_map(|number| {
            let start = 1_000_000_000 + number * 1_000_000;
            let id = number * 3 + 1;
            [
                span(Kind::Server, (number, id), None, ("s:1", "d:1"), (start + 50_000, start + 880_000)),
                span(Kind::Client, (number, id + 1), Some(id), ("s:2", "b:1"), (start + 210_000, start + 790_000)),
                span(Kind::Server, (number, id + 2), Some(id + 1), ("b:1", "s:2"), (start + 300_000, start + 700_000)),
            ]
        })
        .collect();
    spans.reverse();
    spans
}

fn judge(spans: &[Span], count: u64) -> Score {
    Truth::new(truth(count)).judge(spans).expect("a score")
}

#[test]
fn perfect_spans_are_all_right() {
    let score = judge(&spans(100), 100);
    score.all_right().expect("all right");
    assert_eq!((score.exchanges, score.halves.right, score.causes.right), (200, 200, 100));
}

#[test]
fn a_parent_of_another_request_is_wrong() {
    let mut all = spans(10);
    let (first, second) = (4, 7);
    assert_eq!((all[first].kind, all[second].kind), (Kind::Client, Kind::Client));
    let parent = all[first].parent.clone();
    all[second].parent = parent;
    let score = judge(&all, 10);
    assert_eq!(score.causes, Fates { right: 9, orphan: 0, wrong: 1 });
    assert!(score.none_wrong().is_err());
}

#[test]
fn the_right_parent_in_another_trace_is_wrong() {
    let mut all = spans(10);
    all[4].trace_id = "f".repeat(32);
    let score = judge(&all, 10);
    assert_eq!(score.causes.wrong, 1);
    // The backend's half has the right parent, but is not in its trace either.
    assert_eq!(score.halves.wrong, 1);
}

#[test]
fn no_parent_is_an_orphan_and_not_wrong() {
    let mut all = spans(10);
    all[4].parent = None;
    let score = judge(&all, 10);
    assert_eq!(score.causes, Fates { right: 9, orphan: 1, wrong: 0 });
    score.none_wrong().expect("an orphan is not wrong");
    assert!(score.all_right().is_err());
}

#[test]
fn a_root_with_a_parent_is_wrong() {
    let mut all = spans(10);
    let root = all.iter_mut().find(|span| span.local() == "s:1").expect("a root");
    root.parent = Some("00000000000000ff".to_owned());
    assert_eq!(judge(&all, 10).halves.wrong, 1);
}

#[test]
fn each_missing_span_is_found_without_shifting_the_others() {
    for gone in 0..30 {
        let mut all = spans(10);
        all.remove(gone);
        let score = judge(&all, 10);
        assert_eq!((score.missing.len(), score.extra.len()), (1, 0), "{score}");
        score.none_wrong().expect("the rest is as it was");
    }
}

#[test]
fn an_invented_span_is_extra() {
    let mut all = spans(10);
    all.push(span(Kind::Server, (3, 99), None, ("s:1", "d:1"), (1_000_950_000, 1_000_960_000)));
    all.push(span(Kind::Client, (3, 98), None, ("s:9", "d:9"), (1_000_950_000, 1_000_960_000)));
    let score = judge(&all, 10);
    assert_eq!((score.missing.len(), score.extra.len()), (0, 2), "{score}");
}

#[test]
fn an_id_that_two_spans_have_is_extra() {
    let mut all = spans(10);
    let last = all[29].clone();
    all.push(last);
    // The span and its id.
    assert_eq!(judge(&all, 10).extra.len(), 2);
}

#[test]
fn a_span_far_from_its_time_is_missing_and_extra() {
    let mut all = spans(1);
    all[0].start_ns += 2_000_000_000;
    all[0].end_ns += 2_000_000_000;
    let score = judge(&all, 1);
    assert_eq!((score.missing.len(), score.extra.len()), (1, 1), "{score}");
}

#[test]
fn spans_that_end_late_still_find_their_exchange() {
    let mut all = spans(50);
    for span in &mut all {
        span.end_ns += 10_000_000;
    }
    judge(&all, 50).all_right().expect("all right");
}

/// A caller that was kept waiting between its word and its deed.
#[test]
fn spans_at_the_end_of_a_long_exchange_find_it() {
    let mut told = truth(1);
    let call = told.iter_mut().find(|one| one.event == Event::Out && one.id == "r0.1").expect("a call");
    call.from_ns -= 900_000_000;
    Truth::new(told).judge(&spans(1)).expect("a score").all_right().expect("all right");
}

#[test]
fn shuffled_truth_scores_at_chance() {
    const COUNT: usize = 200;
    let mut shuffled = truth(COUNT as u64);
    for sighting in &mut shuffled {
        if let Some((request, call)) = sighting.id.split_once('.') {
            let number: usize = request[1..].parse().expect("a number");
            // A permutation: 77 and 200 have no common factor.
            sighting.id = format!("r{}.{call}", (number * 77 + 5) % COUNT);
        }
    }
    let score = Truth::new(shuffled).judge(&spans(COUNT as u64)).expect("a score");
    assert_eq!(score.halves.right, 2 * COUNT, "halves know nothing of causes");
    assert!(score.causes.right <= COUNT / 50, "{score}");
    assert_eq!(score.causes.right + score.causes.wrong, COUNT);
}

#[test]
fn truth_that_contradicts_itself_is_no_truth() {
    let mut twice = truth(1);
    twice.push(twice[1].clone());
    assert!(Truth::new(twice).judge(&[]).is_err());
}

#[test]
fn a_wire_context_is_the_driven_roots_parent() {
    let context = WireContext { trace_id: format!("{:032x}", 1), span_id: format!("{:016x}", 77) };
    let sent = Sent { sighting: truth(1)[0].clone(), context: Some(context), status: 200, body_bytes: 0 };
    let workloads = truth(1).into_iter().skip(1).collect::<Vec<_>>();
    let judged = Truth::new(workloads).driven(&[sent]);
    let mut all = spans(1);
    assert_eq!(judged.judge(&all).expect("a score").halves, Fates { right: 1, orphan: 1, wrong: 0 });
    all[2].parent = Some(format!("{:016x}", 77));
    judged.judge(&all).expect("a score").all_right().expect("all right");
}

#[test]
fn calls_over_a_unix_socket_are_judged_through_their_server() {
    let unix = |spans: &mut Vec<Span>| {
        for span in spans {
            let name = match (span.kind, span.local().as_str()) {
                (Kind::Client, _) => "network.peer",
                (Kind::Server, "b:1") => "network.local",
                _ => continue,
            };
            span.attributes.retain(|name, _| !name.starts_with("network."));
            span.attributes.insert(format!("{name}.address"), "/b".into());
            span.resource = Arc::new(Attributes::from([("process.pid".to_owned(), 1.into())]));
        }
    };
    let mut sightings = truth(10);
    // The caller tells nothing, as nginx.
    sightings.retain(|sighting| !(sighting.event == Event::Out && sighting.id.contains('.')));
    for sighting in sightings.iter_mut().filter(|sighting| sighting.id.contains('.')) {
        (sighting.local, sighting.peer) = ("unix:/b".to_owned(), "unix:".to_owned());
    }
    let mut all = spans(10);
    unix(&mut all);
    Truth::new(sightings.clone()).judge(&all).expect("a score").all_right().expect("all right");
    let (first, second) = (all[3].parent.clone(), all[6].parent.clone());
    (all[3].parent, all[6].parent) = (second, first);
    let (first, second) = (all[3].trace_id.clone(), all[6].trace_id.clone());
    (all[3].trace_id, all[6].trace_id) = (second, first);
    let score = Truth::new(sightings).judge(&all).expect("a score");
    assert_eq!((score.causes.wrong, score.missing.len()), (2, 0), "{score}");
}

/// Sent in one write and read in one, answered one after the other.
#[test]
fn pipelined_requests_are_told_apart_by_their_answers() {
    let mut told = truth(4);
    let mut all = spans(4);
    for one in told.iter_mut().filter(|one| !one.id.contains('.')) {
        one.from_ns = 1_000_000_000;
    }
    // A server's own word would be of the time when it got to the request.
    told.retain(|one| one.event == Event::Out || one.id.contains('.'));
    for span in all.iter_mut().filter(|span| span.local() == "s:1") {
        span.start_ns = 1_000_050_000;
    }
    Truth::new(told.clone()).judge(&all).expect("a score").all_right().expect("all right");
    let gone = all.iter().position(|span| span.local() == "s:1").expect("a root");
    all.remove(gone);
    let score = Truth::new(told).judge(&all).expect("a score");
    score.none_wrong().expect("the rest is as it was");
    assert_eq!(score.missing.len(), 1);
}
