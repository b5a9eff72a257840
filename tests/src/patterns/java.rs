//! Java: the JDK's own server and clients, one program with a mode for each pattern, by every JDK where Debian puts them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::build::{answer, directory, step};
use super::{Pattern, Start, Variant};
use crate::process::Process;
use crate::workload;

const PLAIN: Pattern = Pattern {
    id: "",
    calls: 1,
    shared: 1,
    leaves: false,
    pipelined: 1,
    path: "/",
    variants: || variants(0),
    start: |with| start(with, "thread-per-request"),
};

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern { id: "java/thread-per-request", ..PLAIN },
    Pattern { id: "java/fixed-pool", start: |with| start(with, "fixed-pool"), ..PLAIN },
    Pattern { id: "java/completable-future", start: |with| start(with, "completable-future"), ..PLAIN },
    Pattern { id: "java/scheduled", start: |with| start(with, "scheduled"), ..PLAIN },
    Pattern {
        id: "java/virtual-threads",
        variants: || variants(VIRTUAL_THREADS),
        start: |with| start(with, "virtual-threads"),
        ..PLAIN
    },
    Pattern { id: "java/http-client-async", start: |with| start(with, "http-client-async"), ..PLAIN },
];

/// The first version with virtual threads (JEP 444).
const VIRTUAL_THREADS: u32 = 21;

/// The oldest version that the program is compiled for.
const RELEASE: &str = "11";

const FOLDER: &str = "java-patterns";

/// The JDKs here, the oldest first: version and home.
fn jdks() -> Vec<(u32, PathBuf)> {
    let homes = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    // Links are other names of the same.
    let homes = homes.filter(|home| home.file_type().is_ok_and(|kind| kind.is_dir())).map(|home| home.path());
    let mut jdks: Vec<_> = homes.filter_map(|home| Some((version(&home)?, home))).collect();
    jdks.sort();
    jdks.dedup_by_key(|(version, _)| *version);
    jdks
}

/// "javac 17.0.15"
fn version(home: &Path) -> Option<u32> {
    let javac = home.join("bin/javac");
    let told = javac.is_file().then(|| answer(javac, &["-version"]))??;
    told.strip_prefix("javac ")?.split(['.', '-']).next()?.parse().ok()
}

pub(super) fn prepare() -> Result<()> {
    let Some((_, oldest)) = jdks().into_iter().next() else { return Ok(()) };
    let mut javac = Command::new(oldest.join("bin/javac"));
    javac.args(["--release", RELEASE, "-d"]).arg(directory().join(FOLDER));
    step(javac.arg(workload::directory("java").join("Patterns.java")))
}

fn variants(least: u32) -> Vec<Variant> {
    let compiled = directory().join(FOLDER).join("Patterns.class").is_file();
    let program = |home: PathBuf| match compiled {
        true => Ok(home.join("bin/java")),
        false => Err("Patterns.class is not compiled (`cargo xtask score --prepare` compiles it)".to_owned()),
    };
    let found = jdks().into_iter().filter(|(version, _)| *version >= least);
    let variants: Vec<_> =
        found.map(|(version, home)| Variant { name: format!("Java {version}"), program: program(home) }).collect();
    if variants.is_empty() {
        let missing = format!("no JDK of version {least} or later is in /usr/lib/jvm");
        return vec![Variant { name: "Java".to_owned(), program: Err(missing) }];
    }
    variants
}

fn start(start: &Start<'_>, mode: &str) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg("-cp").arg(directory().join(FOLDER)).args(["-Xmx256m", "Patterns", mode]);
    command.arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
