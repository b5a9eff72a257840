//! What the agent costs where there is nothing to trace: its start, its processor time and its memory.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Numbers;
use super::agent::{Agent, Start};
use super::process::{consumed, resident_mib};
use super::stage::{Sink, Stage};
use super::stats::Estimate;
use crate::child::{self, Child};
use crate::interrupt;

/// Processes beside it.
const PROCESSES: usize = 500;
/// Starts.
const STARTS: usize = 10;
/// A start is over, with all that it brings, after this.
const REST: Duration = Duration::from_secs(5);
/// Then it is watched so many times for so long.
const WATCHES: usize = 8;
const WATCH: Duration = Duration::from_secs(4);

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let sink = Sink::start(stage)?;
    let _sleepers = sleepers()?;
    let start = || Agent::start(stage, &sink, &Start::on(&stage.cpus.both));
    let mut ready = Vec::with_capacity(STARTS);
    for _ in 1..STARTS {
        let agent = start()?;
        ready.push(agent.ready.as_secs_f64() * 1e3);
        agent.stop()?;
    }
    let agent = start()?;
    ready.push(agent.ready.as_secs_f64() * 1e3);
    sleep(REST)?;
    let (mut percent, mut mib) = (Vec::new(), Vec::new());
    for _ in 0..WATCHES {
        let (begun, before) = (Instant::now(), consumed(agent.pid())?);
        sleep(WATCH)?;
        let spent = consumed(agent.pid())? - before;
        percent.push(spent.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0);
        mib.push(resident_mib(agent.pid())?);
    }
    agent.stop()?;
    let estimate = |samples: &[f64]| Estimate::of(samples).context("no samples");
    Ok(vec![
        ("agent_ready_ms", estimate(&ready)?),
        ("agent_idle_cpu_percent", estimate(&percent)?),
        ("agent_idle_rss_mib", estimate(&mib)?),
    ])
}

/// Processes that do nothing. They end by themselves, should nobody be left to end them.
fn sleepers() -> Result<Child> {
    let script = format!("for i in $(seq {PROCESSES}); do sleep 1200 & done; echo there; wait");
    let mut command = child::command("sh");
    let mut child = Child::start("idle processes", command.args(["-c", &script]).stdout(Stdio::piped()))?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.pipes().0.context("asked for")?), &mut line)?;
    Ok(child)
}

fn sleep(time: Duration) -> Result<()> {
    interrupt::wait_for(time, || Ok(None::<()>)).map(drop)
}
