//! Ways of handing work over that are not scored (`cargo xtask score` measures the others): what Celery does with tasks beside
//! working at each of them once, a pool that is not read, and jobs of Go's that carry no context.

use anyhow::{Context, Result};
use tracemend_tests::patterns::{Trial, unscored};
use tracemend_tests::scene;
use tracemend_tests::score::EdgeFate;

const REQUESTS: usize = 400;

/// No link is wrong, and a share of the calls is linked, at least. Each process of a pool may be given its first job before its
/// pipe is watched.
fn linked(id: &str, test: &str, right_share: f64) -> Result<()> {
    let pattern = unscored().find(|pattern| pattern.id == id).context("a pattern")?;
    let variant = pattern.variants().into_iter().next().context("a variant")?;
    if let Err(missing) = &variant.program {
        scene::skip(test, missing);
        return Ok(());
    }
    let trial = Trial { pattern, variant, clients: 16, requests: REQUESTS, seed: 1 };
    let Some(scene) = trial.scene(test)? else { return Ok(()) };
    let outcome = trial.run(&scene)?;
    let edges = outcome.truth.edges(&outcome.stopped.spans)?;
    let (right, all) = (edges.count(EdgeFate::Right), edges.edges.len());
    println!("{right} of {all} right, losses {:?}", outcome.stopped.losses);
    assert!(edges.wrong.is_empty(), "{:?}", edges.wrong);
    assert_eq!((all, edges.count(EdgeFate::Unseen)), (REQUESTS * pattern.calls, 0));
    assert!(right as f64 >= right_share * all as f64, "{right} of {all} are right");
    Ok(())
}

/// `a.s() | b.s()`: whoever works at the first task puts the second one.
#[test]
fn a_chain_of_tasks_is_for_its_request() -> Result<()> {
    linked("python/celery-chain", "a_chain_of_tasks_is_for_its_request", 0.98)
}

#[test]
fn a_task_that_waits_is_for_its_request() -> Result<()> {
    linked("python/celery-countdown", "a_task_that_waits_is_for_its_request", 0.98)
}

#[test]
fn a_task_that_its_worker_puts_again_is_for_its_request() -> Result<()> {
    linked("python/celery-retry", "a_task_that_its_worker_puts_again_is_for_its_request", 0.98)
}

/// The first ones may be judged before their process has answered often enough.
#[test]
fn jobs_behind_a_lock_are_for_whom_their_worker_answers() -> Result<()> {
    linked("go/mutex-no-context", "jobs_behind_a_lock_are_for_whom_their_worker_answers", 0.9)
}

/// A thread of its own puts the jobs into the pipe, out of a deque that is not watched.
#[test]
fn jobs_of_a_process_pool_executor_are_nobodys() -> Result<()> {
    linked("python/process-pool-executor", "jobs_of_a_process_pool_executor_are_nobodys", 0.0)
}
