//! What a traced nginx pays: processor time per request, and throughput at saturation.

use anyhow::{Context, Result};

use super::Numbers;
use super::agent::{Agent, Start, pairs};
use super::process::consumed;
use super::stage::{Server, Sink, Stage};
use super::stats::Estimate;

/// Pairs of samples for the processor time, and their length in seconds.
const CPU_PAIRS: usize = 14;
const CPU_SECONDS: f64 = 2.0;
/// The same for the throughput.
const THROUGHPUT_PAIRS: usize = 10;
const THROUGHPUT_SECONDS: f64 = 2.0;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let (server, sink) = (Server::start(stage, &stage.cpus.server)?, Sink::start(stage)?);
    Ok(vec![
        ("nginx_cpu_us_added", cpu_added(stage, &server, &sink)?),
        ("nginx_throughput_ratio", throughput(stage, &server, &sink)?),
    ])
}

/// At half of saturation, so that the agent beside the load is not in the way.
fn cpu_added(stage: &Stage<'_>, server: &Server, sink: &Sink) -> Result<Estimate> {
    let rate = server.saturation(stage)? / 2.0;
    let sample = || {
        let before = consumed(server.worker)?;
        let answered = stage.load(server.port, CPU_SECONDS, Some(rate))?;
        Ok((consumed(server.worker)? - before).as_secs_f64() * 1e6 / answered.requests)
    };
    let pairs = pairs(CPU_PAIRS, || Agent::start(stage, sink, &Start::on(&stage.cpus.load)), sample)?;
    let added: Vec<_> = pairs.iter().map(|(bare, traced)| traced - bare).collect();
    Estimate::of(&added).context("no samples")
}

/// The agent has to get its time from the processors of the server and of the load.
fn throughput(stage: &Stage<'_>, server: &Server, sink: &Sink) -> Result<Estimate> {
    let sample = || Ok(stage.load(server.port, THROUGHPUT_SECONDS, None)?.per_second);
    let pairs = pairs(THROUGHPUT_PAIRS, || Agent::start(stage, sink, &Start::on(&stage.cpus.both)), sample)?;
    let ratios: Vec<_> = pairs.iter().map(|(bare, traced)| traced / bare).collect();
    Estimate::of(&ratios).context("no samples")
}
