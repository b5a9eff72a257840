//! Go: net/http on both sides, one program with a mode for each pattern, with its symbols and stripped of them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::build::{self, answer, directory, step};
use super::{Pattern, Start, Variant};
use crate::permission;
use crate::process::Process;
use crate::workload;

/// A pattern whose mode is the end of its id.
macro_rules! pattern {
    ($name:literal) => {
        pattern!($name, calls: 1, shared: 1)
    };
    ($name:literal, calls: $calls:literal, shared: $shared:literal) => {
        Pattern {
            id: concat!("go/", $name),
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
    pattern!("goroutine"),
    pattern!("goroutine-nested"),
    pattern!("fire-and-forget"),
    pattern!("waitgroup", calls: 3, shared: 1),
    pattern!("afterfunc"),
    pattern!("coroutine"),
    pattern!("chan-buffered"),
    pattern!("chan-unbuffered"),
    pattern!("chan-pointer"),
    pattern!("select"),
    pattern!("chan-lent"),
    pattern!("chan-answer"),
    pattern!("cond"),
    pattern!("semaphore"),
    pattern!("lazy-pool"),
    pattern!("conn-pool"),
    pattern!("batch", calls: 1, shared: 4),
    pattern!("errgroup", calls: 2, shared: 1),
    pattern!("no-context"),
    pattern!("mutex-queue"),
    pattern!("ants-pool"),
];

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
