//! The two ends of one exchange.

use super::*;
use crate::engine::Policy;

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
    assert_eq!(world.policies(), [(wire.server, Policy::Nothing)]);
}

const NO_LENGTH: &str = "HTTP/1.0 200 OK\r\n\r\nall of it";

#[test]
fn a_unix_client_that_sends_no_more_still_gets_its_answer() {
    let mut world = World::new();
    let wire = world.unix();
    world.ask(wire, CALLER, &get("/in", "")).read(wire, A, &get("/in", "")).ends(wire.server, Closing::RecvEof);
    world.wait(3_000).says(wire, A, NO_LENGTH).hears(wire, CALLER, NO_LENGTH).ends(wire.client, Closing::RecvEof);
    let spans = world.end();
    for kind in [Kind::Client, Kind::Server] {
        let half = span(&spans, kind, "/in");
        assert!(half.attributes.contains(&("http.response.status_code", crate::span::Value::Int(200))));
        assert_eq!(half.status, crate::span::Status::Unset);
    }
}

/// Its answer was counted, and nobody reads the socket's end: the process's end tells of it.
#[test]
fn what_an_ended_process_left_open_on_a_unix_socket_ends_as_its_bytes_say() {
    let ended = |counted: u64| {
        let mut world = World::new();
        world.program(CALLER.0, "caller");
        let wire = world.unix();
        world.ask(wire, CALLER, &get("/in", ""));
        if counted > 0 {
            world.counts(wire.client, Direction::Recv, counted);
        }
        world.exit(CALLER, true, true).wait(40_000);
        world.end()
    };
    let error = |spans: &[Span]| {
        let half = span(spans, Kind::Client, "/in");
        half.attributes.iter().any(|(name, _)| *name == "error.type")
    };
    assert!(error(&ended(0)));
    assert!(!error(&ended(41)));
}

#[test]
fn an_idle_unix_connection_that_its_client_closes_is_forgotten_at_both_ends() {
    let mut world = World::new();
    let wire = world.unix();
    world.ask(wire, CALLER, &get("/in", "")).read(wire, A, &get("/in", ""));
    close(&mut world, wire, A);
    assert!(world.has_parser(wire.client) && world.has_parser(wire.server));
    world.ends(wire.server, Closing::RecvEof).wait(2_000);
    for cookie in [wire.client, wire.server] {
        assert!(!world.has_parser(cookie));
    }
}

#[test]
fn a_unix_half_that_was_seen_first_meets_its_client_before_it_answers() {
    let mut world = World::new();
    let wire = world.unix();
    world.read(wire, A, &get("/in", "")).ask(wire, CALLER, &get("/in", ""));
    // What it calls is told while it is still open.
    world.call(A, &get("/out", "")).wait(2_000);
    let early = std::mem::take(&mut world.out.spans);
    close(&mut world, wire, A);
    let spans = [early, world.end()].concat();
    let (asked, served) = (span(&spans, Kind::Client, "/in"), span(&spans, Kind::Server, "/in"));
    assert_eq!(served.parent, Some(asked.span_id));
    assert_eq!(span(&spans, Kind::Client, "/out").trace_id, asked.trace_id);
}

#[test]
fn a_unix_half_whose_client_half_was_lost_does_not_meet_the_one_before() {
    let mut world = World::new();
    let wire = world.unix();
    world.ask(wire, CALLER, &get("/in", "")).read(wire, A, &get("/in", "")).says(wire, A, OK);
    // The caller's end of the first exchange is lost too, so it looks open.
    world.losing(|world| {
        world.hears(wire, CALLER, OK).ask(wire, CALLER, &get("/in", ""));
    });
    world.read(wire, A, &get("/in", "")).says(wire, A, OK).wait(2_000);
    let spans = world.end();
    let parents: Vec<_> = spans.iter().filter(|span| span.kind == Kind::Server).map(|span| span.parent).collect();
    assert_eq!(parents.len(), 2);
    assert_eq!(parents.iter().flatten().count(), 1, "{spans:#?}");
}

#[test]
fn a_tcp_call_begins_no_later_than_it_is_read() {
    let mut world = World::new();
    let wire = world.connect(CALLER);
    world.read(wire, A, &get("/in", "")).ask(wire, CALLER, &get("/in", ""));
    close(&mut world, wire, A);
    let spans = world.end();
    assert!(span(&spans, Kind::Client, "/in").start <= span(&spans, Kind::Server, "/in").start);
}
