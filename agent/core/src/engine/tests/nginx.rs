//! nginx's discipline.

use super::*;

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
fn a_timers_call_is_not_caused_by_the_request_read_last() {
    let mut world = World::new();
    world.program(A.0, "nginx");
    let first = open_nonblocking(&mut world, A, "/first", "");
    let up = world.connect(A);
    world.ask(up, A, &get("/up", "")).hear(up, A);
    close(&mut world, first, A);
    let other = open_nonblocking(&mut world, (A.0, 77), "/other", "");
    world.call(A, &get("/check", ""));
    close(&mut world, other, (A.0, 77));
    let spans = world.end();
    assert!(caused(&spans, "/up", "/first"));
    assert_eq!(known(span(&spans, Kind::Client, "/check")), ("none", "no lineage"));
}

#[test]
fn a_request_behind_the_rest_of_a_body_in_one_turn_is_ambiguous() {
    let mut world = World::new();
    world.program(A.0, "nginx");
    let wire = world.connect(CALLER);
    let post = "POST /post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    world.ask(wire, CALLER, post).read_nonblocking(wire, A, post);
    world.says(wire, A, "HTTP/1.1 100 Continue\r\n\r\n");
    let rest = format!("body{}", get("/next", ""));
    world.ask(wire, CALLER, &rest).read_nonblocking(wire, A, &rest);
    world.call(A, &get("/out", ""));
    close(&mut world, wire, A);
    close(&mut world, wire, A);
    assert_eq!(known(span(&world.end(), Kind::Client, "/out")), ("none", "ambiguous batch"));
}

#[test]
fn the_rest_of_a_body_after_an_interim_answer_is_its_requests_turn() {
    let mut world = World::new();
    let wire = world.connect(CALLER);
    let post = "POST /post HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    world.ask(wire, CALLER, post).read(wire, A, post);
    world.says(wire, A, "HTTP/1.1 100 Continue\r\n\r\n").hears(wire, CALLER, "HTTP/1.1 100 Continue\r\n\r\n");
    world.ask(wire, CALLER, "body").read(wire, A, "body");
    world.call(A, &get("/out", ""));
    close(&mut world, wire, A);
    assert!(caused(&world.end(), "/out", "/post"));
}
