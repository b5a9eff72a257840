//! Messages in pipes: the processes of a pool make the calls of those that another process serves.

use super::*;

const PID: u32 = A.0;
/// Units of two connections.
const ONE: u64 = 256;
const OTHER_UNIT: u64 = 512;
/// A process of the pool, and what runs there.
const CHILD: Actors = (20, 20);
const WORKER: u64 = 1024;
const PIPE: u64 = 0x77;
const QUEUE: u64 = 0x1000;
/// Nothing was lost.
const WHOLE: [u32; 2] = [0, 0];

/// Two requests, each with a message for the pool.
fn two_written(world: &mut World) -> (Wire, Wire) {
    world.run(A, ONE);
    let one = open_nonblocking(world, A, "/one", "");
    world.put(A, PIPE, 1).run(A, OTHER_UNIT);
    let other = open_nonblocking(world, A, "/other", "");
    world.put(A, PIPE, 2).run(CHILD, WORKER);
    (one, other)
}

fn end(mut world: World, (one, other): (Wire, Wire)) -> Vec<Span> {
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    world.end()
}

#[test]
fn a_process_calls_for_whom_its_message_was_written() {
    let mut world = World::new();
    let both = two_written(&mut world);
    world.receive(CHILD, PID, 2, WHOLE).call(CHILD, &get("/second", ""));
    world.receive(CHILD, PID, 1, WHOLE).call(CHILD, &get("/first", ""));
    let spans = end(world, both);
    for (call, request) in [("/first", "/one"), ("/second", "/other")] {
        assert_eq!(known(span(&spans, Kind::Client, call)), ("item", "exact"), "{call}");
        assert!(caused(&spans, call, request), "{call}");
    }
}

#[test]
fn what_was_lost_at_either_end_proves_nothing() {
    for epochs in [[1, 0], [0, 1]] {
        let mut world = World::new();
        let both = two_written(&mut world);
        world.receive(CHILD, PID, 1, epochs).call(CHILD, &get("/first", ""));
        let spans = end(world, both);
        // No request is open in the process that calls.
        assert_eq!(known(span(&spans, Kind::Client, "/first")).0, "root", "{epochs:?}");
    }
}

/// Where the loop of a server reads all its connections in one unit, what that wrote may be for any of them.
#[test]
fn what_a_shared_unit_wrote_is_nobodys() {
    let mut world = World::new();
    world.run(A, ONE);
    let one = open_nonblocking(&mut world, A, "/one", "");
    // What a unit reads shows with what it sends.
    world.call(A, &get("/own", ""));
    let other = open_nonblocking(&mut world, A, "/other", "");
    world.put(A, PIPE, 1).run(CHILD, WORKER).receive(CHILD, PID, 1, WHOLE).call(CHILD, &get("/first", ""));
    world.call(A, &get("/again", "")).answer(other, A).hear(other, CALLER).answer(one, A).hear(one, CALLER);
    let spans = world.end();
    assert_eq!(known(span(&spans, Kind::Client, "/first")).0, "root");
}

/// Only the pipe that a process waits at names the writer that is told.
#[test]
fn a_pipe_that_is_not_the_head_names_nobody_of_another_process() {
    let mut world = World::new();
    let both = two_written(&mut world);
    world.put(CHILD, QUEUE, 9).take(CHILD, 9).receive(CHILD, PID, 1, WHOLE).call(CHILD, &get("/either", ""));
    let spans = end(world, both);
    assert_eq!(known(span(&spans, Kind::Client, "/either")).0, "root");
}
