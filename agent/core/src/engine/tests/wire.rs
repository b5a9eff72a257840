//! Ids on the wire.

use super::*;

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
