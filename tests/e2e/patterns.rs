//! Patterns of handing work over, when the agent comes in the middle of the load. (`cargo xtask score` measures them.)

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tracemend_tests::patterns::{Pattern, Trial};
use tracemend_tests::scene::{self, Scene};
use tracemend_tests::score::EdgeFate;

/// What was under way so long after the agent was ready may have been half seen.
const MARGIN_NS: u64 = 200_000_000;

/// No link is wrong, and whatever began when the agent was ready is seen whole, except for the first exchange on each
/// connection that was there before. Of the others' calls a share of `right` is linked, at least.
fn middle_of_the_load(id: &str, test: &str, right_share: f64) -> Result<()> {
    let pattern = Pattern::named(id).context("a pattern")?;
    let variant = pattern.variants().into_iter().next().context("a variant")?;
    if let Err(missing) = &variant.program {
        scene::skip(test, missing);
        return Ok(());
    }
    let trial = Trial { pattern, variant, clients: 64, requests: 2_000, seed: 1 };
    let Some(scene) = trial.scene(test)? else { return Ok(()) };
    let (outcome, ready_ns) = trial.run_with_a_late_agent(&scene)?;
    let requests: HashMap<_, _> = outcome.sent.iter().map(|sent| (sent.sighting.id.as_str(), &sent.sighting)).collect();
    let edges = outcome.truth.edges(&outcome.stopped.spans)?;
    let (mut before, mut later, mut right) = (0, 0, 0);
    let mut known = HashSet::new();
    let mut in_time: Vec<_> = edges.edges.iter().collect();
    in_time.sort_by_key(|edge| edge.at_ns);
    for edge in in_time {
        let request = requests[edge.id.split('.').next().unwrap_or_default()];
        if request.from_ns < ready_ns + MARGIN_NS {
            before += 1;
            continue;
        }
        // Both are to be noted.
        let first_call = known.insert((&edge.caller, false));
        let first_request = known.insert((&request.local, true));
        assert!(edge.fate != EdgeFate::Unseen || first_call || first_request, "{edge:?}");
        if !first_request {
            later += 1;
            right += usize::from(edge.fate == EdgeFate::Right);
        }
    }
    let after = edges.edges.len() - before;
    println!("{before} calls before the agent, {after} after it, {right} of {later} right after a connection's first");
    assert!(edges.wrong.is_empty(), "{:?}", edges.wrong);
    assert!(right as f64 >= right_share * later as f64, "{right} of {later} are right");
    assert!(before > 100 && after > 100, "the agent came too early or too late: {before}, {after}");
    Ok(())
}

/// Behind a filter of system calls every call is linked, and no process dies of a probe: of contexts and of queues.
#[test]
fn pythons_behind_a_filter_of_system_calls() -> Result<()> {
    const TEST: &str = "pythons_behind_a_filter_of_system_calls";
    for id in ["python/asyncio-task", "python/run-in-executor"] {
        let pattern = Pattern::named(id).context("a pattern")?;
        for mut variant in pattern.variants() {
            let program = match &variant.program {
                Ok(program) => program.clone(),
                Err(missing) => {
                    scene::skip(TEST, missing);
                    continue;
                }
            };
            let trial = Trial { pattern, variant: variant.clone(), clients: 64, requests: 1_000, seed: 1 };
            let Some(scene) = trial.scene(TEST)? else { return Ok(()) };
            variant.program = Ok(confined(&scene, &program)?);
            let outcome = Trial { variant, ..trial }.run(&scene)?;
            let edges = outcome.truth.edges(&outcome.stopped.spans)?;
            let right = edges.edges.iter().filter(|edge| edge.fate == EdgeFate::Right).count();
            println!("{id} of {}: {right} of {}", program.display(), edges.edges.len());
            assert!(edges.wrong.is_empty(), "{:?}", edges.wrong);
            assert!(edges.edges.len() >= 1_000 && right * 1000 >= edges.edges.len() * 995, "{id}: {right}");
        }
    }
    Ok(())
}

/// A script that becomes `program` behind the filter.
fn confined(scene: &Scene, program: &Path) -> Result<PathBuf> {
    let script = scene.path("confined");
    let (confined, program) = (env!("CARGO_BIN_EXE_confined"), program.display());
    fs::write(&script, format!("#!/bin/sh\nexec '{confined}' '{program}' \"$@\"\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

#[test]
fn gunicorn_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("python/gunicorn-sync", "gunicorn_in_the_middle_of_the_load", 0.0)
}

#[test]
fn an_event_loop_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("python/asyncio-task", "an_event_loop_in_the_middle_of_the_load", 0.995)
}

#[test]
fn a_thread_pool_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("python/thread-pool", "a_thread_pool_in_the_middle_of_the_load", 0.0)
}

#[test]
fn go_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("go/direct", "go_in_the_middle_of_the_load", 0.0)
}

#[test]
fn threads_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("c/thread-per-request", "threads_in_the_middle_of_the_load", 0.995)
}

#[test]
fn nginx_in_the_middle_of_the_load() -> Result<()> {
    middle_of_the_load("nginx/proxy", "nginx_in_the_middle_of_the_load", 0.995)
}
