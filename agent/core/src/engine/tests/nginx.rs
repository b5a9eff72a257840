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
