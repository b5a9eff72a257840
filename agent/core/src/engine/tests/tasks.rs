//! Tasks of Celery: put into Redis by one process, and worked at by another that nothing else ties to it.

use super::*;
use crate::engine::Policy;
use crate::limits::{BROKER_TURNS_MAX, TASK_PUTS_MAX, TASKS_MAX};

/// Units of two connections of the server.
const ONE: u64 = 256;
const OTHER_UNIT: u64 = 512;
/// Processes of a pool, what runs there, and the pipes at which they wait.
const CHILD: Actors = (20, 20);
const CHILD_PIPE: u64 = 0x77;
const SECOND: Actors = (21, 21);
const SECOND_PIPE: u64 = 0x78;
const WORKER: u64 = 1024;

fn name(task: u32) -> String {
    format!("{task:08x}-0959-411e-bd92-68d9dfc11dfa")
}

fn push(task: u32) -> String {
    let message = format!(r#"{{"body": "W10=", "headers": {{"task": "work", "id": "{}"}}}}"#, name(task));
    format!("*3\r\n$5\r\nLPUSH\r\n$6\r\ncelery\r\n${}\r\n{message}\r\n", message.len())
}

fn job(task: u32) -> Vec<u8> {
    [b"\x80\x05K\x02(K\x07N\x8c\x10celery.app.trace\x94\x93(\x8c\x04work\x94\x8c$", name(task).as_bytes()].concat()
}

/// A unit puts a task, over a connection of its own.
fn put(world: &mut World, by: Actors, task: u32) -> Wire {
    let redis = world.connect(by);
    world.ask(redis, by, &push(task)).hears(redis, by, ":1\r\n");
    redis
}

/// What a process of the pool calls, having been given a task.
fn work(world: &mut World, by: Actors, pipe: u64, task: u32, path: &str) {
    world.run(by, WORKER).job(by, pipe, &job(task)).call(by, &get(path, ""));
}

/// Two requests that are open at once, and put a task each: the first one 1, the other 2.
fn two_put(world: &mut World) -> (Wire, Wire) {
    world.run(A, ONE);
    let one = open_nonblocking(world, A, "/one", "");
    put(world, A, 1);
    world.run(A, OTHER_UNIT);
    let other = open_nonblocking(world, A, "/other", "");
    put(world, A, 2);
    (one, other)
}

fn end(mut world: World, (one, other): (Wire, Wire)) -> Vec<Span> {
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    world.run(A, OTHER_UNIT).answer(other, A).hear(other, CALLER);
    world.end()
}

fn is_nobodys(spans: &[Span], call: &str) -> bool {
    // No request is open in the process that calls.
    known(span(spans, Kind::Client, call)).0 == "root"
}

#[test]
fn a_process_of_the_pool_calls_for_whom_its_task_was_put() {
    let mut world = World::new();
    let both = two_put(&mut world);
    work(&mut world, CHILD, CHILD_PIPE, 2, "/second");
    work(&mut world, SECOND, SECOND_PIPE, 1, "/first");
    world.call(SECOND, &get("/again", ""));
    let spans = end(world, both);
    for (call, request) in [("/first", "/one"), ("/again", "/one"), ("/second", "/other")] {
        assert_eq!(known(span(&spans, Kind::Client, call)), ("item", "exact"), "{call}");
        assert!(caused(&spans, call, request), "{call}");
    }
}

#[test]
fn a_thread_that_serves_one_request_puts_its_tasks_for_it() {
    let mut world = World::new();
    let one = open(&mut world, A, "/one", "");
    put(&mut world, A, 1);
    let other = open(&mut world, B, "/other", "");
    put(&mut world, B, 2);
    close(&mut world, one, A);
    work(&mut world, CHILD, CHILD_PIPE, 2, "/second");
    work(&mut world, CHILD, CHILD_PIPE, 1, "/first");
    close(&mut world, other, B);
    let spans = world.end();
    assert!(caused(&spans, "/first", "/one") && caused(&spans, "/second", "/other"));
    assert_eq!(known(span(&spans, Kind::Client, "/second")), ("item", "exact"));
    assert_eq!(known(span(&spans, Kind::Client, "/first")), ("item", "strong"), "it was answered before");
}

/// `a.s() | b.s()`: whoever works at the first task puts the second one, and so on.
#[test]
fn a_chain_of_tasks_is_for_the_request_of_the_first() {
    let mut world = World::new();
    let both = two_put(&mut world);
    for task in 0..20 {
        let (before, next) = (if task == 0 { 1 } else { 100 + task }, 101 + task);
        world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, &job(before));
        put(&mut world, CHILD, next);
        work(&mut world, CHILD, CHILD_PIPE, 2, &format!("/between/{task}"));
    }
    work(&mut world, SECOND, SECOND_PIPE, 120, "/last");
    let spans = end(world, both);
    assert!(caused(&spans, "/last", "/one"));
    assert_eq!(known(span(&spans, Kind::Client, "/last")), ("item", "exact"));
    assert!((0..20).all(|task| caused(&spans, &format!("/between/{task}"), "/other")));
}

