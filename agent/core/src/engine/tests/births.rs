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

#[test]
fn a_thread_with_the_id_of_an_ended_one_has_nothing_of_it() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    world.spawn(A, B).call(B, &get("/one", "")).exit(B, false, false);
    close(&mut world, first, A);
    // Its creator carries no tag, so nothing is told of the creation.
    world.spawn((10, 9), B);
    let second = open(&mut world, C, "/second", "");
    world.call(B, &get("/two", ""));
    close(&mut world, second, C);
    let spans = world.end();
    assert!(caused(&spans, "/one", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/two")), ("none", "no lineage"));
}

#[test]
fn a_worker_whose_pool_lets_it_go_when_it_is_idle_proves_nothing() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    world.spawn(A, B).call(B, &get("/one", ""));
    close(&mut world, first, A);
    let second = open(&mut world, C, "/second", "");
    world.call(B, &get("/two", ""));
    close(&mut world, second, C);
    world.pass(3_000).exit(B, false, false);
    let spans = world.end();
    for call in ["/one", "/two"] {
        assert_eq!(known(span(&spans, Kind::Client, call)), ("none", "worker without item"));
    }
}

#[test]
fn a_creator_that_waits_for_the_thread_it_created_is_not_idle() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).spawn(B, C);
    let slow = world.connect(C);
    world.ask(slow, C, &get("/out", "")).wait(4_000).hear(slow, C).exit(C, false, false).exit(B, false, false);
    close(&mut world, request, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/in"));
}

#[test]
fn a_call_of_an_idle_thread_is_told_soon() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).call(B, &get("/out", ""));
    close(&mut world, request, A);
    world.wait(500).wait(500).wait(500);
    let spans = std::mem::take(&mut world.out.spans);
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("none", "worker without item"));
}

#[test]
fn the_end_of_a_thread_settles_what_waited_for_it_and_once() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.spawn(A, B).call(B, &get("/one", "")).wait(900).call(B, &get("/two", "")).wait(900);
    world.exit(B, false, false).wait(1);
    assert!(std::mem::take(&mut world.out.spans).len() == 2, "both calls, and not the request yet");
    close(&mut world, request, A);
    assert_eq!(world.end().len(), 2, "both halves of the request");
}

#[test]
fn a_program_that_a_forked_child_executes_calls_for_the_request() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    let (shell, tool) = ((20, 20), (21, 21));
    world.spawn(A, shell).exec(20).spawn(shell, tool).exec(21);
    world.call(tool, &get("/out", "")).exit(tool, true, true).exit(shell, true, true);
    close(&mut world, request, A);
    assert!(caused(&world.end(), "/out", "/in"));
}
