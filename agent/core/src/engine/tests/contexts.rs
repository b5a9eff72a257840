//! Contexts: what a call was given says for whom it is, whoever makes it.

use super::*;

const PID: u32 = A.0;
const ONE: u64 = 256;
const OTHER_UNIT: u64 = 512;
const WORKER: u64 = 1024;
const CHILD: u64 = 1280;
const JOBS: u64 = 0x1000;

/// Two requests that one thread reads, each in the unit of its connection.
fn two_open(world: &mut World) -> (Wire, Wire) {
    world.run(A, ONE);
    let one = open_nonblocking(world, A, "/one", "");
    world.run(A, OTHER_UNIT);
    let other = open_nonblocking(world, A, "/other", "");
    (one, other)
}

fn ends(mut world: World, (one, other): (Wire, Wire)) -> Vec<Span> {
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    world.end()
}

fn link<'a>(spans: &'a [Span], call: &str) -> (&'a str, &'a str) {
    known(span(spans, Kind::Client, call))
}

#[test]
fn a_worker_calls_for_whom_the_context_is_from() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, WORKER).call_with(A, OTHER_UNIT, &get("/second", "")).call_with(A, ONE, &get("/first", ""));
    world.call(A, &get("/own", ""));
    let spans = ends(world, both);
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
    assert_eq!(link(&spans, "/first"), ("context", "exact"));
    assert_eq!(link(&spans, "/own"), ("none", "no lineage"), "a context is that call's alone");
}

/// One that could not be sent, and another over a connection that was there.
#[test]
fn a_context_is_of_the_connection_that_it_was_given_for() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, WORKER);
    let broken = world.connect(A);
    world.pass_on(A, ONE, broken, false).call(A, &get("/call", ""));
    assert_eq!(link(&ends(world, both), "/call"), ("none", "no lineage"));
}

/// Where the context of a request that is over was, there may be another's.
#[test]
fn a_context_of_what_is_over_says_nothing() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, WORKER).call_with(A, ONE, &get("/late", "")).call_behind(A, ONE, &get("/later", ""));
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert_eq!((link(&spans, "/late").0, link(&spans, "/later").0), ("none", "none"));
}

/// A worker that a request started does the jobs of all, and ends when there is none.
#[test]
fn a_context_is_more_than_what_a_unit_was_created_in() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).create(A, CHILD).run(A, CHILD);
    world.call_with(A, ONE, &get("/first", "")).call_with(A, OTHER_UNIT, &get("/second", "")).end_unit(PID, CHILD);
    let spans = ends(world, both);
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
    assert_eq!(link(&spans, "/first"), ("context", "exact"));
    assert_eq!(link(&spans, "/second"), ("context", "strong"));
}

/// Work that goes on behind the answer, on a machine too busy for it to end soon. An address that has another's context by now
/// says nothing.
#[test]
fn what_a_unit_was_created_in_and_was_given_are_enough() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, ONE).create(A, CHILD).run(A, CHILD).call_with(A, ONE, &get("/early", ""));
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, CHILD).call_behind(A, ONE, &get("/late", "")).call_with(A, ONE, &get("/another", ""));
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert!(caused(&spans, "/early", "/one") && caused(&spans, "/late", "/one"));
    assert_eq!(link(&spans, "/early"), ("context", "exact"));
    assert_eq!(link(&spans, "/late"), ("context", "strong"));
    assert_eq!(link(&spans, "/another"), ("none", "worker without item"), "it lives on");
}

#[test]
fn one_that_lives_on_is_known_by_its_contexts_alone() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).create(A, CHILD).run(A, CHILD);
    world.call_with(A, OTHER_UNIT, &get("/second", "")).call(A, &get("/own", ""));
    let spans = ends(world, both);
    assert!(caused(&spans, "/second", "/other"));
    assert_eq!(link(&spans, "/second"), ("context", "exact"));
    assert_eq!(link(&spans, "/own"), ("none", "worker without item"));
}

#[test]
fn what_was_taken_and_what_was_given_have_to_agree() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).call_with(A, ONE, &get("/first", ""));
    world.take(A, 2).call_with(A, OTHER_UNIT, &get("/second", ""));
    let spans = ends(world, both);
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(link(&spans, "/second"), ("none", "conflict"));
}

/// A worker that a request started is let go soon: what it was created for was another job.
#[test]
fn what_was_taken_and_given_is_more_than_what_a_unit_was_created_in() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, OTHER_UNIT).put(A, JOBS, 1).put(A, JOBS, 2).run(A, ONE).create(A, CHILD);
    world.run(A, CHILD).take(A, 1).call_with(A, OTHER_UNIT, &get("/second", ""));
    world.take(A, 2).call(A, &get("/third", "")).end_unit(PID, CHILD);
    let spans = ends(world, both);
    assert!(caused(&spans, "/second", "/other"));
    assert_eq!(link(&spans, "/second"), ("item", "exact"));
    assert_eq!(link(&spans, "/third"), ("none", "conflict"), "it may be either's");
}

/// Whoever's context it has, a call for several is nobody's.
#[test]
fn a_batch_stays_one() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).take(A, 2).call_with(A, ONE, &get("/batch", ""));
    let spans = ends(world, both);
    let batch = span(&spans, Kind::Client, "/batch");
    assert!(batch.parent.is_none() && batch.links.len() == 2, "{batch:?}");
}
