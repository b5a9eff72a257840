//! Items of queues: workers that were there before make the calls of those that put their work into a queue.

use super::*;

const PID: u32 = A.0;
/// Units of two connections, and two workers.
const ONE: u64 = 256;
const OTHER_UNIT: u64 = 512;
const WORKER: u64 = 1024;
const SECOND: u64 = 1280;
const JOBS: u64 = 0x1000;
const LENT: u64 = 0x2000;

/// Two requests that one thread reads, each in the unit of its connection.
fn two_open(world: &mut World) -> (Wire, Wire) {
    world.run(A, ONE);
    let one = open_nonblocking(world, A, "/one", "");
    world.run(A, OTHER_UNIT);
    let other = open_nonblocking(world, A, "/other", "");
    (one, other)
}

fn close_both(world: &mut World, (one, other): (Wire, Wire)) {
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
}

fn knows(spans: &[Span], call: &str) -> (String, String) {
    let (evidence, confidence) = known(span(spans, Kind::Client, call));
    (evidence.to_owned(), confidence.to_owned())
}

#[test]
fn a_worker_calls_for_whom_it_took_its_item_from() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, SECOND).take(A, 2).call(A, &get("/second", ""));
    world.run(A, WORKER).take(A, 1).call(A, &get("/first", "")).call(A, &get("/again", ""));
    close_both(&mut world, both);
    let spans = world.end();
    for (call, request) in [("/first", "/one"), ("/again", "/one"), ("/second", "/other")] {
        assert!(caused(&spans, call, request), "{call}: {:?}", knows(&spans, call));
        assert_eq!(known(span(&spans, Kind::Client, call)), ("item", "exact"), "{call}");
    }
}

#[test]
fn what_a_worker_does_after_the_answer_is_strong() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).answer(one, A).hear(one, CALLER);
    world.run(A, WORKER).take(A, 1).call(A, &get("/late", ""));
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    let spans = world.end();
    assert!(caused(&spans, "/late", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/late")), ("item", "strong"));
}

/// What is put there by nobody's unit ends what the worker did before: a timer, or the sign to stop.
#[test]
fn what_nobody_put_for_a_request_ends_the_last_one() {
    let mut world = World::new();
    world.run(A, 77).put(A, JOBS, 9);
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1);
    world.run(A, WORKER).take(A, 1).call(A, &get("/first", "")).take(A, 9).call(A, &get("/nobodys", ""));
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/nobodys")).0, "none");
}

#[test]
fn what_several_put_and_one_took_together_is_a_batch() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).take(A, 2).call(A, &get("/batch", ""));
    close_both(&mut world, both);
    let spans = world.end();
    let batch = span(&spans, Kind::Client, "/batch");
    assert_eq!((known(batch), batch.parent, batch.links.len()), (("item", "exact"), None, 2));
}

/// A worker that takes a connection from a pool works for its job all the same, and the pool's queue says nothing once
/// something was put back into it.
#[test]
fn a_queue_that_lends_says_nothing() {
    let mut world = World::new();
    let both = two_open(&mut world);
    // The other request's unit lends a connection out first: it is what the worker finds.
    world.run(A, OTHER_UNIT).put(A, LENT, 5).run(A, ONE).put(A, JOBS, 1);
    world.run(A, WORKER).take(A, 1).take(A, 5).call(A, &get("/first", "")).put(A, LENT, 5);
    // A background unit that takes connections alone.
    world.run(A, SECOND).take(A, 5).call(A, &get("/background", "")).put(A, LENT, 5);
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"), "{:?}", knows(&spans, "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/background")).0, "none");
}

/// Until a worker came back to the queue that it took from first, either may be where it waits for its work.
#[test]
fn two_queues_that_disagree_say_nothing() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, LENT, 5);
    world.run(A, WORKER).take(A, 1).take(A, 5).call(A, &get("/either", ""));
    world.run(A, ONE).put(A, JOBS, 3).run(A, WORKER).take(A, 3).call(A, &get("/back", ""));
    close_both(&mut world, both);
    let spans = world.end();
    assert_eq!(known(span(&spans, Kind::Client, "/either")), ("none", "ambiguous batch"));
    assert!(caused(&spans, "/back", "/one"), "{:?}", knows(&spans, "/back"));
}

#[test]
fn a_worker_that_was_created_in_a_request_works_for_what_it_takes() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).create(A, WORKER).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 2).call(A, &get("/second", ""));
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/second", "/other"), "it lives on: {:?}", knows(&spans, "/second"));
}

