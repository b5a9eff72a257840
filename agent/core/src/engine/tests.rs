//! Which call was caused by which request, and how that is known.

use super::world::{Actors, Wire, World, get, known, span};
use crate::span::{Kind, Span};

/// A caller that nobody calls.
const CALLER: Actors = (1, 1);
/// Threads of a server.
const A: Actors = (10, 10);
const B: Actors = (10, 11);
const C: Actors = (10, 12);

const CONTEXT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
const OTHER: &str = "traceparent: 00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01\r\n";

/// A request that a server thread reads and has not answered.
fn open(world: &mut World, by: Actors, path: &str, fields: &str) -> Wire {
    let wire = world.connect(CALLER);
    world.ask(wire, CALLER, &get(path, fields)).read(wire, by, &get(path, fields));
    wire
}

fn open_nonblocking(world: &mut World, by: Actors, path: &str, fields: &str) -> Wire {
    let wire = world.connect(CALLER);
    world.ask(wire, CALLER, &get(path, fields)).read_nonblocking(wire, by, &get(path, fields));
    wire
}

fn close(world: &mut World, wire: Wire, by: Actors) {
    world.answer(wire, by).hear(wire, CALLER);
}

fn caused(spans: &[Span], call: &str, request: &str) -> bool {
    let (call, request) = (span(spans, Kind::Client, call), span(spans, Kind::Server, request));
    call.parent == Some(request.span_id) && call.trace_id == request.trace_id
}

#[test]
fn a_blocking_thread_that_serves_one_request_is_proof() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.call(A, &get("/out", ""));
    close(&mut world, request, A);
    let spans = world.end();
    assert_eq!(spans.len(), 3);
    assert!(caused(&spans, "/out", "/in"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("thread", "exact"));
    let (asked, served) = (span(&spans, Kind::Client, "/in"), span(&spans, Kind::Server, "/in"));
    assert_eq!(served.parent, Some(asked.span_id), "the halves meet");
    assert_eq!(known(served), ("peer", "exact"));
    assert_eq!(known(asked), ("root", "none"));
}

#[test]
fn a_thread_that_interleaves_proves_nothing_in_its_whole_process_and_in_hindsight() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    world.call(A, &get("/out", ""));
    let second = open(&mut world, A, "/second", "");
    close(&mut world, first, A);
    close(&mut world, second, A);
    let third = open(&mut world, B, "/third", "");
    world.call(B, &get("/later", ""));
    close(&mut world, third, B);
    let spans = world.end();
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("none", "event loop"));
    assert_eq!(known(span(&spans, Kind::Client, "/later")), ("none", "event loop"));
}

#[test]
fn a_call_after_the_answer_is_no_proof() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    close(&mut world, request, A);
    let other = open(&mut world, B, "/other", "");
    world.call(A, &get("/out", ""));
    close(&mut world, other, B);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "no lineage"));
}

#[test]
fn non_blocking_threads_are_believed_after_many_requests_side_by_side() {
    let mut world = World::new();
    for round in 0..40 {
        let one = open_nonblocking(&mut world, A, &format!("/a{round}"), "");
        let two = open_nonblocking(&mut world, B, &format!("/b{round}"), "");
        world.call(A, &get(&format!("/x{round}"), ""));
        close(&mut world, one, A);
        close(&mut world, two, B);
        world.wait(1_000);
    }
    let spans = world.end();
    assert_eq!(known(span(&spans, Kind::Client, "/x0")), ("none", "event loop"), "not yet");
    assert_eq!(known(span(&spans, Kind::Client, "/x39")), ("thread", "strong"));
    assert!(caused(&spans, "/x39", "/a39"));
}

#[test]
fn a_thread_created_while_serving_that_ends_is_proof() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).call(B, &get("/out", "")).exit(B, false, false);
    close(&mut world, request, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("birth", "exact"));
}

#[test]
fn a_thread_that_outlives_its_request_and_ends_is_strong() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B);
    close(&mut world, request, A);
    world.wait(300).call(B, &get("/out", "")).exit(B, false, false);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("birth", "strong"));
}

