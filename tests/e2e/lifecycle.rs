//! Starting, stopping, and what is in the way.

use std::time::{Duration, Instant};

use anyhow::Result;
use tracemend_tests::agent::{self, Builder, READY_LIMIT, STOP_LIMIT};
use tracemend_tests::collector::Collector;
use tracemend_tests::load::Load;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::{Target, free_port};
use tracemend_tests::{wait, workload};

#[test]
fn ready_within_five_seconds_and_gone_within_ten() -> Result<()> {
    let Some(scene) = Scene::open("ready_within_five_seconds_and_gone_within_ten", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let start = Instant::now();
    let agent = Builder::new(&scene).tree(&backend).start()?;
    assert!(start.elapsed() <= READY_LIMIT);
    Load::new(&target, "r", 50).run()?;
    let stop = Instant::now();
    // Asked to end in the middle of its work, it flushes what is in its rings and queues.
    let stopped = agent.stop()?;
    assert!(stop.elapsed() <= STOP_LIMIT);
    assert_eq!(stopped.spans.len(), 50);
    assert_eq!(stopped.lost(), 0, "{:?}", stopped.losses);
    Ok(())
}

#[test]
fn spans_are_in_the_file_soon_after_they_settle() -> Result<()> {
    let Some(scene) = Scene::open("spans_are_in_the_file_soon_after_they_settle", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let mut agent = Builder::new(&scene).tree(&backend).start()?;
    Load::new(&target, "r", 10).run()?;
    // A link settles 1 s after its exchange's end at the latest, and is written within 1 s of that.
    let spans = agent.wait_for(Duration::from_millis(2_500), |spans| spans.len() == 10)?;
    assert_eq!(spans.len(), 10);
    agent.stop().map(drop)
}

#[test]
fn a_second_agent_is_refused_with_the_pid_of_the_first() -> Result<()> {
    let Some(scene) = Scene::open("a_second_agent_is_refused_with_the_pid_of_the_first", &[])? else {
        return Ok(());
    };
    let only = |name| Builder::named(&scene, name).pid(std::process::id()).only();
    let first = Builder::new(&scene).pid(std::process::id()).start()?;
    // The first one is this test's own, unless the host has one already.
    wait::until("an agent is refused because of another one", Duration::from_secs(60), || {
        let holder = agent::lock_holder()?;
        let mut refused = only("second").start_unready()?;
        let status = refused.process.ended(READY_LIMIT)?;
        // A foreign one may come or go meanwhile.
        if holder.is_none() || agent::lock_holder()? != holder {
            return Ok(None);
        }
        assert_eq!(status.code(), Some(4));
        let said = refused.process.lines().join("\n");
        assert!(holder.is_some_and(|pid| said.contains(&format!("pid {pid}"))), "{holder:?}: {said}");
        assert!(said.contains("--second"), "{said}");
        Ok(Some(()))
    })?;
    let third = Builder::named(&scene, "third").pid(std::process::id()).start()?;
    third.stop()?;
    first.stop()?;
    // And one that is gone is in nobody's way.
    wait::until("an agent starts where no other one is", Duration::from_secs(120), || {
        if agent::lock_holder()?.is_some() {
            return Ok(None);
        }
        Ok(only("fourth").start().ok())
    })?
    .stop()
    .map(drop)
}

#[test]
fn an_unreachable_collector_is_said_once_and_found_again() -> Result<()> {
    let Some(scene) = Scene::open("an_unreachable_collector_is_said_once_and_found_again", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let port = free_port()?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut agent = Builder::exporting(&endpoint, "http/protobuf").tree(&backend).start()?;
    for round in 0..3 {
        Load::new(&target, &format!("before{round}-"), 10).run()?;
        std::thread::sleep(Duration::from_secs(2));
        agent.process.check()?;
    }
    let complaints = agent.process.lines().iter().filter(|line| line.contains(&endpoint)).count();
    assert!(
        (1..=2).contains(&complaints),
        "{complaints} lines name the collector: once where it is, once that it is not there"
    );

    let collector = Collector::start(port)?;
    Load::new(&target, "after", 10).run()?;
    wait::until("the collector is found again", Duration::from_secs(40), || {
        agent.process.check()?;
        Ok((collector.bytes() > 0).then_some(()))
    })?;
    agent.stop().map(drop)
}

#[test]
fn an_agent_whose_collector_never_came_still_ends_in_time() -> Result<()> {
    let Some(scene) = Scene::open("an_agent_whose_collector_never_came_still_ends_in_time", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let endpoint = format!("http://127.0.0.1:{}", free_port()?);
    let agent = Builder::exporting(&endpoint, "grpc").tree(&backend).start()?;
    Load::new(&target, "r", 10).run()?;
    std::thread::sleep(Duration::from_secs(2));
    let stopped = agent.stop()?;
    assert!(stopped.lost() > 0, "ten spans went nowhere, uncounted: {:?}", stopped.losses);
    Ok(())
}
