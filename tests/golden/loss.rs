//! Lost records make orphans, and never another parent.

use std::collections::HashMap;

use anyhow::Result;
use tracemend::export::Stamped;
use tracemend::recording::Replay;
use tracemend_core::ids::SpanId;
use tracemend_core::recording::Lose;
use tracemend_core::span::{Span, Value, names};

use crate::{patterns, recordings, replayed};

/// 5 % of the records.
const PER_MILLION: u32 = 50_000;
const SEEDS: u64 = 40;
/// Of the patterns there are many.
const SEEDS_OF_PATTERNS: u64 = 5;

#[test]
fn a_twentieth_of_the_records_lost_makes_no_wrong_link() -> Result<()> {
    for path in recordings()? {
        let whole = replayed(&path, Replay::default())?.0;
        let parents: HashMap<SpanId, Option<SpanId>> =
            whole.iter().map(|told| (told.span.span_id, told.span.parent)).collect();
        let (mut links, mut wrong) = (0, Vec::new());
        let seeds = if path.starts_with(patterns::folder()) { SEEDS_OF_PATTERNS } else { SEEDS };
        for seed in 0..seeds {
            let lossy = Replay { explain: false, lose: Some(Lose::new(PER_MILLION, seed)) };
            for Stamped { span, .. } in replayed(&path, lossy)?.0 {
                links += usize::from(span.parent.is_some());
                if !is_right(&span, &parents) {
                    wrong.push(format!(
                        "seed {seed}: {} {:?} {} has {:?}",
                        span.span_id, span.kind, span.name, span.parent
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}: {} of {links} links: {wrong:#?}", path.display(), wrong.len());
        // What a test cannot lose it cannot test.
        assert!(links > 0, "{}", path.display());
    }
    Ok(())
}

/// No parent, the same one, or the one that the ids on the wire name: the halves between may be lost.
fn is_right(span: &Span, parents: &HashMap<SpanId, Option<SpanId>>) -> bool {
    let Some(parent) = span.parent else { return true };
    let Some(Some(true_parent)) = parents.get(&span.span_id) else { return false };
    let evidence = |(name, value): &(&str, Value)| *name == names::EVIDENCE && *value == Value::String("wire".into());
    let by_wire = span.attributes.iter().any(evidence);
    *true_parent == parent || (by_wire && ancestors(*true_parent, parents).any(|ancestor| ancestor == parent))
}

fn ancestors(of: SpanId, parents: &HashMap<SpanId, Option<SpanId>>) -> impl Iterator<Item = SpanId> {
    std::iter::successors(Some(of), |span| parents.get(span).copied().flatten())
}
