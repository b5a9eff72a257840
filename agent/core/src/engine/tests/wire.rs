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

const MADE: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01\r\n";
/// Another process.
const OTHER_SERVER: Actors = (50, 50);

/// No span is its own ancestor, and children are in their parents' traces.
fn sound(spans: &[Span]) {
    for span in spans {
        let mut above = span;
        for _ in 0..=spans.len() {
            let Some(parent) = spans.iter().find(|other| Some(other.span_id) == above.parent) else { break };
            assert_ne!(parent.span_id, span.span_id, "a cycle in {spans:#?}");
            assert_eq!((parent.trace_id, parent.sampled), (span.trace_id, span.sampled));
            above = parent;
        }
    }
}

#[test]
fn a_call_to_ones_own_process_is_not_its_own_cause() {
    for unix in [false, true] {
        let mut world = World::new();
        let own = if unix { world.unix() } else { world.connect(A) };
        // The reader's hook runs first.
        world.read(own, B, &get("/own", MADE)).ask(own, A, &get("/own", MADE));
        world.answer(own, B).hear(own, A);
        let spans = world.end();
        sound(&spans);
        let (asked, served) = (span(&spans, Kind::Client, "/own"), span(&spans, Kind::Server, "/own"));
        assert_eq!(served.parent, Some(asked.span_id));
        assert_eq!(asked.parent.map(|id| id.to_string()), Some("00000000000000aa".into()));
    }
}

#[test]
fn a_call_to_ones_own_process_passes_a_context_on() {
    let mut world = World::new();
    let request = open_nonblocking(&mut world, A, "/in", CONTEXT);
    let own = world.connect(A);
    world.read_nonblocking(own, B, &get("/own", CONTEXT)).ask(own, A, &get("/own", CONTEXT));
    close(&mut world, own, B);
    close(&mut world, request, A);
    let spans = world.end();
    sound(&spans);
    assert!(caused(&spans, "/own", "/in"));
}

#[test]
fn a_call_that_comes_back_before_its_own_hook_ran_is_not_its_own_cause() {
    let mut world = World::new();
    let (out, back) = (world.connect(A), world.connect(OTHER_SERVER));
    world.read(out, OTHER_SERVER, &get("/out", MADE));
    world.ask(back, OTHER_SERVER, &get("/back", MADE)).read(back, B, &get("/back", MADE));
    world.ask(out, A, &get("/out", MADE));
    world.answer(back, B).hear(back, OTHER_SERVER).answer(out, OTHER_SERVER).hear(out, A);
    let spans = world.end();
    sound(&spans);
    assert!(caused(&spans, "/back", "/out"));
    assert_eq!(span(&spans, Kind::Server, "/out").parent, Some(span(&spans, Kind::Client, "/out").span_id));
}

#[test]
fn a_context_of_several_open_requests_leaves_the_choice_to_the_kernel_and_keeps_the_trace() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", CONTEXT);
    let second = open(&mut world, B, "/second", CONTEXT);
    world.call(A, &get("/out", CONTEXT)).call(C, &get("/nobodys", CONTEXT));
    close(&mut world, first, A);
    close(&mut world, second, B);
    let spans = world.end();
    sound(&spans);
    assert!(caused(&spans, "/out", "/first"));
    let nobodys = span(&spans, Kind::Client, "/nobodys");
    assert_eq!((nobodys.parent, known(nobodys)), (None, ("none", "no lineage")));
    assert_eq!(nobodys.trace_id, span(&spans, Kind::Server, "/first").trace_id);
}

#[test]
fn a_context_of_several_requests_conflicts_with_a_cause_of_another_trace() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", CONTEXT);
    let second = open(&mut world, B, "/second", CONTEXT);
    let third = open(&mut world, C, "/third", "");
    world.call(C, &get("/out", CONTEXT));
    for (wire, by) in [(first, A), (second, B), (third, C)] {
        close(&mut world, wire, by);
    }
    let spans = world.end();
    sound(&spans);
    let out = span(&spans, Kind::Client, "/out");
    assert_eq!(known(out), ("none", "conflict"));
    assert_eq!(out.trace_id, span(&spans, Kind::Server, "/first").trace_id);
}