/// A chain without an end: each of two tasks was put by what worked at the other.
#[test]
fn tasks_that_put_each_other_are_nobodys() {
    let mut world = World::new();
    world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, &job(1));
    put(&mut world, CHILD, 2);
    world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, &job(2));
    put(&mut world, CHILD, 1);
    work(&mut world, CHILD, CHILD_PIPE, 1, "/call");
    assert!(is_nobodys(&world.end(), "/call"));
}

#[test]
fn a_retry_is_for_the_same_request() {
    let mut world = World::new();
    let both = two_put(&mut world);
    world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, &job(1));
    put(&mut world, CHILD, 1);
    work(&mut world, SECOND, SECOND_PIPE, 1, "/retried");
    assert!(caused(&end(world, both), "/retried", "/one"));
}

#[test]
fn a_task_that_two_requests_put_is_nobodys() {
    let mut world = World::new();
    let both = two_put(&mut world);
    put(&mut world, A, 1);
    work(&mut world, CHILD, CHILD_PIPE, 1, "/either");
    work(&mut world, CHILD, CHILD_PIPE, 2, "/other/call");
    let spans = end(world, both);
    assert!(is_nobodys(&spans, "/either"));
    assert!(caused(&spans, "/other/call", "/other"));
}

/// A worker that gives back what it did not do puts it again, and nobody knows for whom.
#[test]
fn a_task_that_somebody_else_puts_again_is_nobodys() {
    let mut world = World::new();
    let both = two_put(&mut world);
    put(&mut world, (30, 30), 1);
    work(&mut world, CHILD, CHILD_PIPE, 1, "/either");
    assert!(is_nobodys(&end(world, both), "/either"));
}

#[test]
fn a_task_that_one_request_puts_often_is_its_own_up_to_a_limit() {
    for (more, its_own) in [(TASK_PUTS_MAX - 1, true), (TASK_PUTS_MAX, false)] {
        let mut world = World::new();
        world.run(A, ONE);
        let one = open_nonblocking(&mut world, A, "/one", "");
        (0..=more).for_each(|_| _ = put(&mut world, A, 1));
        work(&mut world, CHILD, CHILD_PIPE, 1, "/call");
        world.run(A, ONE).answer(one, A).hear(one, CALLER);
        let spans = world.end();
        assert_eq!(known(span(&spans, Kind::Client, "/call")).0 == "item", its_own);
    }
}

/// What it is given next ends the task before, also where that is not known.
#[test]
fn a_task_that_nobody_was_seen_to_put_is_nobodys() {
    let mut world = World::new();
    let both = two_put(&mut world);
    work(&mut world, CHILD, CHILD_PIPE, 1, "/first");
    work(&mut world, CHILD, CHILD_PIPE, 9, "/unknown");
    world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, b"not Celery's").call(CHILD, &get("/foreign", ""));
    let spans = end(world, both);
    assert!(caused(&spans, "/first", "/one"));
    assert!(is_nobodys(&spans, "/unknown") && is_nobodys(&spans, "/foreign"));
}

#[test]
fn a_task_whose_put_was_lost_is_nobodys() {
    let mut world = World::new();
    world.run(A, ONE);
    let one = open_nonblocking(&mut world, A, "/one", "");
    world.losing(|world| _ = put(world, A, 1));
    work(&mut world, CHILD, CHILD_PIPE, 1, "/call");
    world.answer(one, A).hear(one, CALLER);
    assert!(is_nobodys(&world.end(), "/call"));
}

