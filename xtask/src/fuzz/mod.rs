//! `cargo xtask fuzz TARGET`: libFuzzer over the targets of `tests/fuzz`, on the stable compiler.
//!
//! The workspace's own code is instrumented with the coverage pass that rustc has without a sanitizer
//! (docs/decisions/0012-fuzzing.md), by a wrapper around the compiler, so that dependencies are those of the ordinary build.

mod outcome;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::test::Tally;
use crate::{child::Child, ebpf, interrupt, shell, tree::Tree};
use outcome::Outcome;

/// The package with the targets, and their corpora beside it.
const PACKAGE: &str = "tracemend-fuzz";
const FOLDER: &str = "tests/fuzz";

/// What rustc adds to our own code: counters at every edge, the table that names them, and calls at every comparison; and
/// what release builds leave out.
const INSTRUMENTS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";

/// An input that takes longer is a failure.
const INPUT_SECONDS_MAX: u32 = 10;
/// So is one that takes more memory.
const MEMORY_MIB_MAX: u32 = 1024;
/// The longest input made: some dozen records, or exchanges.
const INPUT_BYTES_MAX: u32 = 16 << 10;
/// Each target in a run of all tests.
const SHORT_RUN: Duration = Duration::from_secs(6);

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is to be broken: a folder of tests/fuzz/corpus, or `all`, one after the other
    target: String,
    /// How long, each
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Give it this input alone, to see what is wrong with it
    #[arg(long)]
    input: Option<PathBuf>,
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    interrupt::listen()?;
    let known = targets(tree)?;
    let chosen: Vec<_> = known.iter().filter(|name| **name == args.target || args.target == "all").collect();
    ensure!(!chosen.is_empty(), "no target {}: there are {}", args.target, known.join(", "));
    let fuzzer = Fuzzer::build(tree)?;
    if let Some(input) = &args.input {
        return fuzzer.replay(chosen[0], input);
    }
    let mut code = ExitCode::SUCCESS;
    for name in chosen {
        if !fuzzer.run(name, Duration::from_secs(args.seconds))?.report(name) {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Every target for a moment: one test each.
pub(crate) fn short_runs(tree: &Tree) -> Result<Tally> {
    let fuzzer = Fuzzer::build(tree)?;
    let mut tally = Tally::default();
    for name in targets(tree)? {
        if fuzzer.run(&name, SHORT_RUN)?.report(&name) {
            tally.add(Tally { passed: 1, ..Tally::default() });
        } else {
            tally.add(Tally::failure(format!("fuzz {name}")));
        }
    }
    Ok(tally)
}

/// Each has a folder of inputs; a test of the package holds the two lists together.
fn targets(tree: &Tree) -> Result<Vec<String>> {
    let folder = tree.root.join(FOLDER).join("corpus");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The built program.
struct Fuzzer<'a> {
    tree: &'a Tree,
    program: PathBuf,
}

impl<'a> Fuzzer<'a> {
    fn build(tree: &'a Tree) -> Result<Self> {
        // The agent's build embeds it.
        ebpf::build(tree)?;
        let mut cargo = tree.cargo();
        cargo.args(["build", "--release", "--package", PACKAGE, "--features", "libfuzzer"]);
        shell::run(cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper(tree)?))?;
        Ok(Self { tree, program: tree.target.join("release/fuzz") })
    }

    /// Looks for an input that breaks the target. What was found to reach more code is kept for the next run.
    fn run(&self, name: &str, time: Duration) -> Result<Outcome> {
        let found = self.folder("corpus")?.join(name);
        fs::create_dir_all(&found)?;
        let log = self.folder("log")?.join(name);
        let crashes = self.folder("crashes")?.join(name);
        let mut command = self.command(name);
        command
            .arg(&found)
            .arg(self.tree.root.join(FOLDER).join("corpus").join(name))
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-artifact_prefix={}-", crashes.display()))
            .arg(format!("-dict={}", self.tree.root.join(FOLDER).join("words.dict").display()))
            .args(["-print_final_stats=1", &format!("-timeout={INPUT_SECONDS_MAX}")])
            .args([format!("-rss_limit_mb={MEMORY_MIB_MAX}"), format!("-max_len={INPUT_BYTES_MAX}")])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        println!("+ {}", shell::line(&command));
        let mut child = Child::start("the fuzzer", &mut command)?;
        while child.ended()?.is_none() {
            interrupt::check()?;
            std::thread::sleep(interrupt::LOOK_EVERY);
        }
        let sound = child.wait()?.success();
        Ok(Outcome::read(&String::from_utf8_lossy(&fs::read(&log)?), sound))
    }

    /// One input, with everything that is said about it.
    fn replay(&self, name: &str, input: &std::path::Path) -> Result<ExitCode> {
        ensure!(input.is_file(), "no file {}", input.display());
        match shell::run(self.command(name).arg(input)) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => bail!("{name} is broken by {}: {error}", input.display()),
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("TRACEMEND_FUZZ_TARGET", name).env("RUST_BACKTRACE", "1");
        command
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.tree.target.join("fuzz").join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

/// A program that cargo runs in place of the compiler for packages of the workspace: the compiler, and the instruments.
/// Cargo tells builds apart by its path, so other instruments need another name.
fn wrapper(tree: &Tree) -> Result<PathBuf> {
    let script = format!(
        "#!/bin/sh\n# Build scripts run while building, where nothing takes what the instruments count.\n\
         case \"$*\" in *build_script_build*) exec \"$@\" ;; esac\nexec \"$@\" {INSTRUMENTS}\n"
    );
    let folder = tree.target.join("fuzz");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("instruments-1.sh");
    if fs::read_to_string(&path).ok().as_deref() != Some(&script) {
        fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}
