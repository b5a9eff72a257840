//! One client, one server, one connection: the least there is, over every kind of address.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::near;
use tracemend_tests::otlp::Kind;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::session::Session;
use tracemend_tests::target::Target;
use tracemend_tests::truth::Event;
use tracemend_tests::workload;

/// The client's calls are given this long.
const CALLS_LIMIT: Duration = Duration::from_secs(30);

fn both_ends_are_traced(scene: &Scene, target: &Target) -> Result<()> {
    const COUNT: usize = 20;
    let backend = workload::backend(scene, target)?;
    let mut client = workload::client(scene, target, COUNT, "c")?;
    let agent = Builder::new(scene).tree(&backend).tree(&client).start()?;
    client.tell("go")?;
    client.says("done", CALLS_LIMIT)?;
    let stopped = agent.stop()?;

    let told = scene.truth()?;
    let score = Truth::new(told.clone()).driver_traced().judge(&stopped.spans)?;
    score.all_right()?;
    assert_eq!((score.exchanges, score.halves.right, score.causes.right), (COUNT, COUNT, COUNT), "{score}");
    for span in &stopped.spans {
        assert_eq!((span.method(), span.path(), span.status()), ("GET", "/work", Some(200)));
        assert_eq!(span.name, "GET");
        assert_eq!(span.server_end(), target.to_string());
        let process = if span.kind == Kind::Client { &client } else { &backend };
        assert_eq!(span.pid(), Some(process.pid()));
        assert!(!span.service().is_empty());
    }
    for out in told.iter().filter(|one| one.event == Event::Out) {
        let told_by = |kind| {
            stopped
                .spans
                .iter()
                .any(|span| span.kind == kind && near(span.start_ns, out.from_ns) && near(span.end_ns, out.to_ns))
        };
        assert!(told_by(Kind::Client) && told_by(Kind::Server), "no span at the time of {}", out.id);
    }
    Ok(())
}

#[test]
fn every_exchange_over_ipv4_is_two_spans_of_one_trace() -> Result<()> {
    let test = "every_exchange_over_ipv4_is_two_spans_of_one_trace";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    both_ends_are_traced(&scene, &Target::ipv4()?)
}

#[test]
fn every_exchange_over_ipv6_is_two_spans_of_one_trace() -> Result<()> {
    let test = "every_exchange_over_ipv6_is_two_spans_of_one_trace";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    both_ends_are_traced(&scene, &Target::ipv6()?)
}

#[test]
fn every_exchange_over_a_unix_socket_is_two_spans_of_one_trace() -> Result<()> {
    let test = "every_exchange_over_a_unix_socket_is_two_spans_of_one_trace";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let target = Target::Unix(scene.path("backend.sock"));
    both_ends_are_traced(&scene, &target)
}

#[test]
fn the_context_on_the_wire_is_the_parent_where_the_sender_is_not_traced() -> Result<()> {
    let test = "the_context_on_the_wire_is_the_parent_where_the_sender_is_not_traced";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let agent = Builder::new(&scene).tree(&backend).start()?;
    let load = tracemend_tests::load::Load {
        contexts: true,
        connections: 4,
        ..tracemend_tests::load::Load::new(&target, "r", 40)
    };
    let sent = load.run()?;
    let stopped = agent.stop()?;
    let score = Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?;
    score.all_right()?;
    assert_eq!(score.halves.right, 40, "{score}");
    Ok(())
}

/// Sock pointers are reused at once, cookies never: each connection must stay its own.
#[test]
fn unix_connections_opened_and_closed_in_turn_stay_apart() -> Result<()> {
    const COUNT: usize = 500;
    let test = "unix_connections_opened_and_closed_in_turn_stay_apart";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let target = Target::Unix(scene.path("backend.sock"));
    let backend = workload::backend(&scene, &target)?;
    let agent = Builder::new(&scene).tree(&backend).pid(std::process::id()).start()?;
    for number in 0..COUNT {
        let sent = Session::connect(&target)?.get(&format!("/unix/{number}"), &format!("r{number}"), None)?;
        ensure!(sent.status == 200);
    }
    let spans = agent.stop()?.spans;

    assert_eq!(spans.len(), 2 * COUNT);
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), 2 * COUNT, "an id twice");
    for number in 0..COUNT {
        let path = format!("/unix/{number}");
        let of = |kind| spans.iter().find(|span| span.kind == kind && span.path() == path);
        let (client, server) = (of(Kind::Client).context(path.clone())?, of(Kind::Server).context(path.clone())?);
        assert_eq!((&client.trace_id, Some(&client.span_id)), (&server.trace_id, server.parent.as_ref()), "{path}");
        assert_eq!(client.parent, None, "{path}");
        assert_eq!(client.server_end(), target.to_string());
        assert_eq!(server.server_end(), target.to_string());
    }
    Ok(())
}
