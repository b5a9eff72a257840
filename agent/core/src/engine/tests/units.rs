//! Units of a runtime: one thread that serves many requests at a time, each by units of its own.

use super::*;

const PID: u32 = A.0;
/// The unit that accepts connections.
const LOOP: u64 = 1;
/// One that carries nothing, and creates others.
const ACCEPTS: u64 = 2;

/// Two requests that one thread reads, each in a unit of its connection: the thread proves nothing.
fn two_open(world: &mut World) -> (Wire, Wire) {
    world.run(A, 101);
    let one = open_nonblocking(world, A, "/one", "");
    world.run(A, 102);
    let other = open_nonblocking(world, A, "/other", "");
    (one, other)
}

fn close_in(world: &mut World, wire: Wire, unit: u64) {
    world.run(A, unit).answer(wire, A).hear(wire, CALLER);
}

#[test]
fn what_a_unit_read_it_calls_for() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, 101).call(A, &get("/first", "")).run(A, 102).call(A, &get("/second", ""));
    close_in(&mut world, one, 101);
    close_in(&mut world, other, 102);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
    assert_eq!(known(span(&spans, Kind::Client, "/first")), ("unit", "exact"));
}

#[test]
fn what_a_unit_was_created_in_is_proof_once_it_ended() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, 101).create(A, 201).run(A, 102).create(A, 202);
    world.run(A, 201).call(A, &get("/first", "")).end_unit(PID, 201);
    world.run(A, 202).call(A, &get("/second", ""));
    close_in(&mut world, one, 101);
    close_in(&mut world, other, 102);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/second")), ("none", "worker without item"), "it lives on");
}

