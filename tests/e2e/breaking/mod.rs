//! Whatever breaks, the programs go on, and what was lost is counted.

mod collector;
mod deaths;
mod descriptors;
mod overload;
mod pythons;
mod short;
mod signals;
mod slow;
mod start;

use std::collections::BTreeSet;

use anyhow::Result;
use tracemend_tests::otlp::Span;
use tracemend_tests::score::{Score, Truth};
use tracemend_tests::session::Sent;
use tracemend_tests::truth::Sighting;

/// Judges those exchanges alone that `kept` of what the driver sent caused. Spans of the others are extra, so that of
/// spans only the missing ones can be asked for.
fn judge_part(told: &[Sighting], sent: &[Sent], kept: impl Fn(&Sent) -> bool, spans: &[Span]) -> Result<Score> {
    let kept: Vec<Sent> = sent.iter().filter(|sent| kept(sent)).cloned().collect();
    let ids: BTreeSet<&str> = kept.iter().map(|sent| sent.sighting.id.as_str()).collect();
    let root = |sighting: &Sighting| ids.contains(sighting.id.split('.').next().unwrap_or_default());
    let told = told.iter().filter(|sighting| root(sighting)).cloned().collect();
    Truth::new(told).driven(&kept).judge(spans)
}

/// Of these exchanges every span is there, and every link right.
fn assert_complete(score: &Score) {
    assert!(score.exchanges > 0, "nothing was judged");
    assert_eq!((score.missing.len(), score.wrong.len()), (0, 0), "{score}");
    assert_eq!((score.halves.orphan, score.causes.orphan), (0, 0), "{score}");
}