/// A turn is read as far as it is known who sent it.
#[test]
fn a_task_counts_however_its_command_is_cut_and_only_of_who_began_the_turn() {
    let whole = push(1);
    for at in 1..whole.len() {
        let mut world = World::new();
        world.run(A, ONE);
        let one = open_nonblocking(&mut world, A, "/one", "");
        let redis = world.connect(A);
        world.ask(redis, A, &whole[..at]).ask(redis, A, &whole[at..]);
        // Another one, by nobody knows which unit.
        world.run(A, OTHER_UNIT).ask(redis, A, &push(2)).hears(redis, A, ":1\r\n:2\r\n");
        work(&mut world, CHILD, CHILD_PIPE, 1, "/call");
        work(&mut world, CHILD, CHILD_PIPE, 2, "/other");
        assert_eq!(world.stats().cut_broker_turns, 1);
        world.run(A, ONE).answer(one, A).hear(one, CALLER);
        let spans = world.end();
        assert!(caused(&spans, "/call", "/one"), "cut at {at}");
        assert!(is_nobodys(&spans, "/other"), "cut at {at}");
    }
}

#[test]
fn a_pipe_at_which_a_process_does_not_wait_names_nothing() {
    let mut world = World::new();
    let both = two_put(&mut world);
    world.run(CHILD, WORKER).job(CHILD, 0x99, b"another pool's").job(CHILD, CHILD_PIPE, &job(1));
    world.call(CHILD, &get("/either", ""));
    assert!(is_nobodys(&end(world, both), "/either"));
}

#[test]
fn connections_to_redis_that_put_no_tasks_are_read_for_a_while() {
    let mut world = World::new();
    let [cache, queue] = [world.connect(A), world.connect(A)];
    let get = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
    for turn in 0..2 * BROKER_TURNS_MAX {
        world.ask(cache, A, get).hears(cache, A, "$1\r\nb\r\n");
        let text = if turn % BROKER_TURNS_MAX == 0 { push(turn) } else { get.to_owned() };
        world.ask(queue, A, &text).hears(queue, A, ":1\r\n");
        let over = world.policies().contains(&(cache.client, Policy::Nothing));
        assert_eq!(over, turn >= BROKER_TURNS_MAX, "turn {turn}");
    }
    assert!(!world.policies().iter().any(|(cookie, _)| *cookie == queue.client));
}

#[test]
fn only_so_many_tasks_are_remembered() {
    let mut world = World::new();
    world.run(A, ONE);
    let one = open_nonblocking(&mut world, A, "/one", "");
    let tasks = TASKS_MAX as u32 + 8;
    (0..tasks).for_each(|task| _ = put(&mut world, A, task));
    assert_eq!(world.stats().evicted_tasks, 8);
    work(&mut world, CHILD, CHILD_PIPE, 7, "/forgotten");
    work(&mut world, CHILD, CHILD_PIPE, 8, "/known");
    world.run(A, ONE).answer(one, A).hear(one, CALLER);
    let spans = world.end();
    assert!(is_nobodys(&spans, "/forgotten"));
    assert!(caused(&spans, "/known", "/one"));
}

/// A backlog: the request was answered long before.
#[test]
fn a_task_may_wait_for_a_minute_and_no_longer() {
    for (seconds, is_known) in [(55, true), (65, false)] {
        let mut world = World::new();
        let both = two_put(&mut world);
        world.run(A, ONE).answer(both.0, A).hear(both.0, CALLER);
        (0..seconds).for_each(|_| _ = world.wait(1_000));
        work(&mut world, CHILD, CHILD_PIPE, 1, "/first");
        world.run(A, OTHER_UNIT).answer(both.1, A).hear(both.1, CALLER);
        let spans = world.end();
        assert_eq!(known(span(&spans, Kind::Client, "/first")) == ("item", "strong"), is_known, "{seconds} s");
    }
}

#[test]
fn a_chain_may_take_as_long() {
    let mut world = World::new();
    let both = two_put(&mut world);
    world.run(A, ONE).answer(both.0, A).hear(both.0, CALLER);
    for before in [1, 101, 102] {
        (0..15).for_each(|_| _ = world.wait(1_000));
        world.run(CHILD, WORKER).job(CHILD, CHILD_PIPE, &job(before));
        put(&mut world, CHILD, if before == 1 { 101 } else { before + 1 });
    }
    work(&mut world, SECOND, SECOND_PIPE, 103, "/last");
    world.run(A, OTHER_UNIT).answer(both.1, A).hear(both.1, CALLER);
    assert!(caused(&world.end(), "/last", "/one"));
}
