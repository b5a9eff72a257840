//! Benthos, a stream processor: goroutines of net/http put what they read into a channel, long-lived workers take it from there
//! and call with a context of their own, and yet other goroutines pass their results on to who answers.

use std::collections::BTreeMap;

use anyhow::Result;
use tracemend_tests::applications::{self, Answer, BENTHOS, BENTHOS_BATCH, Request, Verdict};

use super::{Play, Start, last};

const REQUESTS: usize = 600;
/// Each is asked for by a goroutine of its own, where a worker starts them.
const PARTS: usize = 3;

fn play(start: Start, calls: usize) -> Play {
    Play {
        application: BENTHOS,
        start,
        answer: |_, path| Answer::ok(path),
        name: last,
        requests: (0..REQUESTS).map(|number| Request::get(format!("/shop/item-{number}?page=1"))).collect(),
        calls,
    }
}

/// Out of the channel that a request's own goroutine puts it into.
#[test]
fn benthos_workers_call_for_the_requests_they_take() -> Result<()> {
    let test = "benthos_workers_call_for_the_requests_they_take";
    play(applications::benthos, REQUESTS).perform(test)?.map_or(Ok(()), |verdict| all_by(&verdict, "item (exact)"))
}

/// What these take out of the channel that the worker puts numbers into says no more than who started them.
#[test]
fn what_benthos_workers_start_calls_for_the_requests_they_took() -> Result<()> {
    let test = "what_benthos_workers_start_calls_for_the_requests_they_took";
    let play = play(applications::benthos_in_parallel, REQUESTS * PARTS);
    play.perform(test)?.map_or(Ok(()), |verdict| all_by(&verdict, "unit (exact)"))
}

/// What is passed on through four channels is the request's as long as each goroutine on the way has one thing at a time.
#[test]
fn benthos_outputs_call_for_the_requests_passed_on_to_them() -> Result<()> {
    let test = "benthos_outputs_call_for_the_requests_passed_on_to_them";
    play(applications::benthos_at_the_end, REQUESTS)
        .perform(test)?
        .map_or(Ok(()), |verdict| all_by(&verdict, "item (exact)"))
}

/// A batch that is handed on by a second channel is an orphan (decision 19): it is not the last one's who came to it.
#[test]
fn a_call_for_several_requests_of_benthos_is_none_of_them_alone() -> Result<()> {
    const CALLS: usize = REQUESTS / BENTHOS_BATCH;
    let play = play(applications::benthos_in_batches, CALLS);
    let Some(verdict) = play.perform("a_call_for_several_requests_of_benthos_is_none_of_them_alone")? else {
        return Ok(());
    };
    verdict.nothing_wrong()?;
    assert_eq!(verdict.orphans, BTreeMap::from([("orphan: no lineage".to_owned(), CALLS)]), "{verdict}");
    Ok(())
}

/// Each request is answered when it is in the buffer, a slice behind a `sync.Cond`: no channel leads to what is taken from there,
/// and nothing that is known waits for it. A call is an orphan, or the root of a trace where no request is open at the time.
#[test]
fn no_call_from_benthos_buffer_is_another_requests() -> Result<()> {
    let test = "no_call_from_benthos_buffer_is_another_requests";
    let Some(verdict) = play(applications::benthos_behind_a_buffer, REQUESTS).perform(test)? else { return Ok(()) };
    verdict.nothing_wrong()?;
    assert_eq!(verdict.orphans.values().sum::<usize>(), REQUESTS, "{verdict}");
    let reasons = ["orphan: no lineage", "root (none)"];
    assert!(verdict.orphans.keys().all(|reason| reasons.contains(&reason.as_str())), "{verdict}");
    Ok(())
}

/// Nearly all are right, and known by this alone.
fn all_by(verdict: &Verdict, evidence: &str) -> Result<()> {
    verdict.all_right()?;
    assert_eq!(verdict.evidence.keys().collect::<Vec<_>>(), [evidence], "{verdict}");
    Ok(())
}