#[test]
fn a_context_kept_from_an_answered_request_proves_nothing_while_others_are_open() {
    let mut world = World::new();
    let first = open_nonblocking(&mut world, A, "/first", CONTEXT);
    close(&mut world, first, A);
    let second = open_nonblocking(&mut world, A, "/second", OTHER);
    world.call(A, &get("/out", CONTEXT));
    close(&mut world, second, A);
    let spans = world.end();
    sound(&spans);
    let out = span(&spans, Kind::Client, "/out");
    assert_eq!((out.parent, known(out)), (None, ("none", "event loop")));
    assert_eq!(out.trace_id, span(&spans, Kind::Server, "/first").trace_id);
}

/// The request that is open, and carries the same, may be the one that was lost.
#[test]
fn a_context_kept_from_an_answered_request_proves_nothing_where_records_were_lost_since() {
    let mut world = World::new();
    let first = open(&mut world, A, "/first", CONTEXT);
    close(&mut world, first, A);
    world.losing(|world| {
        open(world, A, "/second", CONTEXT);
    });
    world.call(A, &get("/out", CONTEXT));
    assert_eq!(span(&world.end(), Kind::Client, "/out").parent, None);
}

/// The request that the thread last read was lost, and may carry the same: the other one proves nothing.
#[test]
fn a_context_names_no_request_if_the_thread_last_read_one_that_was_lost() {
    for read in [open, open_nonblocking] {
        let mut world = World::new();
        let first = read(&mut world, A, "/first", CONTEXT);
        world.losing(|world| {
            read(world, A, "/second", CONTEXT);
        });
        world.call(A, &get("/out", CONTEXT));
        close(&mut world, first, A);
        let spans = world.end();
        let out = span(&spans, Kind::Client, "/out");
        assert_eq!((out.parent, known(out)), (None, ("none", "lossy")));
        assert_eq!(out.trace_id, span(&spans, Kind::Server, "/first").trace_id);
    }
}

/// A thread that reads nothing passes a context on: of the requests that carried it one alone was seen.
#[test]
fn a_context_names_a_request_not_exactly_where_records_were_lost_since() {
    let mut world = World::new();
    let before = open(&mut world, B, "/before", "");
    close(&mut world, before, B);
    let first = open(&mut world, A, "/first", CONTEXT);
    world.losing(|world| {
        open(world, B, "/second", CONTEXT);
    });
    let third = open(&mut world, B, "/third", OTHER);
    world.call(C, &get("/out", CONTEXT));
    close(&mut world, first, A);
    close(&mut world, third, B);
    let spans = world.end();
    assert!(caused(&spans, "/out", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("wire", "strong"));
}

#[test]
fn a_context_kept_from_an_answered_request_is_its_late_work_if_nothing_else_is_open() {
    let mut world = World::new();
    let first = open_nonblocking(&mut world, A, "/first", CONTEXT);
    close(&mut world, first, A);
    world.call(A, &get("/out", CONTEXT));
    let spans = world.end();
    sound(&spans);
    assert!(caused(&spans, "/out", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/out")), ("wire", "strong"));
}

#[test]
fn a_constant_context_names_no_request() {
    let mut world = World::new();
    for number in 0..100 {
        let request = open_nonblocking(&mut world, A, &format!("/in{number}"), CONTEXT);
        world.call(A, &get(&format!("/out{number}"), CONTEXT));
        close(&mut world, request, A);
    }
    let spans = world.end();
    sound(&spans);
    assert!(caused(&spans, "/out5", "/in5"), "one was open, and few carried it");
    assert_eq!(span(&spans, Kind::Client, "/out99").parent, None);
}

#[test]
fn a_request_id_that_several_requests_carry_names_none() {
    let id = "x-request-id: 7\r\n";
    let mut world = World::new();
    let first = open_nonblocking(&mut world, A, "/first", id);
    world.call(A, &get("/one", id));
    let second = open_nonblocking(&mut world, A, "/second", id);
    world.call(A, &get("/two", id));
    close(&mut world, first, A);
    close(&mut world, second, A);
    let spans = world.end();
    assert!(caused(&spans, "/one", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/two")), ("none", "event loop"));
}