#[test]
fn a_thread_that_lives_on_may_be_a_worker() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    world.spawn(A, B).call(B, &get("/one", ""));
    close(&mut world, first, A);
    let second = open(&mut world, C, "/second", "");
    world.call(B, &get("/two", ""));
    close(&mut world, second, C);
    world.exit(B, false, true);
    let spans = world.end();
    for call in ["/one", "/two"] {
        assert_eq!(known(span(&spans, Kind::Client, call)), ("none", "worker without item"));
    }
}

#[test]
fn a_process_created_while_serving_that_ends_is_proof() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    let child = (20, 20);
    world.spawn(A, child).call(child, &get("/out", "")).exit(child, true, true);
    close(&mut world, request, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("birth", "exact"));
}

#[test]
fn a_thread_created_by_a_created_thread_inherits() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).spawn(B, C).call(C, &get("/out", "")).exit(C, false, false).exit(B, false, false);
    close(&mut world, request, A);
    assert!(caused(&world.end(), "/out", "/in"));
}

#[test]
fn what_a_descendant_settles_on_waits_for_the_thread_it_hangs_on() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B);
    let onward = world.connect(B);
    let serving = (30, 30);
    world.ask(onward, B, &get("/on", "")).read(onward, serving, &get("/on", ""));
    world.call(serving, &get("/deep", "")).wait(3_000);
    world.answer(onward, serving).hear(onward, B).exit(B, false, false);
    close(&mut world, request, A);
    let spans = world.end();
    assert!(caused(&spans, "/on", "/in"));
    assert!(caused(&spans, "/deep", "/on"));
    assert_eq!(span(&spans, Kind::Client, "/deep").trace_id, span(&spans, Kind::Client, "/in").trace_id);
}

#[test]
fn nginx_binds_a_new_connection_at_connect_and_an_idle_one_in_its_turn() {
    let mut world = World::new();
    world.program(A.0, "nginx");
    let first = open_nonblocking(&mut world, A, "/first", "");
    let fresh = world.connect(A);
    let second = open_nonblocking(&mut world, A, "/second", "");
    world.ask(fresh, A, &get("/up1", "")).hear(fresh, A);
    close(&mut world, first, A);
    close(&mut world, second, A);
    let third = open_nonblocking(&mut world, A, "/third", "");
    world.ask(fresh, A, &get("/up3", ""));
    let fourth = open_nonblocking(&mut world, A, "/fourth", "");
    world.hear(fresh, A);
    close(&mut world, third, A);
    close(&mut world, fourth, A);
    let spans = world.end();
    assert!(caused(&spans, "/up1", "/first"), "not the request read last before the first write");
    assert!(caused(&spans, "/up3", "/third"));
    assert_eq!(known(span(&spans, Kind::Client, "/up1")), ("nginx", "strong"));
}

#[test]
fn an_upstream_answer_is_a_turn_of_the_request_it_was_asked_for() {
    let mut world = World::new();
    world.program(A.0, "nginx");
    let first = open_nonblocking(&mut world, A, "/first", "");
    let auth = world.connect(A);
    world.ask(auth, A, &get("/auth", ""));
    let second = open_nonblocking(&mut world, A, "/second", "");
    world.hear(auth, A);
    let main = world.connect(A);
    world.ask(main, A, &get("/main", "")).hear(main, A);
    close(&mut world, first, A);
    close(&mut world, second, A);
    let spans = world.end();
    assert!(caused(&spans, "/auth", "/first"));
    assert!(caused(&spans, "/main", "/first"), "not the request read last");
}

#[test]
fn a_forwarded_context_names_the_one_request_that_carries_it() {
    let mut world = World::new();
    let first = open_nonblocking(&mut world, A, "/first", CONTEXT);
    let second = open_nonblocking(&mut world, A, "/second", OTHER);
    world.call(A, &get("/out", CONTEXT));
    close(&mut world, first, A);
    close(&mut world, second, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("wire", "exact"));
}

