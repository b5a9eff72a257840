//! C, with threads and sockets as libc has them: a program for each pattern.

use std::process::Command;

use anyhow::Result;

use super::build::{answer, built, directory, step};
use super::{Pattern, Start, Variant};
use crate::permission;
use crate::process::Process;
use crate::workload;

const PLAIN: Pattern =
    Pattern { id: "", calls: 1, shared: 1, leaves: false, pipelined: 1, path: "/", variants: Vec::new, start };

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern { id: "c/thread-per-request", variants: || variants("thread_per_request"), ..PLAIN },
    Pattern { id: "c/pthread-pool", variants: || variants("pthread_pool"), ..PLAIN },
    Pattern { id: "c/epoll-multi", variants: || variants("epoll_multi"), ..PLAIN },
];

const PROGRAMS: &[&str] = &["thread_per_request", "pthread_pool", "epoll_multi"];

pub(super) fn prepare() -> Result<()> {
    if permission::program("gcc").is_none() {
        return Ok(());
    }
    for program in PROGRAMS {
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-Wall", "-Wextra", "-pthread", "-o"]).arg(directory().join(file(program)));
        step(gcc.arg(format!("{program}.c")).arg("http.c").current_dir(workload::directory("c")))?;
    }
    Ok(())
}

fn file(program: &str) -> String {
    format!("c-{program}")
}

fn variants(program: &str) -> Vec<Variant> {
    let version = answer("gcc", &["-dumpfullversion"]).unwrap_or_else(|| "missing".to_owned());
    vec![built(format!("gcc {version}"), &file(program))]
}

fn start(start: &Start<'_>) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
