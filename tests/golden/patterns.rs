//! A small recording of each pattern of handing work over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracemend_tests::patterns::{Pattern, Trial};
use tracemend_tests::score::EdgeFate;

/// Enough that requests overlap, and calls are made in another order than requests are read.
const REQUESTS: usize = 24;
const CLIENTS: usize = 8;

/// The only one that is to be recorded; all, where it is not set.
const ONLY: &str = "TRACEMEND_PATTERN";

#[test]
fn every_pattern_has_a_recording_and_no_other_has() -> Result<()> {
    let names: BTreeSet<_> = Pattern::all().map(|pattern| path(&pattern)).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder())? {
        found.insert(entry?.path().with_extension("tmrec"));
    }
    let odd: Vec<_> = names.symmetric_difference(&found).map(|path| path.display()).collect();
    assert!(odd.is_empty(), "cargo xtask bless --record, or remove them: {odd:?}");
    Ok(())
}

#[test]
#[ignore = "rewrites the recordings: `cargo xtask bless --record` runs it"]
fn record_every_pattern() -> Result<()> {
    std::fs::create_dir_all(folder())?;
    let only = std::env::var(ONLY).ok();
    let wanted = |pattern: &Pattern| only.as_deref().is_none_or(|only| only == pattern.id);
    Pattern::all().filter(wanted).try_for_each(|pattern| record(pattern).with_context(|| pattern.id))
}

/// Where they are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/patterns")
}

/// `runtime-name.tmrec`
fn path(pattern: &Pattern) -> PathBuf {
    folder().join(pattern.id.replace('/', "-")).with_extension("tmrec")
}

/// By the pattern's first variant. What is kept has been judged: all is there, and nothing of it is wrong.
fn record(pattern: Pattern) -> Result<()> {
    let variant = pattern.variants().into_iter().next().context("a variant")?;
    let trial = Trial { pattern, variant, clients: CLIENTS, requests: REQUESTS, seed: 1 };
    let scene = trial.scene("record_every_pattern")?.context("recordings need BPF")?;
    let new = scene.path("new.tmrec");
    let outcome = trial.record(&scene, &new)?;
    let edges = outcome.truth.edges(&outcome.stopped.spans)?;
    ensure!(edges.wrong.is_empty() && edges.extra.is_empty(), "{:?} {:?}", edges.wrong, edges.extra);
    ensure!(edges.count(EdgeFate::Unseen) == 0, "a span is missing");
    std::fs::copy(new, path(&pattern))?;
    Ok(())
}