#[test]
fn a_unit_that_ends_with_another_s_item_may_have_called_for_either() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).create(A, WORKER).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 2).call(A, &get("/either", "")).end_unit(PID, WORKER);
    close_both(&mut world, both);
    let spans = world.end();
    assert_eq!(known(span(&spans, Kind::Client, "/either")), ("none", "conflict"));
}

#[test]
fn what_a_worker_creates_works_for_its_item() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).create(A, 1536).take(A, 2).create(A, 1792);
    world.run(A, 1536).call(A, &get("/first", "")).end_unit(PID, 1536);
    world.run(A, 1792).call(A, &get("/second", "")).end_unit(PID, 1792);
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
}

/// The record of what was taken may be lost: then nothing is believed that was taken before.
#[test]
fn what_is_not_told_is_not_believed() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).call(A, &get("/first", ""));
    world.lose_takes().take(A, 2).call(A, &get("/second", ""));
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/second")).0, "none");
}

/// A worker that a request started, and that is let go soon: it is known by its other jobs.
#[test]
fn a_job_that_is_not_told_is_not_taken_for_the_first_one() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, OTHER_UNIT).put(A, JOBS, 1).put(A, JOBS, 2).run(A, ONE).create(A, WORKER);
    world.run(A, WORKER).take(A, 1).call(A, &get("/first", ""));
    world.lose_takes().take(A, 2).call(A, &get("/second", "")).end_unit(PID, WORKER);
    close_both(&mut world, both);
    assert_eq!(known(span(&world.end(), Kind::Client, "/second")), ("none", "worker without item"));
}

/// A timer calls a function in a unit of its own, which nobody creates.
#[test]
fn a_timer_calls_for_whom_it_was_set() {
    const TIMERS: u64 = 1;
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, TIMERS, 1).run(A, OTHER_UNIT).put(A, TIMERS, 2);
    world.make_for(PID, 2, SECOND).make_for(PID, 1, WORKER);
    world.run(A, SECOND).call(A, &get("/second", "")).end_unit(PID, SECOND);
    world.run(A, WORKER).call(A, &get("/first", "")).end_unit(PID, WORKER);
    close_both(&mut world, both);
    let spans = world.end();
    for (call, request) in [("/first", "/one"), ("/second", "/other")] {
        assert!(caused(&spans, call, request), "{call}: {:?}", knows(&spans, call));
        assert_eq!(known(span(&spans, Kind::Client, call)), ("unit", "exact"), "{call}");
    }
}

/// A worker that was started by the first request that needed it, as pools do that grow: its own request's job comes first, and
/// then others'.
#[test]
fn a_worker_that_stays_works_for_each_item() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).create(A, WORKER).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(A, WORKER).take(A, 1).call(A, &get("/first", "")).take(A, 2).call(A, &get("/second", ""));
    close_both(&mut world, both);
    let spans = world.end();
    for (call, request) in [("/first", "/one"), ("/second", "/other")] {
        assert!(caused(&spans, call, request), "{call}: {:?}", knows(&spans, call));
        assert_eq!(known(span(&spans, Kind::Client, call)), ("item", "exact"), "{call}");
    }
}

/// One that was created in a request, borrows what another request's unit gave back, and ends.
#[test]
fn what_is_borrowed_does_not_change_for_whom_a_unit_works() {
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, OTHER_UNIT).put(A, LENT, 5).run(A, ONE).create(A, WORKER);
    world.run(A, WORKER).take(A, 5).call(A, &get("/first", "")).put(A, LENT, 5).end_unit(PID, WORKER);
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"), "{:?}", knows(&spans, "/first"));
}

/// Acts are numbered by thread, and a unit moves from thread to thread.
#[test]
fn what_is_told_of_another_thread_s_act_is_not_believed() {
    const FIRST: Actors = (PID, 91);
    const NEXT: Actors = (PID, 92);
    let mut world = World::new();
    let both = two_open(&mut world);
    world.run(A, ONE).put(A, JOBS, 1).run(A, OTHER_UNIT).put(A, JOBS, 2);
    world.run(FIRST, WORKER).take(FIRST, 1).call(FIRST, &get("/first", ""));
    world.lose_takes().run(NEXT, WORKER).take(NEXT, 2).call(NEXT, &get("/second", ""));
    close_both(&mut world, both);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/second")).0, "none");
}
