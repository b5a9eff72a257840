//! Clocks that are apart, leap, or run backwards: identity does not depend on them.

use super::*;
use crate::ids::BootNanos;

const HOUR_MS: u64 = 3_600_000;

/// A chain of two calls, by the same acts in each world; times apart.
fn chain(world: &mut World) -> Vec<Span> {
    let request = open(world, A, "/in", "");
    let call = world.connect(A);
    world.ask(call, A, &get("/out", "")).read(call, (20, 20), &get("/out", "")).answer(call, (20, 20)).hear(call, A);
    close(world, request, A);
    world.end()
}

fn timeless(mut spans: Vec<Span>) -> Vec<Span> {
    for span in &mut spans {
        (span.start, span.end) = (BootNanos(0), BootNanos(0));
    }
    spans
}

#[test]
fn a_host_whose_clock_is_years_ahead_tells_the_same_but_for_the_times() {
    let (mut here, mut there) = (World::new(), World::new());
    there.pass(20 * 365 * 24 * HOUR_MS);
    let (near, far) = (chain(&mut here), chain(&mut there));
    assert_eq!(near.len(), 4);
    let ahead = far[0].start.0 - near[0].start.0;
    assert!(
        near.iter().zip(&far).all(|(near, far)| far.start.0 - near.start.0 == ahead && far.end.0 - near.end.0 == ahead)
    );
    assert_eq!(timeless(near), timeless(far));
}

/// Two agents, one at each end: their clocks are hours apart, and neither knows of the other.
#[test]
fn hosts_with_clocks_apart_name_one_exchange_alike() {
    let (mut caller, mut server) = (World::new(), World::new());
    server.pass(5 * HOUR_MS);
    let (sent, received) = (caller.connect(CALLER), server.connect(CALLER));
    let request = get("/in", CONTEXT);
    caller.ask(sent, CALLER, &request).hear(sent, CALLER);
    server.read(received, A, &request).answer(received, A);
    let (caller, server) = (caller.end(), server.end());
    let (asked, served) = (span(&caller, Kind::Client, "/in"), span(&server, Kind::Server, "/in"));
    assert_eq!(asked.trace_id, served.trace_id);
    assert_ne!(asked.span_id, served.span_id);
    // A span that nobody may export is no parent; the one that the request names is.
    assert_eq!(served.parent, asked.parent);
    assert!(served.parent.is_some());
}

/// The kernel's boot clock goes on while the machine sleeps.
#[test]
fn a_clock_that_leaps_in_the_middle_of_an_exchange_lengthens_it_and_no_more() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    let call = world.connect(A);
    world.ask(call, A, &get("/out", "")).wait(8 * HOUR_MS).hear(call, A);
    close(&mut world, request, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
    for (kind, path) in [(Kind::Server, "/in"), (Kind::Client, "/out"), (Kind::Client, "/in")] {
        let span = span(&spans, kind, path);
        let hours = (span.end.0 - span.start.0) / 3_600_000_000_000;
        assert_eq!(hours, 8, "{kind:?} {path}");
    }
}

/// The kernel's boot clock never does, within a thread, so a record of an earlier time than its order says came late: whose
/// answer an answer is that was told before its request is not known, and nothing is told of either.
#[test]
fn times_that_run_backwards_give_no_span() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.set_back(40);
    let call = world.connect(A);
    world.ask(call, A, &get("/out", "")).set_back(30).hear(call, A).set_back(20);
    close(&mut world, request, A);
    assert_eq!(world.end(), []);
}
