//! `cargo xtask score`: what the agent makes of every pattern of handing work over, as a table and as JSON. How it is
//! judged, and how the score is doubted: docs/SCORING.md.

mod compare;
mod interval;
mod report;
mod row;
mod run;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use globset::{Glob, GlobSet, GlobSetBuilder};
use tracemend_tests::patterns::{Pattern, prepare};
use tracemend_tests::{permission, process};

use row::{Row, Rows};
use run::{EDGES, Options, QUICK_EDGES};

/// Measures how many calls of each pattern are linked right, not at all, or wrong
#[derive(Debug, Parser)]
#[command(name = "cargo xtask score", bin_name = "cargo xtask score", max_term_width = 100, after_help = HELP)]
struct Args {
    /// Only patterns whose id matches one of these ('python/*', go/direct)
    #[arg(value_name = "PATTERN-GLOB")]
    patterns: Vec<String>,

    /// Requests of each run; by default as many as make 4000 calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: Option<u32>,

    /// Kept-alive connections of the driver
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    clients: u32,

    /// Runs of each pattern, each with its own order and times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seeds: u32,

    /// Write the table to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Compare with a table written before; fails if a pattern got worse by more than 2 points
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,

    /// Only the first variant of each pattern, and 300 calls
    #[arg(long, conflicts_with = "requests")]
    quick: bool,

    /// Build what the patterns need, and measure nothing
    #[arg(long)]
    prepare: bool,
}

const HELP: &str = "\
Exit status: 0 if every pattern that ran kept the bars (no wrong exact link, no
span missing, wrong links below 0.1 %, every audit), 1 if one did not";

fn main() -> ExitCode {
    match score(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is asked for; true if all bars were kept.
fn score(args: &Args) -> Result<bool> {
    if args.prepare {
        return prepare().map(|()| true);
    }
    if let Some(reason) = permission::missing() {
        bail!("nothing can be measured here: {reason}");
    }
    process::quiet();
    let old = args.compare.as_ref().map(|file| Rows::read(file)).transpose()?;
    let chosen = chosen(&args.patterns)?;
    let options = Options {
        clients: usize::try_from(args.clients)?,
        requests: args.requests.map(usize::try_from).transpose()?,
        calls: if args.quick { QUICK_EDGES } else { EDGES },
        seeds: args.seeds.into(),
    };
    let variants = if args.quick { 1 } else { usize::MAX };
    let of = |(place, pattern): (usize, &Pattern)| {
        let variants = pattern.variants().into_iter().take(variants).enumerate();
        variants.map(|(turn, variant)| (turn, place, *pattern, variant)).collect::<Vec<_>>()
    };
    let mut runs: Vec<_> = chosen.iter().enumerate().flat_map(of).collect();
    // Every pattern once before one is run again: what is broken shows early.
    runs.sort_by_key(|(turn, place, ..)| (*turn, *place));
    // As test runners say it, so that `cargo xtask test` counts patterns like tests.
    println!("running {} tests", runs.len());
    let mut rows = Vec::new();
    for (_, place, pattern, variant) in runs {
        let row = run::measure(pattern, &variant, &options);
        let row = match &old {
            // A few hundred calls are too few to say so.
            Some(old) if row.is_good() && options.requests.is_none() && compare::is_worse(old, &row) => {
                println!("{} by {}: looks worse, so it is run again with {EDGES} calls", row.id, row.variant);
                run::measure(pattern, &variant, &Options { calls: EDGES, ..options.clone() })
            }
            _ => row,
        };
        report::outcome(&row);
        rows.push((place, row));
    }
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    let lost = old.map(|old| compare::worse(&old, &rows)).unwrap_or_default();
    report::tables(&rows);
    report::close(&rows, &lost);
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&Rows::of(&rows))? + "\n";
        fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    Ok(lost.is_empty() && rows.iter().all(Row::is_good))
}

fn chosen(globs: &[String]) -> Result<Vec<Pattern>> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob)?);
    }
    let set: GlobSet = set.build()?;
    let chosen: Vec<_> = Pattern::all().filter(|pattern| globs.is_empty() || set.is_match(pattern.id)).collect();
    ensure!(!chosen.is_empty(), "no pattern is called {}", globs.join(" or "));
    Ok(chosen)
}
