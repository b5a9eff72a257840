//! Node.js: its own http and fetch, one program with a mode for each pattern.

use anyhow::Result;

use super::build::{answer, installed};
use super::{Pattern, Start, Variant};
use crate::process::Process;
use crate::workload;

/// A pattern whose mode is the end of its id.
macro_rules! pattern {
    ($name:literal) => {
        pattern!($name, calls: 1, shared: 1)
    };
    ($name:literal, calls: $calls:literal, shared: $shared:literal) => {
        Pattern {
            id: concat!("node/", $name),
            calls: $calls,
            shared: $shared,
            leaves: false,
            pipelined: 1,
            path: "/",
            variants,
            start: |with| start(with, $name),
        }
    };
}

pub(super) const PATTERNS: &[Pattern] = &[
    pattern!("direct"),
    pattern!("await-timer"),
    pattern!("set-timeout"),
    pattern!("fs-promises"),
    pattern!("promise-all", calls: 3, shared: 1),
    pattern!("agent-queue"),
    pattern!("fetch"),
    pattern!("promise-pool"),
    pattern!("shared-promise", calls: 1, shared: 4),
    pattern!("worker-threads"),
];

fn variants() -> Vec<Variant> {
    let version = answer("node", &["--version"]).unwrap_or_default();
    vec![installed(format!("node {}", version.trim_start_matches('v')), "node")]
}

fn start(start: &Start<'_>, mode: &str) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg(workload::directory("node").join("patterns.js"));
    command.arg(mode).arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
