//! Doubts about a score: what would come out if the agent, or the scorer, cheated.

mod blank;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use tracemend::export::convert;
use tracemend::recording::{self, Recording};
use tracemend_core::recording::Lose;

use crate::otlp::{self, Span};
use crate::patterns::Outcome;
use crate::score::EdgeFate;

pub use blank::blank;

/// Shares of records that are lost on the way, of a million.
const LOST_PER_MILLION: [u32; 3] = [1_000, 10_000, 100_000];

/// By a shuffled truth one link in as many as there are requests is right on average, by chance. So many more in all are
/// less likely than one in a million runs (a random permutation keeps k in place with a probability of less than 1/k!).
const CHANCE: usize = 10;

/// What is doubtful about a run; nothing, if all is well.
///
/// # Errors
/// The recording cannot be replayed.
pub fn audit(outcome: &Outcome) -> Result<Vec<String>> {
    let mut doubts = Vec::new();
    let told = links(&outcome.stopped.spans);
    let replayed = replay(&outcome.recording, None)?;
    if links(&replayed) != told {
        doubts.push(format!("a replay tells other links than the run did: {}", difference(&told, &links(&replayed))));
    }
    let blanked = outcome.recording.with_extension("blank");
    blank(&outcome.recording, &blanked)?;
    let blind = replay(&blanked, None)?;
    let blind = links(&blind);
    if blind != links(&replayed) {
        doubts
            .push(format!("links change when the driver's ids are blanked: {}", difference(&links(&replayed), &blind)));
    }
    doubts.extend(by_a_shuffled_truth(outcome)?);
    for per_million in LOST_PER_MILLION {
        let some = replay(&outcome.recording, Some(Lose::new(per_million, 1)))?;
        let edges = outcome.truth.edges(&some)?;
        // What was wrong without any loss is judged elsewhere.
        let before = outcome.truth.edges(&replayed)?;
        if edges.wrong.len() > before.wrong.len() {
            let examples: Vec<_> = edges.wrong.iter().take(5).map(|wrong| wrong.what.as_str()).collect();
            doubts.push(format!(
                "{} wrong links with {per_million} of a million records lost, {} without, such as {}",
                edges.wrong.len(),
                before.wrong.len(),
                examples.join("; ")
            ));
        }
    }
    Ok(doubts)
}

/// A score that does not fall with the truth does not depend on it.
fn by_a_shuffled_truth(outcome: &Outcome) -> Result<Option<String>> {
    let edges = outcome.truth.shuffled(1).edges(&outcome.stopped.spans)?;
    // A call that nothing caused is not blamed on anything.
    let caused: Vec<_> = edges.edges.iter().filter(|edge| edge.causes > 0).collect();
    let calls = caused.len().div_ceil(edges.requests.max(1));
    let right = caused.iter().filter(|edge| edge.fate == EdgeFate::Right).count();
    Ok((right > CHANCE * calls).then(|| format!("{right} edges are right by a shuffled truth")))
}

/// The spans of a recording, as the agent would write them.
///
/// # Errors
/// It cannot be read to its end, or makes spans that are none.
pub fn replay(file: &Path, lose: Option<Lose>) -> Result<Vec<Span>> {
    let recording = Recording::open(file).with_context(|| file.display().to_string())?;
    let mut spans = Ok(Vec::new());
    let options = recording::Replay { explain: false, lose };
    let summary = recording::replay(recording, options, |told, _| {
        if let Ok(all) = &mut spans {
            match serde_json::to_string(&convert::request(told))
                .map_err(Into::into)
                .and_then(|line| otlp::read_line(&line))
            {
                Ok(mut read) => all.append(&mut read),
                Err(error) => spans = Err(error),
            }
        }
    })?;
    match summary.cut_short {
        Some(error) => Err(error).with_context(|| file.display().to_string()),
        None => spans,
    }
}

/// What a span says of its causes: trace, parent, links and evidence, by its id.
type Links<'a> = BTreeMap<&'a str, (&'a str, Option<&'a str>, &'a [(String, String)], String)>;

fn links(spans: &[Span]) -> Links<'_> {
    let mut links = Links::new();
    for span in spans {
        let says = (span.trace_id.as_str(), span.parent.as_deref(), span.links.as_slice(), span.evidence());
        links.insert(&span.span_id, says);
    }
    links
}

fn difference(one: &Links<'_>, other: &Links<'_>) -> String {
    let differs = |span: &&str| one.get(span) != other.get(span);
    let spans: BTreeSet<&str> = one.keys().chain(other.keys()).copied().filter(differs).collect();
    let first = spans
        .first()
        .map_or_else(String::new, |span| format!(", first {span}: {:?} and {:?}", one.get(span), other.get(span)));
    format!("{} spans{first}", spans.len())
}
