//! What the core alone does with records: a recording of the load, replayed out of memory on one processor.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Numbers;
use super::agent::{Agent, Start};
use super::load::TARGETS;
use super::stage::{Server, Sink, Stage};
use super::stats::Estimate;
use crate::shell;

/// What is recorded: a quarter of what nginx can answer, so that recording, which compresses, keeps up.
const SHARE: f64 = 0.25;
const SECONDS: f64 = 5.0;
/// Replays, each a sample.
const SAMPLES: usize = 12;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let file = stage.scratch.path().join("bench.tmrec");
    let (server, sink) = (Server::start(stage, &stage.cpus.server)?, Sink::start(stage)?);
    let rate = server.saturation(stage)? * SHARE;
    let start = Start { record: Some(&file), arguments: TARGETS, ..Start::on(&stage.cpus.both) };
    let agent = Agent::start(stage, &sink, &start)?;
    let before = sink.spans()?;
    let answered = stage.load(server.port, SECONDS, Some(rate))?;
    sink.wait_for(before, answered.requests * 2.0)?;
    agent.stop()?;
    let mut per_second = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let mut command = stage.on(&stage.cpus.server, stage.tree.agent());
        let line = shell::output(command.arg("replay").arg(&file).arg("--measure"))?;
        per_second.push(spans_per_second(&line)?);
    }
    Ok(vec![("replay_spans_per_s", Estimate::of(&per_second).context("no samples")?)])
}

fn spans_per_second(line: &str) -> Result<f64> {
    let line: Value = serde_json::from_str(line.trim()).with_context(|| format!("the replay said {line:?}"))?;
    let number = |name: &str| line[name].as_f64().with_context(|| format!("the replay said nothing of {name}"));
    let (spans, seconds) = (number("spans")?, number("seconds")?);
    ensure!(spans > 0.0 && seconds > 0.0, "the recording has no spans");
    Ok(spans / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_judged_by_its_processor_time_and_one_without_spans_is_none() {
        let line = r#"{"entries":900,"seconds":0.5,"spans":200}"#;
        assert_eq!(spans_per_second(line).expect("whole"), 400.0);
        assert!(spans_per_second(r#"{"entries":900,"seconds":0.5,"spans":0}"#).is_err());
    }
}
