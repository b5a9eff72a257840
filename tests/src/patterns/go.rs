//! Go: net/http on both sides, one program with a mode for each pattern, with its symbols and stripped of them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::build::{self, answer, directory, step};
use super::{Pattern, Start, Variant};
use crate::permission;
use crate::process::Process;
use crate::workload;

pub(super) const PATTERNS: &[Pattern] = &[Pattern {
    id: "go/direct",
    calls: 1,
    shared: 1,
    leaves: false,
    pipelined: 1,
    path: "/",
    variants,
    start: |with| start(with, "direct"),
}];

/// What is built, and how.
const BUILDS: &[(&str, &str, &str)] =
    &[("go-patterns", "-ldflags=", ""), ("go-patterns-stripped", "-ldflags=-s -w", ", stripped")];

pub(super) fn prepare() -> Result<()> {
    let Some(go) = go() else { return Ok(()) };
    for (file, flags, _) in BUILDS {
        let mut build = Command::new(&go);
        build.args(["build", flags, "-o"]).arg(directory().join(file)).arg(".");
        step(build.current_dir(workload::directory("go")).env("CGO_ENABLED", "0"))?;
    }
    Ok(())
}

/// Where it is on the search path, or where its own installation puts it.
fn go() -> Option<PathBuf> {
    permission::program("go").or_else(|| Some("/usr/local/go/bin/go".into()).filter(|go: &PathBuf| go.is_file()))
}

fn variants() -> Vec<Variant> {
    let version = go().and_then(|go| answer(go, &["env", "GOVERSION"])).unwrap_or_else(|| "go".to_owned());
    BUILDS.iter().map(|(file, _, how)| build::built(format!("{version}{how}"), file)).collect()
}

fn start(start: &Start<'_>, mode: &str) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg(mode).arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
