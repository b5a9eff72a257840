//! What a system call pays that touches no socket: the hooks must not be on its way.

use anyhow::{Context, Result};

use super::Numbers;
use super::agent::{Agent, Start, pairs};
use super::stage::{Sink, Stage};
use super::stats::{Estimate, median};
use crate::shell;

/// Pairs of samples.
const PAIRS: usize = 10;
/// Each of so many rounds of so many milliseconds, of which the median counts.
const ROUNDS: usize = 20;
const ROUND_MS: usize = 40;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let sink = Sink::start(stage)?;
    let sample = || nanoseconds(stage);
    let pairs = pairs(PAIRS, || Agent::start(stage, &sink, &Start::on(&stage.cpus.load)), sample)?;
    let ratios: Vec<_> = pairs.iter().map(|(bare, traced)| traced / bare).collect();
    Ok(vec![("noop_syscall_ratio", Estimate::of(&ratios).context("no samples")?)])
}

/// Processor time of a call.
fn nanoseconds(stage: &Stage<'_>) -> Result<f64> {
    let mut command = stage.on(&stage.cpus.server, stage.program("spin"));
    let text = shell::output(command.args([ROUND_MS.to_string(), ROUNDS.to_string()]))?;
    let rounds = text.lines().map(|line| line.parse().with_context(|| format!("spin said {line:?}")));
    median(&rounds.collect::<Result<Vec<_>>>()?).context("spin said nothing")
}
