//! Go: net/http on both sides, one program with a mode for each pattern, with its symbols and stripped of them, by the
//! toolchain that is here and by an older one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    Pattern { variants: variants_with_coroutines, ..pattern!("coroutine") },
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

/// Not scored: workers that are given no context, so that whom they answer is all there is.
pub(super) const UNSCORED: Pattern = pattern!("mutex-no-context");

/// How the program is built.
struct Build {
    file: &'static str,
    flags: &'static str,
    how: &'static str,
    /// A toolchain of the module proxy, in place of the one that is here; and the list of modules that it accepts.
    toolchain: Option<(&'static str, &'static str)>,
}

const HERE: Build = Build { file: "go-patterns", flags: "-ldflags=", how: "", toolchain: None };
/// Five releases before 1.26: without coroutines, with one variable for all turns of a loop, and timers of its own kind.
const OLD: Build = Build { file: "go-patterns-old", toolchain: Some(("go1.21.13", "go1.21.mod")), ..HERE };
const STRIPPED: Build = Build { file: "go-patterns-stripped", flags: "-ldflags=-s -w", how: ", stripped", ..HERE };
const OLD_STRIPPED: Build = Build { file: "go-patterns-old-stripped", toolchain: OLD.toolchain, ..STRIPPED };

const BUILDS: &[Build] = &[HERE, STRIPPED, OLD, OLD_STRIPPED];

pub(super) fn prepare() -> Result<()> {
    let Some(go) = go() else { return Ok(()) };
    for build in BUILDS {
        if let Some((toolchain, _)) = build.toolchain
            && !is_to_be_had(&go, toolchain)
        {
            println!("{} is NOT built: {toolchain} cannot be had from the module proxy", build.file);
            continue;
        }
        step(&mut build.command(&go))?;
    }
    Ok(())
}

impl Build {
    fn command(&self, go: &Path) -> Command {
        let mut command = Command::new(go);
        command.args(["build", self.flags, "-o"]).arg(directory().join(self.file));
        if let Some((toolchain, modules)) = self.toolchain {
            command.env("GOTOOLCHAIN", toolchain).arg(format!("-modfile={modules}"));
        }
        command.arg(".").current_dir(workload::directory("go")).env("CGO_ENABLED", "0");
        command
    }

    fn variant(&self, here: &str) -> Variant {
        let version = self.toolchain.map_or(here, |(toolchain, _)| toolchain);
        build::built(format!("{version}{}", self.how), self.file)
    }
}

fn is_to_be_had(go: &Path, toolchain: &str) -> bool {
    let mut version = Command::new(go);
    version.arg("version").env("GOTOOLCHAIN", toolchain).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Where it is on the search path, or where its own installation puts it.
pub(crate) fn go() -> Option<PathBuf> {
    permission::program("go").or_else(|| Some("/usr/local/go/bin/go".into()).filter(|go: &PathBuf| go.is_file()))
}

fn variants() -> Vec<Variant> {
    let here = go().and_then(|go| answer(go, &["env", "GOVERSION"])).unwrap_or_else(|| "go".to_owned());
    BUILDS.iter().map(|build| build.variant(&here)).collect()
}

/// Before Go 1.23 there are none.
fn variants_with_coroutines() -> Vec<Variant> {
    variants()
        .into_iter()
        .zip(BUILDS)
        .filter(|(_, build)| build.toolchain.is_none())
        .map(|(variant, _)| variant)
        .collect()
}

fn start(start: &Start<'_>, mode: &str) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.arg(mode).arg(start.front.to_string()).arg(start.backend.to_string());
    Ok(vec![Process::serving("pattern", &mut command, start.front)?])
}
