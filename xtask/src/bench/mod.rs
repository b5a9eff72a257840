//! `cargo xtask bench`: what the agent costs, as a table and as JSON. docs/performance.md says how each number is had.

mod agent;
mod go;
mod idle;
mod ids;
mod kernel;
mod load;
mod memory;
mod nginx;
mod process;
mod python;
mod replay;
mod report;
mod stage;
mod stats;
mod syscall;
mod theatre;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::scratch::Scratch;
use crate::{interrupt, permission, release, setup, shell, tree::Tree};
use ids::{Family, Id};
use report::Line;
use stage::{Cpus, Stage};
use stats::Estimate;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which numbers to measure [default: all]
    names: Vec<String>,
    /// Write the results to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the table into README.md
    #[arg(long, conflicts_with = "names")]
    readme: bool,
}

/// What a family measured, by id.
type Numbers = Vec<(&'static str, Estimate)>;

/// The command. A number that cannot be had is told and is no failure of the others.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    interrupt::listen()?;
    let chosen = ids::chosen(&args.names)?;
    shell::timed("set-up", setup::ensure)?;
    shell::timed("build", || build(tree))?;
    let start = Instant::now();
    let cpus = Cpus::find()?;
    let conditions = conditions(&cpus)?;
    println!("\n{conditions}");
    let scratch = Scratch::new()?;
    let mut bench = Bench { stage: Stage { tree, scratch: &scratch, cpus }, refusal: permission::missing()? };
    let lines = bench.measure(&chosen)?;
    println!("\n{}\n\ntook {:.0} s after set-up and build", report::text(&lines), start.elapsed().as_secs_f64());
    if let Some(path) = &args.json {
        let json = format!("{:#}\n", report::json(&lines));
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.readme {
        report::write_readme(&tree.root.join("README.md"), &lines, &conditions)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn build(tree: &Tree) -> Result<()> {
    release::build(tree)?;
    shell::run(tree.cargo().args(["build", "--release", "--package", "tracemend-tests", "--bins"]))
}

/// What a reader of the numbers has to know of the machine.
fn conditions(cpus: &Cpus) -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let (kernel, load) = (read("/proc/sys/kernel/osrelease")?, read("/proc/loadavg")?);
    let info = read("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let virtual_machine = if info.contains(" hypervisor") { ", virtual" } else { "" };
    Ok(format!(
        "Linux {}, {}{virtual_machine}; server on CPU {}, load and sink on CPU {}; load average before: {}.",
        kernel.trim(),
        model.unwrap_or("unknown processor"),
        cpus.server,
        cpus.load,
        load.split_whitespace().next().unwrap_or("unknown"),
    ))
}

struct Bench<'a> {
    stage: Stage<'a>,
    /// Why no BPF program can be loaded.
    refusal: Option<String>,
}

impl Bench<'_> {
    /// Measures all that `chosen` need. Only an interruption ends it early.
    fn measure(&mut self, chosen: &[&'static Id]) -> Result<Vec<Line>> {
        let families: BTreeSet<Family> = chosen.iter().map(|id| id.family).collect();
        let mut outcomes = BTreeMap::new();
        for family in families {
            let outcome = shell::timed(&format!("{family:?}").to_lowercase(), || self.run(family));
            interrupt::check()?;
            outcomes.insert(family, outcome.map_err(|error| format!("{error:#}")));
        }
        let outcome = |id: &'static Id| match &outcomes[&id.family] {
            Ok(numbers) => numbers
                .iter()
                .find_map(|(name, estimate)| (*name == id.name).then_some(*estimate))
                .ok_or_else(|| "it was not among what was measured".to_owned()),
            Err(why) => Err(why.clone()),
        };
        Ok(chosen.iter().map(|id| Line { id, outcome: outcome(id) }).collect())
    }

    fn run(&self, family: Family) -> Result<Numbers> {
        if let Some(refusal) = &self.refusal {
            bail!("{refusal}");
        }
        let numbers = match family {
            Family::Syscall => syscall::run(&self.stage),
            Family::Kernel => kernel::run(&self.stage),
            Family::Nginx => nginx::run(&self.stage),
            Family::Idle => idle::run(&self.stage),
            Family::Load => load::run(&self.stage),
            Family::Memory => memory::run(&self.stage),
            Family::Replay => replay::run(&self.stage),
            Family::Python => python::run(&self.stage),
            Family::Go => go::run(&self.stage),
        }?;
        ensure!(numbers.iter().all(|(_, estimate)| estimate.value.is_finite()), "a number that is none");
        Ok(numbers)
    }
}
