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
