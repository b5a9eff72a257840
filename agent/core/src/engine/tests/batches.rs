//! Batches: what one unit took for several requests, and calls for all of them.

use super::*;
use crate::span::Confidence;

const WORKER: u64 = 1024;
const CHILD: u64 = 1280;
const JOBS: u64 = 0x1000;

/// Requests, each read in a unit of its own that puts a job into the queue, under the number of the request.
fn jobs(world: &mut World, count: u64) -> Vec<Wire> {
    let put = |number: u64| {
        world.run(A, 8192 + 256 * number);
        let wire = open_nonblocking(world, A, &format!("/request{number}"), "");
        world.put(A, JOBS, number);
        wire
    };
    (0..count).map(put).collect()
}

fn answer(world: &mut World, wires: &[Wire]) {
    for (number, wire) in wires.iter().enumerate() {
        world.run(A, 8192 + 256 * number as u64).answer(*wire, A).hear(*wire, CALLER);
    }
}

/// True if a call has no parent, and links to these requests alone.
fn is_linked_to(spans: &[Span], call: &str, requests: &[&str]) -> bool {
    let call = span(spans, Kind::Client, call);
    let mut links: Vec<_> = call.links.iter().map(|link| (link.trace_id, link.span_id)).collect();
    let request = |path: &&str| {
        let request = span(spans, Kind::Server, path);
        (request.trace_id, request.span_id)
    };
    let mut expected: Vec<_> = requests.iter().map(request).collect();
    links.sort_unstable();
    expected.sort_unstable();
    call.parent.is_none() && links == expected
}

#[test]
fn a_call_for_several_is_linked_to_each() {
    let mut world = World::new();
    let wires = jobs(&mut world, 4);
    world.run(A, WORKER).take(A, 0).take(A, 1).take(A, 2).call(A, &get("/three", ""));
    world.take(A, 3).call(A, &get("/alone", ""));
    answer(&mut world, &wires);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/three", &["/request0", "/request1", "/request2"]));
    assert_eq!(known(span(&spans, Kind::Client, "/three")), ("item", "exact"));
    assert!(caused(&spans, "/alone", "/request3"));
    assert!(
        span(&spans, Kind::Client, "/three").attributes.iter().all(|(name, _)| *name != "tracemend.link.orphan_reason")
    );
}

#[test]
fn so_is_the_call_of_a_unit_that_was_created_for_them() {
    let mut world = World::new();
    let wires = jobs(&mut world, 5);
    world.run(A, WORKER).take(A, 0).take(A, 1).create(A, CHILD).take(A, 2).take(A, 3).create(A, CHILD + 256);
    world.run(A, WORKER).take(A, 4).create(A, CHILD + 512);
    for (number, call) in ["/first", "/second", "/single"].into_iter().enumerate() {
        let unit = CHILD + 256 * number as u64;
        world.run(A, unit).call(A, &get(call, "")).end_unit(A.0, unit);
    }
    answer(&mut world, &wires);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/first", &["/request0", "/request1"]));
    assert!(is_linked_to(&spans, "/second", &["/request2", "/request3"]));
    assert!(caused(&spans, "/single", "/request4"));
}

#[test]
fn what_is_made_behind_the_answers_is_strong() {
    let mut world = World::new();
    let wires = jobs(&mut world, 2);
    world.run(A, WORKER).take(A, 0).take(A, 1);
    answer(&mut world, &wires);
    world.run(A, 77);
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.run(A, WORKER).call(A, &get("/late", "")).run(A, 77).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/late", &["/request0", "/request1"]));
    assert_eq!(known(span(&spans, Kind::Client, "/late")).1, Confidence::Strong.name());
}

/// More than are told of, or one of them that nobody knows: for whom else it was made cannot be said.
#[test]
fn what_is_not_known_as_a_whole_is_linked_to_nothing() {
    let mut world = World::new();
    world.run(A, 77).put(A, JOBS, 99);
    let wires = jobs(&mut world, 12);
    world.run(A, WORKER);
    for number in 0..9 {
        world.take(A, number);
    }
    world.call(A, &get("/many", "")).take(A, 9).take(A, 10);
    world.losing(|world| {
        world.take(A, 11);
    });
    world.call(A, &get("/most", ""));
    answer(&mut world, &wires);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/many", &[]));
    assert_eq!(known(span(&spans, Kind::Client, "/many")), ("none", "ambiguous batch"));
    assert!(is_linked_to(&spans, "/most", &[]));
    assert_eq!(known(span(&spans, Kind::Client, "/most")), ("none", "ambiguous batch"));
}

/// Its first records, or all of them.
#[test]
fn what_is_lost_of_a_batch_is_not_made_up_of_the_one_before() {
    let mut world = World::new();
    let wires = jobs(&mut world, 8);
    world.run(A, WORKER).take(A, 0).take(A, 1).call(A, &get("/both", ""));
    world.losing(|world| {
        world.take(A, 2).take(A, 3);
    });
    world.take(A, 4).call(A, &get("/three", ""));
    world.losing(|world| {
        world.take(A, 5).take(A, 6);
    });
    world.call(A, &get("/none", ""));
    answer(&mut world, &wires);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/both", &["/request0", "/request1"]));
    for call in ["/three", "/none"] {
        assert!(is_linked_to(&spans, call, &[]), "{call}");
        assert_eq!(known(span(&spans, Kind::Client, call)), ("none", "ambiguous batch"));
    }
}

/// A unit that took several things, acted, and then creates another one does so for nobody.
#[test]
fn what_is_over_is_not_handed_on() {
    let mut world = World::new();
    let wires = jobs(&mut world, 2);
    world.run(A, WORKER).take(A, 0).take(A, 1).call(A, &get("/both", "")).end_unit(A.0, CHILD);
    world.run(A, 77).put(A, JOBS, 50).run(A, WORKER).take(A, 50).create(A, CHILD);
    world.run(A, CHILD).call(A, &get("/own", ""));
    answer(&mut world, &wires);
    let spans = world.end();
    assert!(is_linked_to(&spans, "/both", &["/request0", "/request1"]));
    assert!(is_linked_to(&spans, "/own", &[]));
}

#[test]
fn excluded_requests_are_not_linked_to() {
    let mut world = World::excluding(|path| path == "/request1");
    let wires = jobs(&mut world, 3);
    world.run(A, WORKER).take(A, 0).take(A, 1).take(A, 2).call(A, &get("/three", ""));
    answer(&mut world, &wires);
    assert!(is_linked_to(&world.end(), "/three", &["/request0", "/request2"]));
}
