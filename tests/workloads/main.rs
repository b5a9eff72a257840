//! The workloads, the driver and the truth they tell, without an agent: what judges the agent has to be right itself.

mod instruments;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::load::Load;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::Target;
use tracemend_tests::truth::{self, Event, Sighting};
use tracemend_tests::workload::{self, Forward, Upstream};

/// Every exchange below the driver's own is told by its server; where its caller tells too, both mean one connection.
fn assert_consistent(sightings: &[Sighting]) {
    let find = |event, id: &str| sightings.iter().find(|one| one.event == event && one.id == id);
    for out in sightings.iter().filter(|one| one.event == Event::Out) {
        let read = find(Event::In, &out.id).unwrap_or_else(|| panic!("{} was not read", out.id));
        assert_eq!((&out.local, &out.peer), (&read.peer, &read.local), "{}", out.id);
        assert!(out.from_ns <= read.from_ns && read.to_ns <= out.to_ns, "{}", out.id);
    }
    for sighting in sightings {
        if let Some(cause) = sighting.cause().filter(|cause| cause.contains('.')) {
            assert!(find(Event::In, cause).is_some(), "{} has no cause", sighting.id);
        }
    }
}

/// How many exchanges there are of each depth below the driver's.
fn depths(sightings: &[Sighting]) -> BTreeMap<usize, usize> {
    let mut depths = BTreeMap::new();
    for read in sightings.iter().filter(|one| one.event == Event::In) {
        *depths.entry(read.id.matches('.').count()).or_default() += 1;
    }
    depths
}

#[test]
fn a_chain_of_nginx_gunicorn_and_backend_tells_the_truth() -> Result<()> {
    let test = "a_chain_of_nginx_gunicorn_and_backend_tells_the_truth";
    let Some(scene) = Scene::without_agent(test, &["nginx", "gunicorn"])? else {
        return Ok(());
    };
    let (front, middle, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let _backend = workload::backend(&scene, &end)?;
    let _gunicorn = workload::gunicorn(&scene, &middle, &end, 2, Forward::Traceparent)?;
    let _nginx = workload::nginx(&scene, &front, &middle, Upstream::PerRequest)?;
    let sent = Load { connections: 8, contexts: true, ..Load::new(&front, "r", 100) }.run()?;
    assert_eq!(sent.len(), 100);
    let told = scene.truth()?;
    assert_consistent(&told);
    assert_eq!(depths(&told), BTreeMap::from([(1, 100), (2, 100)]));
    Ok(())
}

#[test]
fn asyncio_behind_kept_alive_nginx_overlaps_its_requests() -> Result<()> {
    let test = "asyncio_behind_kept_alive_nginx_overlaps_its_requests";
    let Some(scene) = Scene::without_agent(test, &["nginx"])? else {
        return Ok(());
    };
    let (front, middle, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let _backend = workload::backend(&scene, &end)?;
    let _asyncio = workload::asyncio(&scene, &middle, &end, Forward::Nothing)?;
    let _nginx = workload::nginx(&scene, &front, &middle, Upstream::KeptAlive)?;
    Load { connections: 8, ..Load::new(&front, "r", 100) }.run()?;
    let told = scene.truth()?;
    assert_consistent(&told);
    assert_eq!(depths(&told), BTreeMap::from([(1, 100), (2, 100)]));
    // Between a request's reading and its call another request is read: what makes the order of events no evidence.
    let mut read: Vec<_> =
        told.iter().filter(|one| one.event == Event::In && one.id.matches('.').count() == 1).collect();
    read.sort_by_key(|one| one.from_ns);
    let call = |id: &str| told.iter().find(|one| one.event == Event::Out && one.cause() == Some(id));
    let overlapping =
        read.windows(2).filter(|pair| call(&pair[0].id).is_some_and(|call| call.from_ns > pair[1].from_ns));
    assert!(overlapping.count() > 50);
    Ok(())
}

#[test]
fn unix_upstreams_serve() -> Result<()> {
    let Some(scene) = Scene::without_agent("unix_upstreams_serve", &["nginx", "gunicorn"])? else {
        return Ok(());
    };
    let front = Target::ipv4()?;
    let (middle, end) = (Target::Unix(scene.path("middle.sock")), Target::Unix(scene.path("end.sock")));
    let _backend = workload::backend(&scene, &end)?;
    let _gunicorn = workload::gunicorn(&scene, &middle, &end, 1, Forward::Nothing)?;
    let _nginx = workload::nginx(&scene, &front, &middle, Upstream::PerRequest)?;
    Load { connections: 4, ..Load::new(&front, "r", 20) }.run()?;
    let told = scene.truth()?;
    assert_eq!(depths(&told), BTreeMap::from([(1, 20), (2, 20)]));
    let read = told.iter().find(|one| one.id == "r0.1").context("a request")?;
    assert_eq!((&read.local, read.peer.as_str()), (&middle.to_string(), "unix:"));
    Ok(())
}

#[test]
fn every_pattern_makes_its_calls() -> Result<()> {
    let Some(scene) = Scene::without_agent("every_pattern_makes_its_calls", &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let _backend = workload::backend(&scene, &end)?;
    let _patterns = workload::patterns(&scene, &front, &end)?;
    for pattern in ["direct", "join", "pool", "outlive", "fork", "spawn"] {
        Load { path: format!("/{pattern}"), connections: 4, ..Load::new(&front, pattern, 8) }.run()?;
    }
    Load { path: "/loop".to_owned(), ..Load::new(&front, "loop", 1) }.run()?;
    tracemend_tests::wait::until("the threads that outlive their requests call", Duration::from_secs(10), || {
        Ok((depths(&scene.truth()?).get(&1) == Some(&(6 * 8 + 10))).then_some(()))
    })?;
    // The last callers tell after their callees.
    std::thread::sleep(Duration::from_millis(100));
    let told = scene.truth()?;
    assert_consistent(&told);
    assert_eq!(told.iter().filter(|one| truth::cause(&one.id) == Some("loop0")).count(), 20);
    let process_of = |id: &str| told.iter().find(|one| one.event == Event::Out && one.id == id).map(|one| one.pid);
    assert_eq!(process_of("direct0.1"), process_of("pool0.1"));
    assert_ne!(process_of("direct0.1"), process_of("fork0.1"));
    assert_ne!(process_of("direct0.1"), process_of("spawn0.1"));
    Ok(())
}
