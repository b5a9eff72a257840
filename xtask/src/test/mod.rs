//! `cargo xtask test`: set-up, builds, checks and every test, with one closing line `N passed, N failed, N skipped`.

mod runner;
mod tally;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{check, fuzz, interrupt, jaeger, manifests, permission, release, score, setup, shell, tree::Tree};
pub(crate) use tally::Tally;

/// The package with the tests of the whole agent.
const TESTS: &str = "tracemend-tests";
/// Its targets that load BPF programs: each alone on the machine, one test after the other.
const KERNEL_TARGETS: &[&str] = &["kernel", "e2e"];
/// Tests of the latter that break the agent, and take as long as all others: a part of their own.
const BREAKING: (&str, &str) = ("e2e", "breaking::");
/// The one that needs a Jaeger besides.
const JAEGER_TARGET: &str = "jaeger";

/// One `cargo test`, compilation included. All parts together must fit in a CI run; docs/ci.md has the budget.
const PART_MAX: Duration = Duration::from_secs(30 * 60);

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out set-up and checks: for a quick second run
    #[arg(long)]
    only_tests: bool,
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    interrupt::listen()?;
    let mut run = Run { tree, parts: Vec::new(), total: Tally::default(), notes: Vec::new() };
    if !args.only_tests {
        run.part("set-up", || setup::ensure().map(|()| Tally::default()))?;
    }
    run.part("build", || release::build(tree).map(|()| Tally::default()))?;
    if !args.only_tests {
        run.part("check", || Ok(checked(tree)))?;
    }
    run.workspace()?;
    run.part("fuzz", || fuzz::short_runs(tree))?;
    run.manifests()?;
    run.part("what patterns need", || score::prepare(tree).map(|()| Tally::default()))?;
    run.kernel()?;
    run.score()?;
    run.jaeger()?;
    Ok(run.close())
}

/// Each part of the check that fails is a failure; those that pass are no tests.
fn checked(tree: &Tree) -> Tally {
    let mut tally = Tally::default();
    for name in check::run(tree) {
        tally.add(Tally::failure(name));
    }
    tally
}

struct Run<'a> {
    tree: &'a Tree,
    /// Name, seconds.
    parts: Vec<(String, f64)>,
    total: Tally,
    /// What was skipped, and why.
    notes: Vec<String>,
}

