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

/// An answer whose end cannot be seen: its head is longer than what is captured of it.
fn cut_answer(world: &mut World, wire: Wire, by: Actors) {
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}", "a".repeat(1000));
    world.says(wire, by, &head).counts(wire.server, Direction::Send, 500);
    world.hears(wire, CALLER, &head).counts(wire.client, Direction::Recv, 500);
}

#[test]
fn a_thread_whose_answer_has_no_visible_end_did_not_interleave() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    cut_answer(&mut world, first, A);
    let second = open(&mut world, A, "/second", "");
    world.call(A, &get("/out", ""));
    close(&mut world, second, A);
    // The next request of the first connection tells that its answer was over long ago.
    world.wait(3_000);
    world.ask(first, CALLER, &get("/third", "")).read(first, A, &get("/third", "")).call(A, &get("/later", ""));
    close(&mut world, first, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/second"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("thread", "exact"));
    assert!(caused(&spans, "/later", "/third"));
}

#[test]
fn a_call_after_an_answer_without_visible_end_is_no_proof() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    cut_answer(&mut world, first, A);
    let other = open(&mut world, B, "/other", "");
    world.call(A, &get("/out", ""));
    close(&mut world, other, B);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "no lineage"));
}

#[test]
fn an_answer_that_goes_on_after_the_thread_turned_away_is_interleaving() {
    let mut world = World::new();
    let stream = open(&mut world, A, "/stream", "");
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    world.says(stream, A, head).hears(stream, CALLER, head);
    let second = open(&mut world, A, "/second", "");
    world.call(A, &get("/out", ""));
    close(&mut world, second, A);
    world.says(stream, A, "more").hears(stream, CALLER, "more");
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "event loop"));
}

#[test]
fn a_unix_socket_closed_at_its_answers_end_is_no_interleaving_however_late_the_other_end_reads_on() {
    let mut world = World::new();
    let head = "HTTP/1.0 200 OK\r\n\r\nall of it";
    let first = world.unix();
    world.ask(first, CALLER, &get("/first", "")).read(first, A, &get("/first", "")).says(first, A, head);
    let second = world.unix();
    world.ask(second, CALLER, &get("/second", "")).read(second, A, &get("/second", ""));
    world.call(A, &get("/out", ""));
    world.hears(first, CALLER, head).ends(first.client, Closing::RecvEof);
    close(&mut world, second, A);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/second"));
    assert_eq!(spans.len(), 5);
}

#[test]
fn interleaving_shows_on_connections_that_are_older_than_the_agent() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    let old = world.old(CALLER);
    // What is first seen of it is an answer: its requests are read from then on.
    world.says(old, B, OK).hears(old, CALLER, OK);
    world.ask(old, CALLER, &get("/second", "")).read(old, A, &get("/second", ""));
    world.call(A, &get("/out", ""));
    close(&mut world, old, A);
    close(&mut world, first, A);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "event loop"));
}

#[test]
fn calls_over_an_accepted_connection_are_no_interleaving() {
    let mut world = World::new();
    // A tunnel: its far end dialled in and answers requests.
    let tunnel = world.connect(CALLER);
    let call = |world: &mut World, path: &str| {
        world.says(tunnel, A, &get(path, "")).hears(tunnel, CALLER, &get(path, ""));
        world.ask(tunnel, CALLER, OK).read(tunnel, A, OK);
    };
    call(&mut world, "/warm");
    let request = open(&mut world, A, "/in", "");
    call(&mut world, "/out");
    world.call(A, &get("/more", ""));
    close(&mut world, request, A);
    assert_ne!(known(span(&world.end(), Kind::Client, "/more")), ("none", "event loop"));
}

#[test]
fn what_a_full_ring_swallowed_is_no_interleaving() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    world.losing(|world| close(world, first, A));
    let second = open(&mut world, A, "/second", "");
    world.call(A, &get("/out", ""));
    close(&mut world, second, A);
    let third = open(&mut world, A, "/third", "");
    world.call(A, &get("/later", ""));
    close(&mut world, third, A);
    let spans = world.end();
    assert!(caused(&spans, "/later", "/third"));
}

#[test]
fn a_turn_that_was_not_told_is_not_taken_for_the_one_before() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", "");
    cut_answer(&mut world, first, A);
    // Shed: the kernel half stamps the turn and sends nothing of it.
    world.shedding(|world| {
        world.ask(first, CALLER, &get("/shed", "")).read(first, A, &get("/shed", ""));
    });
    let other = open(&mut world, B, "/other", "");
    world.call(A, &get("/out", ""));
    close(&mut world, other, B);
    let spans = world.end();
    assert_eq!(span(&spans, Kind::Client, "/out").parent, None);
}