#[test]
fn a_context_that_two_open_requests_carry_names_none() {
    let mut world = World::new();
    let first = open_nonblocking(&mut world, A, "/first", CONTEXT);
    let second = open_nonblocking(&mut world, A, "/second", CONTEXT);
    world.call(A, &get("/out", CONTEXT));
    close(&mut world, first, A);
    close(&mut world, second, A);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "event loop"));
}

#[test]
fn disagreement_keeps_the_wires_trace_and_links_the_kernels_cause() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", CONTEXT);
    let second = open(&mut world, B, "/second", OTHER);
    world.call(A, &get("/out", OTHER));
    close(&mut world, first, A);
    close(&mut world, second, B);
    let spans = world.end();
    let (out, first) = (span(&spans, Kind::Client, "/out"), span(&spans, Kind::Server, "/first"));
    assert_eq!(known(out), ("none", "conflict"));
    assert_eq!(out.parent, None);
    assert_eq!(out.trace_id, span(&spans, Kind::Client, "/second").trace_id);
    assert_eq!(out.links.iter().map(|link| link.span_id).collect::<Vec<_>>(), [first.span_id]);
    assert_eq!(world.stats().conflicts, 1);
}

#[test]
fn a_context_made_in_the_process_is_continued() {
    let mut world = World::new();
    let made = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01\r\n";
    let request = open(&mut world, A, "/in", CONTEXT);
    world.call(A, &get("/out", made));
    close(&mut world, request, A);
    let spans = world.end();
    let out = span(&spans, Kind::Client, "/out");
    assert_eq!(out.parent.map(|id| id.to_string()), Some("00000000000000aa".into()));
    assert_eq!(out.trace_id, span(&spans, Kind::Server, "/in").trace_id);
    assert_eq!(known(out), ("wire", "exact"));
}

#[test]
fn unix_halves_meet_also_if_the_reader_is_seen_first() {
    let mut world = World::new();
    let wire = world.unix();
    world.read(wire, A, &get("/in", "")).ask(wire, CALLER, &get("/in", ""));
    close(&mut world, wire, A);
    let spans = world.end();
    let (asked, served) = (span(&spans, Kind::Client, "/in"), span(&spans, Kind::Server, "/in"));
    assert_eq!(served.parent, Some(asked.span_id));
    assert!(asked.start <= served.start, "a call begins no later than it is read");
}

#[test]
fn five_hundred_unix_connections_give_five_hundred_exchanges() {
    let mut world = World::new();
    for _ in 0..500 {
        let wire = world.unix();
        world.ask(wire, CALLER, &get("/in", "")).read(wire, A, &get("/in", ""));
        close(&mut world, wire, A);
    }
    let spans = world.end();
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.span_id).collect();
    assert_eq!((spans.len(), ids.len()), (1000, 1000));
}

#[test]
fn the_agents_own_exchanges_are_left_out_at_the_other_end_too() {
    let mut world = World::new();
    let wire = world.agent_connects(CALLER);
    world.ask(wire, CALLER, &get("/v1/traces", "")).read(wire, A, &get("/v1/traces", "")).answer(wire, A);
    assert_eq!(world.end(), []);
    assert_eq!(world.policies(), [(wire.server, super::Policy::Nothing)]);
}

#[test]
fn lost_records_of_a_thread_void_what_its_silence_would_prove() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.lose(A).call(A, &get("/out", ""));
    close(&mut world, request, A);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "lossy"));
    assert_eq!(world.stats().thread_gaps, 1);
}

#[test]
fn what_an_excluded_path_caused_is_left_out_with_it() {
    let mut world = World::excluding(|target| target.starts_with("/health"));
    let probe = open(&mut world, A, "/health?deep", "");
    world.call(A, &get("/out", ""));
    close(&mut world, probe, A);
    let request = open(&mut world, A, "/in", "");
    close(&mut world, request, A);
    let spans = world.end();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|one| !one.attributes.is_empty()));
    assert_eq!(world.stats().excluded_spans, 3);
}
