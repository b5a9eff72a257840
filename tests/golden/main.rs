//! Recordings of real programs, replayed without privileges: what the core makes of them is in the repository, so that
//! every change of it is seen, and reviewed.
//!
//! `NAME.tmrec` is a recording, `NAME.spans` what its replay tells. `cargo xtask bless` writes the latter anew, and with
//! `--record` the former too, as root. In `patterns` there is one of each pattern of handing work over, and of its spans
//! what links them.

mod loss;
mod neutral;
mod patterns;
mod record;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracemend::export::Stamped;
use tracemend::recording::{Recording, Replay, Summary, replay};

/// Set by `cargo xtask bless`: what is told is written instead of compared.
const BLESS: &str = "TRACEMEND_BLESS";

/// The most a recording may have: they are kept in the repository.
const BYTES_MAX: u64 = 64 << 10;

#[test]
fn replays_tell_what_is_in_the_repository() -> Result<()> {
    for path in recordings()? {
        let name = path.display();
        let spans = replayed(&path, Replay::default())?.0;
        let told = if path.starts_with(patterns::folder()) { text::links(&spans) } else { text::of(&spans) };
        let expected = path.with_extension("spans");
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&expected, told)?;
            continue;
        }
        let expected = std::fs::read_to_string(&expected).with_context(|| format!("{name}: cargo xtask bless"))?;
        if let Some((number, (told, expected))) =
            (1..).zip(told.lines().zip(expected.lines())).find(|(_, (told, expected))| told != expected)
        {
            panic!(
                "{name}, line {number}:\n  told     {told}\n  expected {expected}\n(cargo xtask bless, and look at the diff)"
            );
        }
        assert_eq!(told.lines().count(), expected.lines().count(), "{name}: lines");
    }
    Ok(())
}

#[test]
fn a_replay_is_the_same_every_time() -> Result<()> {
    for path in recordings()? {
        let first = text::of(&replayed(&path, Replay::default())?.0);
        assert!(first == text::of(&replayed(&path, Replay::default())?.0), "{}", path.display());
        let explaining = Replay { explain: true, lose: None };
        assert!(first == text::of(&replayed(&path, explaining)?.0), "{}: explaining changes something", path.display());
    }
    Ok(())
}

#[test]
fn recordings_are_whole_and_small_and_lost_nothing() -> Result<()> {
    let all = recordings()?;
    for path in all {
        let bytes = path.metadata()?.len();
        assert!(bytes <= BYTES_MAX, "{} has {bytes} bytes", path.display());
        let (spans, summary) = replayed(&path, Replay::default())?;
        let lost: Vec<_> = summary.losses.iter().filter(|(name, _)| !is_expected(name)).collect();
        assert!(!spans.is_empty() && lost.is_empty(), "{}: {} spans, {lost:?}", path.display(), spans.len());
    }
    Ok(())
}

/// Connections that are older than the agent have a beginning nobody saw; and what answers a call that was given up
/// answers nobody.
fn is_expected(loss: &str) -> bool {
    matches!(loss, "unknown_connections" | "unseen_heads" | "void_exchanges" | "unasked_responses")
}

#[test]
fn every_link_is_explained() -> Result<()> {
    for path in recordings()? {
        let mut explained = std::collections::BTreeMap::new();
        let mut spans = Vec::new();
        replay(Recording::open(&path)?, Replay { explain: true, lose: None }, |told, explanations| {
            spans.extend(told);
            explained.extend(explanations.into_iter().map(|explanation| (explanation.span_id, explanation)));
        })?;
        for Stamped { span, .. } in spans {
            let explanation =
                explained.get(&span.span_id).with_context(|| format!("{}: {}", path.display(), span.span_id))?;
            let text = explanation.to_string();
            match span.parent {
                Some(parent) => assert!(text.contains(&format!("parent {parent}, by ")), "{text}"),
                None => assert!(text.contains("the root of its trace") || text.contains("an orphan ("), "{text}"),
            }
            let taken =
                explanation.candidates.iter().filter(|candidate| candidate.verdict.starts_with("taken")).count();
            assert!(taken <= 1, "{text}");
        }
    }
    Ok(())
}

/// All recordings, in order of their names.
fn recordings() -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for folder in [folder(), patterns::folder()] {
        let before = all.len();
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmrec") {
                all.push(path);
            }
        }
        ensure!(all.len() > before, "no recordings in {}", folder.display());
    }
    all.sort();
    Ok(all)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The spans of a replay that came to its end.
fn replayed(path: &Path, options: Replay) -> Result<(Vec<Stamped>, Summary)> {
    let mut spans = Vec::new();
    let recording = Recording::open(path).with_context(|| path.display().to_string())?;
    let summary = replay(recording, options, |told, _| spans.extend(told))?;
    ensure!(summary.cut_short.is_none(), "{}: {:?}", path.display(), summary.cut_short);
    Ok((spans, summary))
}
