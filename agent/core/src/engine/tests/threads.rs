//! What the thread that calls says: it read the request.

use super::*;

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
fn lost_records_of_a_thread_void_what_its_silence_would_prove() {
    let mut world = World::new();
    let request = open(&mut world, A, "/in", "");
    world.lose(A).call(A, &get("/out", ""));
    close(&mut world, request, A);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "lossy"));
    assert_eq!(world.stats().thread_gaps, 1);
}
