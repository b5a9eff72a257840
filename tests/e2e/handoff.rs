//! Work that changes hands inside a process before it calls.

use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::{Score, Truth};
use tracemend_tests::target::Target;
use tracemend_tests::{wait, workload};

/// A pattern of `patterns.py` under load.
struct Pattern {
    name: &'static str,
    connections: usize,
    requests: usize,
    /// Calls that each request makes.
    calls: usize,
}

impl Pattern {
    /// Drives it until every call was made; its score, with every span there and no link wrong.
    fn drive(&self, test: &str) -> Result<Option<Score>> {
        let Some(scene) = Scene::open(test, &["python3"])? else {
            return Ok(None);
        };
        let (front, end) = (Target::ipv4()?, Target::ipv4()?);
        let backend = workload::backend(&scene, &end)?;
        let patterns = workload::patterns(&scene, &front, &end)?;
        let agent = Builder::new(&scene).tree(&backend).tree(&patterns).start()?;
        let load = Load::new(&front, "r", self.requests);
        let sent = Load { path: format!("/{}", self.name), connections: self.connections, ..load }.run()?;
        // Requests read, calls made, calls read.
        let sightings = self.requests * (1 + 2 * self.calls);
        wait::until("every call is made", Duration::from_secs(30), || {
            Ok((scene.truth()?.len() == sightings).then_some(()))
        })?;
        let stopped = agent.stop()?;
        let score = Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?;
        println!("{score}losses {:?}", stopped.losses);
        assert_eq!(score.exchanges, self.requests * (1 + self.calls));
        score.whole()?;
        score.none_wrong()?;
        Ok(Some(score))
    }

    fn all_right(&self, test: &str) -> Result<()> {
        self.drive(test)?.map_or(Ok(()), |score| score.all_right())
    }
}

#[test]
fn the_thread_that_read_the_request_is_its_caller() -> Result<()> {
    let pattern = Pattern { name: "direct", connections: 16, requests: 800, calls: 1 };
    pattern.all_right("the_thread_that_read_the_request_is_its_caller")
}

#[test]
fn a_thread_started_for_a_request_calls_for_it() -> Result<()> {
    let pattern = Pattern { name: "join", connections: 16, requests: 400, calls: 1 };
    pattern.all_right("a_thread_started_for_a_request_calls_for_it")
}

/// The pool's threads are born while some request is served, and work for all.
#[test]
fn a_lazily_grown_pool_gives_no_wrong_parent() -> Result<()> {
    let pattern = Pattern { name: "pool", connections: 16, requests: 800, calls: 1 };
    pattern.drive("a_lazily_grown_pool_gives_no_wrong_parent").map(drop)
}

#[test]
fn a_thread_that_outlives_its_request_calls_for_it_once() -> Result<()> {
    let pattern = Pattern { name: "outlive", connections: 8, requests: 80, calls: 1 };
    pattern.all_right("a_thread_that_outlives_its_request_calls_for_it_once")
}

/// It may have been started for the request, but nothing shows that its later calls are made for it.
#[test]
fn a_loop_that_outlives_its_request_gives_no_wrong_parent() -> Result<()> {
    let pattern = Pattern { name: "loop", connections: 4, requests: 12, calls: 10 };
    pattern.drive("a_loop_that_outlives_its_request_gives_no_wrong_parent").map(drop)
}

#[test]
fn a_child_forked_for_a_request_calls_for_it() -> Result<()> {
    let pattern = Pattern { name: "fork", connections: 4, requests: 60, calls: 1 };
    pattern.all_right("a_child_forked_for_a_request_calls_for_it")
}

#[test]
fn a_program_started_for_a_request_calls_for_it() -> Result<()> {
    let pattern = Pattern { name: "spawn", connections: 4, requests: 40, calls: 1 };
    pattern.all_right("a_program_started_for_a_request_calls_for_it")
}