impl Run<'_> {
    /// Runs a part, and counts an error as a failure, so that later parts still run. Only an interruption ends all.
    fn part(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) -> Result<()> {
        println!("\n=== {name}");
        let start = Instant::now();
        let tally = work().unwrap_or_else(|error| {
            eprintln!("error: {name}: {error:#}");
            Tally::failure(name)
        });
        interrupt::check()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("=== {name}: {seconds:.0} s");
        self.parts.push((name.to_owned(), seconds));
        self.total.add(tally);
        Ok(())
    }

    /// Unit and property tests of every package, and those of the test package that need no kernel. Set-up is done, so
    /// tests that wait for it (`ignore`) are run too.
    fn workspace(&mut self) -> Result<()> {
        let tree = self.tree;
        let mut all = cargo_test(tree);
        all.args(["--workspace", "--exclude", TESTS, "--", "--include-ignored"]);
        self.part("tests of the workspace", || runner::run("tests of the workspace", &mut all, PART_MAX))?;
        let mut own = cargo_test(tree);
        own.args(["--package", TESTS, "--lib", "--bins"]);
        for target in tree.test_targets().iter().filter(|name| !needs_kernel(name)) {
            own.args(["--test", target]);
        }
        self.part("tests of the test package", || runner::run("tests of the test package", &mut own, PART_MAX))
    }

    fn manifests(&mut self) -> Result<()> {
        let mut command = cargo_test(self.tree);
        command.args(["--package", "xtask", "--test", manifests::TEST]);
        if manifests::is_possible() {
            return self.part("manifests", || runner::run("manifests", &mut command, PART_MAX));
        }
        self.skip(&[manifests::TEST], &mut command, "Go is missing, and with it the types of the Kubernetes API")
    }

    fn kernel(&mut self) -> Result<()> {
        let tree = self.tree;
        for target in tree.test_targets().iter().filter(|name| KERNEL_TARGETS.contains(&name.as_str())) {
            let mut command = alone(tree, target);
            if let Some(reason) = permission::missing()? {
                self.skip(&[target], &mut command, &reason)?;
                continue;
            }
            let (breaks, tests) = BREAKING;
            if target != breaks {
                self.part(target, || runner::run(target, &mut command, PART_MAX))?;
                continue;
            }
            command.args(["--skip", tests]);
            self.part(target, || runner::run(target, &mut command, PART_MAX))?;
            let mut breaking = alone(tree, target);
            breaking.arg(tests);
            self.part("breaking", || runner::run("breaking", &mut breaking, PART_MAX))?;
        }
        match permission::missing()? {
            None => self.part("demo", || demo(&["demo"])),
            Some(reason) => self.skip_one("demo", &reason),
        }
    }

    /// Every pattern of handing work over, quickly; a pattern is counted like a test.
    fn score(&mut self) -> Result<()> {
        let tree = self.tree;
        if let Some(reason) = permission::missing()? {
            return self.skip_one("score", &reason);
        }
        self.part("score", || runner::run("score", &mut score::quick(tree), PART_MAX))
    }

    fn jaeger(&mut self) -> Result<()> {
        let tree = self.tree;
        let reason = match permission::missing()? {
            None if !jaeger::is_possible(tree) => Some("Go is missing, and a Jaeger is built with it".to_owned()),
            reason => reason,
        };
        let has_target = tree.test_targets().iter().any(|name| name == JAEGER_TARGET);
        let mut command = alone(tree, JAEGER_TARGET);
        if let Some(reason) = reason {
            if has_target {
                self.skip(&[JAEGER_TARGET], &mut command, &reason)?;
            }
            return self.skip_one("demo --jaeger", &reason);
        }
        self.part("build of Jaeger", || jaeger::binary(tree).map(|_| Tally::default()))?;
        if has_target {
            // Where the build failed that is counted; the test then says what it misses.
            command.env(jaeger::BINARY, jaeger::cached(tree));
            self.part(JAEGER_TARGET, || runner::run(JAEGER_TARGET, &mut command, PART_MAX))?;
        }
        self.part("demo --jaeger", || demo(&["demo", "--jaeger"]))
    }

    /// Counts the tests of a target without running them.
    fn skip(&mut self, targets: &[&str], command: &mut Command, reason: &str) -> Result<()> {
        let name = targets.join(", ");
        self.notes.push(format!("{name}: {reason}"));
        self.part(&format!("{name} (skipped)"), || {
            let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            let separated = args.iter().any(|arg| arg == "--");
            let list = if separated { command.arg("--list") } else { command.args(["--", "--list"]) };
            Ok(Tally { skipped: tally::listed(&shell::output(list.stderr(Stdio::inherit()))?), ..Tally::default() })
        })
    }

    fn skip_one(&mut self, name: &str, reason: &str) -> Result<()> {
        self.notes.push(format!("{name}: {reason}"));
        self.part(&format!("{name} (skipped)"), || Ok(Tally { skipped: 1, ..Tally::default() }))
    }

    fn close(self) -> ExitCode {
        println!("\nseconds of every part:");
        for (name, seconds) in &self.parts {
            println!("  {seconds:>6.0}  {name}");
        }
        println!("  {:>6.0}  together", self.parts.iter().map(|(_, seconds)| seconds).sum::<f64>());
        for failure in &self.total.failures {
            println!("FAILED   {failure}");
        }
        for note in &self.notes {
            println!("SKIPPED  {note}");
        }
        println!("\n{}", closing_line(&self.total));
        if self.total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn closing_line(total: &Tally) -> String {
    format!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped)
}

fn needs_kernel(target: &str) -> bool {
    KERNEL_TARGETS.contains(&target) || target == JAEGER_TARGET
}

fn cargo_test(tree: &Tree) -> Command {
    let mut cargo = tree.cargo();
    cargo.args(["test", "--no-fail-fast"]);
    cargo
}

/// A target of the test package, one test after the other, given the agent to test.
fn alone(tree: &Tree, target: &str) -> Command {
    let mut cargo = cargo_test(tree);
    cargo.args(["--package", TESTS, "--test", target, "--", "--test-threads=1"]).env("TRACEMEND_BIN", tree.agent());
    cargo
}

/// This program again as the demo: one test, passed if it ends well.
fn demo(args: &[&str]) -> Result<Tally> {
    Ok(match shell::run(shell::this().args(args)) {
        Ok(()) => Tally { passed: 1, ..Tally::default() },
        Err(error) => {
            eprintln!("error: {error:#}");
            Tally::failure(args.join(" "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_what_ci_reads() {
        let total = Tally { passed: 12, failed: 0, skipped: 3, failures: vec![] };
        assert_eq!(closing_line(&total), "12 passed, 0 failed, 3 skipped");
    }

    #[test]
    fn targets_that_load_programs_run_alone() {
        let tree = Tree::find().expect("a workspace");
        let line = shell::line(&alone(&tree, "e2e"));
        assert!(line.contains("--test e2e -- --test-threads=1"), "{line}");
        assert!(line.contains("TRACEMEND_BIN="), "{line}");
    }
}
