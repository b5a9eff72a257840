//! Threads and processes created while serving.

use super::*;

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