#[test]
fn what_goes_on_after_the_answer_is_strong() {
    let mut world = World::new();
    let (one, other) = two_open(&mut world);
    world.run(A, 101).create(A, 201).run(A, 201).create(A, 301);
    close_in(&mut world, one, 101);
    world.run(A, 301).call(A, &get("/late", "")).end_unit(PID, 301);
    close_in(&mut world, other, 102);
    let spans = world.end();
    assert!(caused(&spans, "/late", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/late")), ("unit", "strong"));
}

#[test]
fn a_unit_that_answers_works_for_what_is_asked_there() {
    let mut world = World::new();
    world.run(A, LOOP).create(A, 11).create(A, 12);
    let (one, other) = two_open(&mut world);
    // Another unit than the one that reads makes the call, and one that it creates; it answers only then.
    world.run(A, 11).call(A, &get("/first", "")).create(A, 21).run(A, 21).call(A, &get("/child", "")).end_unit(PID, 21);
    world.run(A, 12).call(A, &get("/second", ""));
    close_in(&mut world, one, 11);
    close_in(&mut world, other, 12);
    // From then on it is known at once.
    world.ask(one, CALLER, &get("/next", "")).run(A, 101).read_nonblocking(one, A, &get("/next", ""));
    world.ask(other, CALLER, &get("/beside", "")).run(A, 102).read_nonblocking(other, A, &get("/beside", ""));
    world.run(A, 11).call(A, &get("/third", "")).create(A, 22).run(A, 22).call(A, &get("/grandchild", ""));
    world.end_unit(PID, 22);
    close_in(&mut world, one, 11);
    close_in(&mut world, other, 12);
    let spans = world.end();
    let links = [("/first", "/one"), ("/child", "/one"), ("/second", "/other"), ("/third", "/next")];
    for (call, request) in links.into_iter().chain([("/grandchild", "/next")]) {
        assert!(caused(&spans, call, request), "{call}: {:?}", known(span(&spans, Kind::Client, call)));
        assert_eq!(known(span(&spans, Kind::Client, call)), ("unit", "exact"), "{call}");
    }
}

#[test]
fn a_unit_that_goes_on_answering_after_the_other_end_left_works_for_the_same() {
    let mut world = World::new();
    world.run(A, LOOP).create(A, 11).create(A, 12);
    let (one, other) = two_open(&mut world);
    world.run(A, 11).says(one, A, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst");
    world.ends(one.server, Closing::RecvEof).ends(one.server, Closing::Closed);
    world.wait(20).run(A, 11).call(A, &get("/late", ""));
    // Where the answer was whole, another request may have been begun.
    close_in(&mut world, other, 12);
    world.run(A, 12).call(A, &get("/done", ""));
    let third = open_nonblocking(&mut world, A, "/third", "");
    world.wait(20);
    close_in(&mut world, third, 13);
    let spans = world.end();
    assert!(caused(&spans, "/late", "/one"), "{:?}", known(span(&spans, Kind::Client, "/late")));
    assert_eq!(known(span(&spans, Kind::Client, "/late")), ("unit", "strong"));
    assert!(span(&spans, Kind::Client, "/done").parent.is_none());
}

#[test]
fn a_unit_that_reads_many_connections_proves_nothing() {
    let mut world = World::new();
    world.run(A, LOOP);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.create(A, 21);
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.run(A, LOOP).call(A, &get("/shared", ""));
    world.run(A, 21).call(A, &get("/child", "")).end_unit(PID, 21);
    close_in(&mut world, one, LOOP);
    close_in(&mut world, other, LOOP);
    let spans = world.end();
    for call in ["/shared", "/child"] {
        assert_eq!(known(span(&spans, Kind::Client, call)).0, "none", "{call}");
    }
}

/// A loop that runs the callbacks of all connections in one unit creates a connection's handler in that: what it read last
/// is another's.
#[test]
fn a_handler_that_a_loop_created_works_for_what_is_asked_of_it() {
    let mut world = World::new();
    world.run(A, LOOP);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.create(A, 12);
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.run(A, 12).call(A, &get("/first", ""));
    close_in(&mut world, other, 12);
    world.ask(other, CALLER, &get("/next", "")).run(A, LOOP).read_nonblocking(other, A, &get("/next", ""));
    world.run(A, 12).create(A, 22).run(A, 22).call(A, &get("/second", "")).end_unit(PID, 22);
    close_in(&mut world, other, 12);
    close_in(&mut world, one, LOOP);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/other"), "{:?}", known(span(&spans, Kind::Client, "/first")));
    assert!(caused(&spans, "/second", "/next"), "{:?}", known(span(&spans, Kind::Client, "/second")));
}

/// A server that reads the next request before it is done with the answer, as uvicorn does behind a streamed one, creates the
/// next request's task in the one that answered: each of these works for what it answers itself.
#[test]
fn units_that_follow_one_another_on_a_connection_work_for_what_they_answer() {
    let mut world = World::new();
    let (one, other) = answered_in(&mut world, 11);
    let mut last = 11;
    for (unit, request, call) in [(21, "/two", "/second"), (31, "/three", "/third"), (41, "/four", "/fourth")] {
        asks_next(&mut world, one, request);
        world.run(A, last).create(A, unit).end_unit(PID, last);
        world.run(A, unit).call(A, &get(call, ""));
        close_in(&mut world, one, unit);
        last = unit;
    }
    world.end_unit(PID, last);
    close_in(&mut world, other, LOOP);
    let spans = world.end();
    for (call, request) in [("/second", "/two"), ("/third", "/three"), ("/fourth", "/four")] {
        assert!(caused(&spans, call, request), "{call}: {:?}", known(span(&spans, Kind::Client, call)));
    }
}

/// The same where another unit answers than the one that calls, as behind a stream of Starlette's.
#[test]
fn units_that_follow_one_another_work_for_what_those_answer_that_they_create() {
    let mut world = World::new();
    let (one, other) = answered_in(&mut world, 11);
    let mut last = 11;
    for (unit, request, call) in [(21, "/two", "/second"), (31, "/three", "/third")] {
        asks_next(&mut world, one, request);
        world.run(A, last).create(A, unit).end_unit(PID, last).run(A, unit).create(A, unit + 1);
        world.run(A, unit).call(A, &get(call, "")).end_unit(PID, unit);
        close_in(&mut world, one, unit + 1);
        last = unit + 1;
    }
    world.end_unit(PID, last);
    close_in(&mut world, other, LOOP);
    let spans = world.end();
    for (call, request) in [("/second", "/two"), ("/third", "/three")] {
        assert!(caused(&spans, call, request), "{call}: {:?}", known(span(&spans, Kind::Client, call)));
        assert_eq!(known(span(&spans, Kind::Client, call)), ("unit", "exact"), "{call}");
    }
}

/// A connection's first request: nobody answered before.
#[test]
fn a_unit_works_for_what_the_one_answers_that_it_creates() {
    let mut world = World::new();
    let (one, other) = two_read_by_the_loop(&mut world);
    world.run(A, ACCEPTS).create(A, 11).create(A, 21);
    world.run(A, 11).call(A, &get("/first", "")).create(A, 12).run(A, 21).create(A, 22);
    world.run(A, 21).call(A, &get("/second", ""));
    close_in(&mut world, other, 22);
    close_in(&mut world, one, 12);
    world.end_unit(PID, 11);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/first")), ("unit", "exact"));
    assert_eq!(known(span(&spans, Kind::Client, "/second")), ("none", "worker without item"), "it lives on");
}

/// One that accepts connections creates who answers on each of them, and calls for itself.
#[test]
fn a_unit_that_creates_who_answers_several_works_for_none_of_them() {
    let mut world = World::new();
    let (one, other) = two_read_by_the_loop(&mut world);
    world.run(A, ACCEPTS).create(A, 11).run(A, 11).create(A, 12).create(A, 22).call(A, &get("/own", ""));
    close_in(&mut world, one, 12);
    close_in(&mut world, other, 22);
    assert_eq!(known(span(&world.end(), Kind::Client, "/own")), ("none", "no lineage"));
}

/// The same, of a server that is asked for the first time.
#[test]
fn a_unit_that_was_there_before_a_request_does_not_work_for_it() {
    let mut world = World::new();
    world.run(A, ACCEPTS).create(A, 11);
    let (one, other) = two_read_by_the_loop(&mut world);
    world.run(A, 11).create(A, 12).call(A, &get("/own", ""));
    close_in(&mut world, one, 12);
    close_in(&mut world, other, LOOP);
    assert_eq!(known(span(&world.end(), Kind::Client, "/own")), ("none", "no lineage"));
}

/// What goes on behind its answer (a background task) does not work for who asks next on the connection, nor does what it creates.
#[test]
fn a_unit_that_goes_on_behind_its_only_answer_does_not_work_for_the_next_request() {
    let mut world = World::new();
    let (one, other) = answered_in(&mut world, 11);
    asks_next(&mut world, one, "/next");
    world.run(A, LOOP).create(A, 12);
    world.run(A, 11).call(A, &get("/behind", "")).create(A, 21);
    world.run(A, 21).call(A, &get("/child", "")).end_unit(PID, 21);
    close_in(&mut world, one, 12);
    close_in(&mut world, other, LOOP);
    let spans = world.end();
    for call in ["/behind", "/child"] {
        assert_eq!(known(span(&spans, Kind::Client, call)), ("none", "ambiguous batch"), "{call}");
    }
}

/// Two connections whose requests a loop has read, and what a unit answered on the first.
fn answered_in(world: &mut World, unit: u64) -> (Wire, Wire) {
    let (one, other) = two_read_by_the_loop(world);
    world.run(A, ACCEPTS).create(A, unit);
    close_in(world, one, unit);
    (one, other)
}

fn two_read_by_the_loop(world: &mut World) -> (Wire, Wire) {
    world.run(A, LOOP);
    (open_nonblocking(world, A, "/one", ""), open_nonblocking(world, A, "/other", ""))
}

fn asks_next(world: &mut World, wire: Wire, path: &str) {
    world.wait(5).ask(wire, CALLER, &get(path, "")).run(A, LOOP).read_nonblocking(wire, A, &get(path, ""));
}

#[test]
fn a_unit_that_answers_on_many_connections_proves_nothing() {
    let mut world = World::new();
    world.run(A, LOOP).create(A, 11);
    let (one, other) = two_open(&mut world);
    world.run(A, 11).call(A, &get("/call", ""));
    close_in(&mut world, one, 11);
    close_in(&mut world, other, 11);
    assert_eq!(known(span(&world.end(), Kind::Client, "/call")).0, "none");
}

#[test]
fn what_is_lost_of_units_makes_orphans() {
    let mut world = World::new();
    world.run(A, LOOP).losing(|world| {
        world.create(A, 11);
    });
    world.create(A, 12);
    let (one, other) = two_open(&mut world);
    world.run(A, 12).create(A, 22).run(A, 22).call(A, &get("/call", "")).losing(|world| {
        world.end_unit(PID, 22);
    });
    close_in(&mut world, one, 11);
    close_in(&mut world, other, 12);
    assert_eq!(known(span(&world.end(), Kind::Client, "/call")).0, "none");
}
