//! Time in BPF programs per HTTP message, by the kernel's own statistics.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Numbers;
use super::agent::{Agent, Start, program_times};
use super::load::TARGETS;
use super::stage::{Server, Sink, Stage};
use super::stats::Estimate;
use crate::child::{self, Child};

/// Loads, each a sample.
const SAMPLES: usize = 12;
const SECONDS: f64 = 1.5;
/// A span tells of a request and a response.
const MESSAGES_PER_SPAN: f64 = 2.0;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let (server, sink) = (Server::start(stage, &stage.cpus.server)?, Sink::start(stage)?);
    let rate = server.saturation(stage)? / 2.0;
    let _statistics = statistics(stage)?;
    // Asking the sink is HTTP too: were that traced, spans would come for as long as they are waited for.
    let agent = Agent::start(stage, &sink, &Start { arguments: TARGETS, ..Start::on(&stage.cpus.load) })?;
    let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for _ in 0..SAMPLES {
        let (before, spans) = (program_times(stage, agent.pid())?, sink.spans()?);
        let answered = stage.load(server.port, SECONDS, Some(rate))?;
        // Both ends of each exchange are seen here.
        let spans = sink.wait_for(spans, answered.requests * 2.0)?;
        let after = program_times(stage, agent.pid())?;
        for (id, nanoseconds) in spent(&before, &after)? {
            samples.entry(id).or_default().push(nanoseconds / (spans * MESSAGES_PER_SPAN));
        }
    }
    agent.stop()?;
    samples.into_iter().map(|(id, samples)| Ok((id, Estimate::of(&samples).context("no samples")?))).collect()
}

/// Nanoseconds by id.
fn spent(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Result<[(&'static str, f64); 4]> {
    let each = after.iter().map(|(name, ns)| (name.as_str(), ns - before.get(name).copied().unwrap_or(0.0)));
    let each: BTreeMap<_, _> = each.collect();
    let of = |name: &str| each.get(name).copied().with_context(|| format!("the agent has no program {name}"));
    let (all, sent, received) = (each.values().sum::<f64>(), of("sock_send_out")?, of("sock_recv_out")?);
    ensure!(all > 0.0, "the kernel measured nothing");
    Ok([
        ("kernel_ns_per_message", all),
        ("kernel_ns_per_message.sock_send_length", sent),
        ("kernel_ns_per_message.sock_recv_length", received),
        ("kernel_ns_per_message.other_hooks", all - sent - received),
    ])
}

/// Has the kernel measure BPF programs, until dropped. That costs each run of one some tens of nanoseconds, so nothing
/// else is measured meanwhile.
pub(super) fn statistics(stage: &Stage<'_>) -> Result<Child> {
    let mut command: Command = child::command(stage.program("meter"));
    let mut child = Child::start("the meter", command.arg("hold").stdout(Stdio::piped()))?;
    let mut line = String::new();
    BufReader::new(child.pipes().0.context("asked for")?).read_line(&mut line)?;
    ensure!(line.trim() == "holding", "the kernel does not measure BPF programs");
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let times = |factor: f64| -> BTreeMap<String, f64> {
            [("sock_send_out", 5.0), ("sock_recv_out", 3.0), ("fork_in", 1.0), ("exit_in", 1.0)]
                .map(|(name, ns)| (name.to_owned(), ns * factor))
                .into()
        };
        let spent = spent(&times(1.0), &times(3.0)).expect("all programs");
        assert_eq!(spent.map(|(_, ns)| ns), [20.0, 10.0, 6.0, 4.0]);
        assert!(super::spent(&times(1.0), &times(1.0)).is_err());
    }
}
