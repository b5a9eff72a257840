//! What a traced Go service pays, alone and with the agent, beside what the OpenTelemetry SDK costs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::Numbers;
use super::stage::Stage;
use super::theatre::{Script, Theatre, Window, estimate};
use crate::shell;

/// Samples of the processor time, and of the throughput.
const WINDOWS: usize = 6;
const SPEEDS: usize = 8;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let theatre = Theatre::open(stage, &NetHttp { program: build(stage)? })?;
    let rate = theatre.half()?;
    let cost = theatre.windows(WINDOWS, rate)?;
    let speed = theatre.speeds(SPEEDS)?;
    Ok(vec![
        ("go_http_cpu_us", estimate(&cost, |window| window.bare_us)?),
        ("go_http_cpu_us_added", estimate(&cost, Window::added_us)?),
        ("go_http_app_cpu_us_added", estimate(&cost, Window::service_added_us)?),
        ("go_http_throughput_ratio", estimate(&speed, |speed| speed.traced / speed.bare)?),
        ("go_http_probe_runs", theatre.probe_runs("go_", rate)?),
        ("go_otel_sdk_cpu_us_added", estimate(&cost, Window::sdk_added_us)?),
        ("go_http_share_of_otel_sdk", estimate(&cost, |window| window.added_us() / window.sdk_added_us())?),
        ("go_http_app_share_of_otel_sdk", estimate(&cost, |window| window.service_added_us() / window.sdk_added_us())?),
        ("go_otel_sdk_throughput_ratio", estimate(&speed, |speed| speed.sdk / speed.bare)?),
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
