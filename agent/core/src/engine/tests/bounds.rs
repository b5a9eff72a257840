//! Memory and work stay bounded, whatever happens, and what is given up leaves nothing behind.

use super::*;
use crate::limits::{CONNECTIONS_MAX, HALVES_BYTES_MAX, PARSERS_BYTES_MAX};

/// A path long enough that a few hundred requests fill the room.
fn long(name: &str) -> String {
    format!("/{name}/{}", "x".repeat(4_000))
}

#[test]
fn requests_that_are_never_answered_are_forgotten_oldest_first() {
    let mut world = World::new();
    let count = HALVES_BYTES_MAX / 4_000;
    for number in 0..count {
        open(&mut world, (10, 100 + number as u32), &long(&number.to_string()), "");
    }
    let evicted = world.stats().evicted_halves;
    assert!(evicted > count as u64, "{evicted}: two halves each, more than fit");
    let request = open(&mut world, A, "/in", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    assert!(caused(&world.end(), "/out", "/in"));
}

#[test]
fn a_forgotten_request_does_not_keep_its_thread() {
    let mut world = World::new();
    let zombie = open(&mut world, A, "/zombie", "");
    for number in 0..HALVES_BYTES_MAX / 2_000 {
        open(&mut world, (30, 1), &long(&number.to_string()), "");
    }
    let request = open(&mut world, A, "/in", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    close(&mut world, zombie, A);
    assert!(caused(&world.end(), "/out", "/in"), "no interleaving with what was forgotten");
}

#[test]
fn what_waits_for_a_thread_settles_early_when_there_is_no_room() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B);
    let count = HALVES_BYTES_MAX / 4_000;
    for number in 0..count {
        world.call(B, &get(&long(&number.to_string()), ""));
    }
    assert!(world.stats().settled_early > 0);
    world.exit(B, false, false);
    close(&mut world, request, A);
    let spans = world.end();
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.span_id).collect();
    assert_eq!((spans.len(), ids.len()), (count + 2, count + 2), "each is told once");
}

#[test]
fn ids_of_answers_leave_with_their_halves() {
    let mut world = World::new();
    let answer = format!("HTTP/1.1 200 OK\r\nX-Request-Id: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(200));
    let request = open(&mut world, A, "/in", "");
    world.says(request, A, &answer).hears(request, CALLER, &answer);
    // It is forgotten, and what it took is free: nothing else is hurried or forgotten for it.
    world.wait(1_000).wait(40_000);
    let request = open(&mut world, A, "/next", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    let stats = world.stats();
    assert_eq!((stats.settled_early, stats.forgotten_causes, stats.evicted_halves), (0, 0, 0));
    assert!(caused(&world.end(), "/out", "/next"));
}

#[test]
fn a_connection_forgotten_for_room_ends_what_was_open_on_it() {
    let mut world = World::new();
    let idle = open(&mut world, A, "/idle", "");
    for _ in 0..CONNECTIONS_MAX / 2 {
        open(&mut world, (30, 1), "/other", "");
    }
    assert!(world.stats().evicted_connections > 0);
    assert!(world.policies().contains(&(idle.server, crate::engine::Policy::Nothing)));
    let request = open(&mut world, A, "/in", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    assert!(caused(&world.end(), "/out", "/in"));
}

#[test]
fn what_an_ended_process_left_open_on_unix_sockets_is_told() {
    let mut world = World::new();
    let wire = world.unix();
    let caller = (40, 40);
    world.ask(wire, caller, &get("/in", "")).read(wire, A, &get("/in", "")).exit(caller, true, true);
    world.wait(40_000).wait(1_000);
    let spans = std::mem::take(&mut world.out.spans);
    assert_eq!(spans.len(), 1);
    assert_eq!(span(&spans, Kind::Client, "/in").kind, Kind::Client);
}

#[test]
fn times_at_the_end_of_their_range_do_not_overflow() {
    let mut world = World::new();
    world.pass(u64::MAX / 1_000_000 - 1_100);
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).call(B, &get("/out", ""));
    close(&mut world, request, A);
    world.finish();
    assert_eq!(world.out.spans.len(), 3);
}

#[test]
fn clients_that_send_their_heads_slowly_cost_themselves() {
    let mut world = World::new();
    let half_a_head = format!("GET /slow HTTP/1.1\r\nX-Long: {}", "x".repeat(6_000));
    let slow: Vec<Wire> = (0..PARSERS_BYTES_MAX / 10_000)
        .map(|_| {
            let wire = world.connect(CALLER);
            world.ask(wire, CALLER, &half_a_head).read(wire, (30, 1), &half_a_head);
            wire
        })
        .collect();
    assert!(world.stats().given_up_connections > 0);
    let request = open(&mut world, A, "/in", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    // The first of them had room.
    world.ask(slow[0], CALLER, "\r\n\r\n").read(slow[0], (30, 1), "\r\n\r\n");
    close(&mut world, slow[0], (30, 1));
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
    assert_eq!(span(&spans, Kind::Server, "/slow").kind, Kind::Server);
}
