//! What a traced Go service pays, alone and with the agent, beside what the OpenTelemetry SDK costs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::Numbers;
use super::stage::Stage;
use super::theatre::{Round, Script, Theatre, estimate};
use crate::shell;

/// Rounds of a bare, a traced and an instrumented sample each: for the processor time, and for the throughput.
const CPU_ROUNDS: usize = 8;
const THROUGHPUT_ROUNDS: usize = 8;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let theatre = Theatre::open(stage, &NetHttp { program: build(stage)? })?;
    let rate = theatre.half()?;
    let cost = theatre.rounds(CPU_ROUNDS, Some(rate))?;
    let speed = theatre.rounds(THROUGHPUT_ROUNDS, None)?;
    Ok(vec![
        ("go_http_cpu_us", estimate(&cost, |round| round.bare.service_us)?),
        ("go_http_cpu_us_added", estimate(&cost, Round::added_us)?),
        ("go_http_app_cpu_us_added", estimate(&cost, Round::service_added_us)?),
        ("go_http_throughput_ratio", estimate(&speed, |round| round.traced.per_second / round.bare.per_second)?),
        ("go_http_probe_runs", theatre.probe_runs("go_", rate)?),
        ("go_otel_sdk_cpu_us_added", estimate(&cost, Round::sdk_added_us)?),
        ("go_http_share_of_otel_sdk", estimate(&cost, |round| round.added_us() / round.sdk_added_us())?),
        ("go_http_app_share_of_otel_sdk", estimate(&cost, |round| round.service_added_us() / round.sdk_added_us())?),
        ("go_otel_sdk_throughput_ratio", estimate(&speed, |round| round.sdk.per_second / round.bare.per_second)?),
    ])
}

/// `xtask/bench/go`.
struct NetHttp {
    program: PathBuf,
}

impl Script for NetHttp {
    const SDK_SPANS: f64 = 2.0;

    fn command(&self, stage: &Stage<'_>, port: u16, backend: &str, sink: Option<&str>) -> Command {
        let mut command = stage.on(&stage.cpus.server, &self.program);
        command.args([&port.to_string(), backend]).args(sink);
        command
    }
}

/// Builds it, stripped of its symbols as programs in images are.
fn build(stage: &Stage<'_>) -> Result<PathBuf> {
    let go = shell::find("go").context("Go is missing, and the service is built with it")?;
    let program = stage.tree.target.join("bench/go-service");
    let mut build = Command::new(go);
    build.args(["build", "-mod=readonly", "-ldflags=-s -w", "-o"]).arg(&program).arg(".");
    shell::run(build.current_dir(stage.tree.root.join("xtask/bench/go")).env("CGO_ENABLED", "0"))?;
    Ok(program)
}
