//! What a traced Python service pays, application and agent together, beside what the OpenTelemetry SDK costs it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::Numbers;
use super::stage::Stage;
use super::theatre::{Script, Theatre, Window, estimate};
use crate::shell;

/// Samples of the processor time, and of the throughput.
const WINDOWS: usize = 12;
const SPEEDS: usize = 48;

pub(super) fn run(stage: &Stage<'_>) -> Result<Numbers> {
    let theatre = Theatre::open(stage, &Uvicorn { interpreter: environment(stage)? })?;
    let rate = theatre.half()?;
    let cost = theatre.windows(WINDOWS, rate)?;
    let speed = theatre.speeds(SPEEDS)?;
    Ok(vec![
        ("python_uvicorn_cpu_us", estimate(&cost, |window| window.bare_us)?),
        ("python_uvicorn_cpu_us_added", estimate(&cost, Window::added_us)?),
        ("python_uvicorn_throughput_ratio", estimate(&speed, |speed| speed.traced / speed.bare)?),
        ("python_uvicorn_probe_runs", theatre.probe_runs("py_", rate)?),
        ("python_otel_sdk_cpu_us_added", estimate(&cost, Window::sdk_added_us)?),
        ("python_uvicorn_share_of_otel_sdk", estimate(&cost, |window| window.added_us() / window.sdk_added_us())?),
        ("python_otel_sdk_throughput_ratio", estimate(&speed, |speed| speed.sdk / speed.bare)?),
    ])
}

/// `xtask/bench/service.py`.
struct Uvicorn {
    interpreter: PathBuf,
}

impl Script for Uvicorn {
    /// The SDK's ASGI middleware also tells of each event that it sends or receives: of the beginning of the answer and its
    /// body here.
    const SDK_SPANS: f64 = 4.0;

    fn command(&self, stage: &Stage<'_>, port: u16, backend: &str, sink: Option<&str>) -> Command {
        let mut command = stage.on(&stage.cpus.server, &self.interpreter);
        command.arg(stage.tree.root.join("xtask/bench/service.py"));
        command.args([&port.to_string(), backend]).args(sink);
        command
    }
}

/// The interpreter of a virtual environment with the packages in `xtask/bench/requirements.txt`.
fn environment(stage: &Stage<'_>) -> Result<PathBuf> {
    let wanted = stage.tree.root.join("xtask/bench/requirements.txt");
    let directory = stage.tree.target.join("bench/python");
    let (interpreter, installed) = (directory.join("bin/python"), directory.join("requirements.txt"));
    if fs::read(&installed).ok() != fs::read(&wanted).ok() {
        shell::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
        shell::run(&mut pip)?;
        fs::copy(&wanted, &installed)?;
    }
    Ok(interpreter)
}
