//! Runs of one pattern by one variant, put together.

use std::fs;

use anyhow::{Result, bail};
use tracemend_tests::audit::audit;
use tracemend_tests::baseline::{self, BASELINES};
use tracemend_tests::load::Concurrency;
use tracemend_tests::patterns::{Outcome, Pattern, Trial, Variant, directory};
use tracemend_tests::score::{EdgeFate, Edges};

use crate::row::Row;

/// Edges of each run unless requests are given: with so many, none that is wrong keeps the interval's end below 0.1 %.
pub(crate) const EDGES: usize = 4_000;

/// Edges of a quick look.
pub(crate) const QUICK_EDGES: usize = 300;

/// How patterns are run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) clients: usize,
    /// Of each run, if they are given ...
    pub(crate) requests: Option<usize>,
    /// ... or else as many as make so many calls.
    pub(crate) calls: usize,
    pub(crate) seeds: u64,
}

/// Measures a pattern; whatever fails becomes a defect of its row.
pub(crate) fn measure(pattern: Pattern, variant: &Variant, options: &Options) -> Row {
    let mut row =
        Row { id: pattern.id.to_owned(), variant: variant.name.clone(), clients: options.clients, ..Row::default() };
    if let Err(missing) = &variant.program {
        row.missing = Some(missing.clone());
        return row;
    }
    let requests = options.requests.unwrap_or(pattern.requests(options.calls));
    let empty = row.clone();
    let runs = |row: &mut Row, requests| {
        for seed in 1..=options.seeds {
            let trial = Trial { pattern, variant: variant.clone(), clients: options.clients, requests, seed };
            if let Err(error) = run(&trial, row) {
                row.more.defects.push(format!("seed {seed}: {error:#}"));
            }
        }
    };
    runs(&mut row, requests);
    if options.requests.is_none() && row.more.defects.is_empty() && row.edges < options.calls {
        row.more.defects.push(format!("{} calls are fewer than {}", row.edges, options.calls));
    }
    // What was wrong and exact stays so.
    if row.is_undecided() {
        let once = row;
        row = Row { exact_wrong: once.exact_wrong, ..empty };
        row.more.notes = once.more.notes;
        row.more.notes.push(format!("run again, because 1 of {} edges was wrong", once.edges));
        runs(&mut row, 2 * requests);
    }
    row
}

fn run(trial: &Trial, row: &mut Row) -> Result<()> {
    let Some(scene) = trial.scene(trial.pattern.id)? else { bail!("no agent can run here") };
    let outcome = trial.run(&scene)?;
    let edges = outcome.truth.edges(&outcome.stopped.spans)?;
    add(row, trial, &edges, &outcome);
    let facts = baseline::facts(&outcome.stopped.spans, &outcome.recording)?;
    for (baseline, sum) in BASELINES.iter().zip(&mut row.more.baselines) {
        let guessed = outcome.truth.edges(&baseline.relink(&outcome.stopped.spans, &facts))?;
        sum[0] += guessed.count(EdgeFate::Right);
        sum[1] += guessed.wrong();
    }
    for doubt in audit(&outcome)? {
        row.more.defects.push(format!("audit: {doubt}"));
    }
    if !edges.wrong.is_empty() || edges.count(EdgeFate::Unseen) > 0 || !row.more.defects.is_empty() {
        keep(row, trial, &edges, &outcome)?;
    }
    Ok(())
}

fn add(row: &mut Row, trial: &Trial, edges: &Edges, outcome: &Outcome) {
    row.requests += edges.requests;
    row.edges += edges.edges.len();
    row.right += edges.count(EdgeFate::Right);
    row.orphan += edges.count(EdgeFate::Orphan);
    row.wrong += edges.wrong();
    row.unseen += edges.count(EdgeFate::Unseen);
    row.exact_wrong += edges.exact_wrong();
    row.complete += edges.complete;
    row.more.wrong_in_trace += edges.count(EdgeFate::WrongParent);
    let achieved = Concurrency::of(&outcome.sent).mean;
    row.more.in_flight = if row.more.in_flight > 0.0 { row.more.in_flight.min(achieved) } else { achieved };
    for (evidence, fates) in edges.by_evidence() {
        let counts = row.more.evidence.entry(evidence.to_owned()).or_default();
        for (fate, count) in fates {
            let place = match fate {
                EdgeFate::Right => 0,
                EdgeFate::Orphan => 1,
                EdgeFate::WrongParent | EdgeFate::WrongRequest => 2,
                EdgeFate::Unseen => 3,
            };
            counts[place] += count;
        }
    }
    let caused: usize = edges.edges.iter().map(|edge| edge.causes).sum();
    if edges.requests != trial.requests || caused != trial.requests * trial.pattern.calls {
        row.more.defects.push(format!("{} requests in truth, which caused {caused} calls", edges.requests));
    }
    if let Some(first) = edges.extra.first() {
        row.more.defects.push(format!("{} spans of nothing that happened, such as {first}", edges.extra.len()));
    }
    if outcome.stopped.lost() > 0 {
        row.more.notes.push(format!("seed {}: the agent lost {:?}", trial.seed, outcome.stopped.losses));
    }
}

/// Keeps the recording, and prints every wrong link with how to look at it.
fn keep(row: &mut Row, trial: &Trial, edges: &Edges, outcome: &Outcome) -> Result<()> {
    let kept = directory().join("recordings");
    fs::create_dir_all(&kept)?;
    let name = format!("{} {} {}.tmrec", trial.pattern.id, trial.variant.name, trial.seed);
    let kept = kept.join(name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"));
    fs::copy(&outcome.recording, &kept)?;
    for wrong in &edges.wrong {
        let how = if wrong.exact { "wrong, and said to be exact" } else { "wrong" };
        println!("{}: {how}: {}", trial.pattern.id, wrong.what);
        println!("    tracemend replay {} --explain {}", kept.display(), wrong.span_id);
    }
    row.more.notes.push(format!("seed {}: recorded in {}", trial.seed, kept.display()));
    Ok(())
}
