//! The agent under a load of a little more than 20,000 requests a second, or the most that the processors can drive: what
//! a span costs it, and what it loses.

use anyhow::{Context, Result};

use super::Numbers;
use super::agent::{Agent, LastWords, Start};
use super::process::consumed;
use super::stage::{Server, Sink, Stage};
use super::stats::Estimate;

/// Requests a second, if they can be driven: a little above 20,000, since what is answered by the end is a little less.
const RATE: f64 = 20_200.0;
/// A rate is kept if so much of it was sent ...
const KEPT: f64 = 0.99;
/// ... in a trial of this many seconds.
const TRIAL_SECONDS: f64 = 3.0;
/// Loads, each a sample, and their length.
const SAMPLES: usize = 8;
const SECONDS: f64 = 5.0;
/// Seen from both ends.
const SPANS_PER_REQUEST: f64 = 2.0;

/// Only server and load are traced, so that every span is accounted for.
pub(super) const TARGETS: &[&str] = &["--executable", "nginx", "--executable", "load"];

/// Losses that are none of a record: exchanges decided, or forgotten after their span was told, sooner than without a
/// load. An exchange forgotten before its decision is counted under the last name, and then its span is missing.
const HINDSIGHT: [&str; 3] = ["settled_early", "forgotten_causes", "evicted_halves"];

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let (server, sink) = (Server::start(stage, &stage.cpus.server)?, Sink::start(stage)?);
    let start = Start { arguments: TARGETS, ..Start::on(&stage.cpus.both) };
    let trial = Agent::start(stage, &sink, &start)?;
    let kept = stage.load(server.port, TRIAL_SECONDS, Some(RATE))?.kept;
    trial.stop()?;
    let rate = (kept >= KEPT).then_some(RATE);
    match rate {
        Some(rate) => println!("driven at {rate} requests/s"),
        None => println!("{RATE} requests/s cannot be driven ({:.0} % were): as many as possible", kept * 100.0),
    }
    let agent = Agent::start(stage, &sink, &start)?;
    let (begun, mut requests) = (sink.spans()?, 0.0);
    let (mut per_span, mut per_second) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let (before, spans) = (consumed(agent.pid())?, sink.spans()?);
        let answered = stage.load(server.port, SECONDS, rate)?;
        let spans = sink.wait_for(spans, answered.requests * SPANS_PER_REQUEST)?;
        per_span.push((consumed(agent.pid())? - before).as_secs_f64() * 1e6 / spans);
        per_second.push(answered.per_second);
        requests += answered.requests;
    }
    let arrived = sink.spans()? - begun;
    let words = agent.stop()?;
    println!("{requests} requests; the agent says: {words:?}");
    Ok(vec![
        ("agent_us_per_span", Estimate::of(&per_span).context("no samples")?),
        ("load_requests_per_s", Estimate::of(&per_second).context("no samples")?),
        ("records_lost", Estimate::exact(lost(&words, requests * SPANS_PER_REQUEST, arrived))),
        ("hindsight_shortened", Estimate::exact(shortened(&words))),
    ])
}

/// What the agent says that it lost, or, if that is more, the spans that are missing. A span may be missing for each
/// record that is: they are the same loss, seen from its two sides.
fn lost(words: &LastWords, expected: f64, arrived: f64) -> f64 {
    let told: u64 = words.losses.values().sum();
    (told as f64 - shortened(words)).max(expected - arrived)
}

/// Exchanges whose span was told, but with less patience for what others may yet say of it.
fn shortened(words: &LastWords) -> f64 {
    HINDSIGHT.iter().filter_map(|reason| words.losses.get(*reason)).sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_missing_counts_though_nobody_tells_of_it() {
        let words = |shed| LastWords { losses: BTreeMap::from([("shed".to_owned(), shed)]), spans: 0 };
        assert_eq!(lost(&words(3), 10.0, 9.0), 3.0);
        assert_eq!(lost(&words(0), 10.0, 9.0), 1.0);
        assert_eq!(lost(&words(0), 10.0, 10.0), 0.0);
    }

    #[test]
    fn shortened_hindsight_is_no_lost_record_unless_its_span_is_missing() {
        let losses = [("settled_early", 4), ("forgotten_causes", 1), ("evicted_halves", 3), ("ring_full", 2)];
        let words = LastWords { losses: losses.map(|(name, count)| (name.to_owned(), count)).into(), spans: 0 };
        assert_eq!(shortened(&words), 8.0);
        assert_eq!(lost(&words, 10.0, 10.0), 2.0);
        assert_eq!(lost(&words, 10.0, 7.0), 3.0);
    }
}
