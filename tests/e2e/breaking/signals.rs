//! The agent ends in the middle of its work, by its own will or not.

use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::bpf::Loaded;
use tracemend_tests::clock::{TOLERANCE_NS, now_ns};
use tracemend_tests::load::{Load, Running};
use tracemend_tests::scene::Scene;
use tracemend_tests::wait;
use tracemend_tests::workload::Forward;

use super::{assert_complete, judge_part};
use crate::chain::{Chain, Middle};

/// The kernel frees what nobody holds any more after a grace period or two.
const FREED: Duration = Duration::from_secs(10);

/// Nothing that was loaded is there any more.
fn is_unloaded(loaded: &Loaded) -> Result<()> {
    let what = format!("programs {:?}, maps and links are gone", loaded.programs);
    wait::until(&what, FREED, || Ok((loaded.left() == Loaded::default()).then_some(())))
}

/// So many more requests are begun.
fn goes_on(load: &Running, requests: usize) -> Result<()> {
    let before = load.begun();
    wait::until("the load goes on", Duration::from_secs(30), || Ok((load.begun() >= before + requests).then_some(())))
}

#[test]
fn killed_under_load_it_leaves_nothing_behind_and_no_request_fails() -> Result<()> {
    let test = "killed_under_load_it_leaves_nothing_behind_and_no_request_fails";
    let Some(scene) = Scene::open(test, &["nginx"])? else {
        return Ok(());
    };
    let chain = Chain::start(&scene, Middle::Asyncio, Forward::Traceparent)?;
    let mut agent = chain.traced(Builder::new(&scene)).start()?;
    let loaded = Loaded::by(agent.process.pid())?;
    println!("{loaded:?}");
    let load = Load { contexts: true, ..chain.load("r", usize::MAX) }.begin();
    goes_on(&load, 300)?;
    agent.process.kill()?;
    is_unloaded(&loaded)?;
    goes_on(&load, 300)?;
    // Every one was answered with 200: a driver fails on anything else.
    let sent = load.finish()?;
    println!("{} requests", sent.len());
    // And one that comes after it finds the machine as any other does.
    let chain = Chain::start(&scene, Middle::Asyncio, Forward::Traceparent)?;
    let agent = chain.traced(Builder::named(&scene, "after")).start()?;
    let after = Load { contexts: true, ..chain.load("after", 200) }.run()?;
    let stopped = agent.stop()?;
    let score = judge_part(&scene.truth()?, &after, |_| true, &stopped.spans)?;
    assert_complete(&score);
    assert_eq!(score.exchanges, 3 * after.len(), "{score}");
    Ok(())
}

#[test]
fn terminated_under_load_it_tells_all_that_was_over_and_no_request_fails() -> Result<()> {
    let test = "terminated_under_load_it_tells_all_that_was_over_and_no_request_fails";
    let Some(scene) = Scene::open(test, &["nginx"])? else {
        return Ok(());
    };
    let chain = Chain::start(&scene, Middle::Asyncio, Forward::Traceparent)?;
    let agent = chain.traced(Builder::new(&scene)).start()?;
    let loaded = Loaded::by(agent.process.pid())?;
    let load = Load { contexts: true, ..chain.load("r", usize::MAX) }.begin();
    goes_on(&load, 1000)?;
    let asked = now_ns();
    let stopped = agent.stop()?;
    is_unloaded(&loaded)?;
    goes_on(&load, 300)?;
    let sent = load.finish()?;

    let score = judge_part(&scene.truth()?, &sent, |sent| sent.sighting.to_ns + TOLERANCE_NS < asked, &stopped.spans)?;
    println!("{score}{} requests, losses {:?}", sent.len(), stopped.losses);
    assert_complete(&score);
    assert!(score.exchanges >= 3 * 400, "{score}");
    assert_eq!(stopped.lost(), 0, "{:?}", stopped.losses);
    let all = judge_part(&scene.truth()?, &sent, |_| true, &stopped.spans)?;
    all.none_wrong()
}
