//! A recorded run again, through the core alone.

use std::io::Read;

use tracemend_core::causal::explain::Explanation;
use tracemend_core::engine::{self, Engine, Output};
use tracemend_core::recording::{Entry, Header, Lose};

use super::{Error, Recording};
use crate::config::Paths;
use crate::export::{Stamped, Traces};

/// How a recording is replayed.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Every decision is explained.
    pub explain: bool,
    /// Records that are lost on the way.
    pub lose: Option<Lose>,
}

/// What became of a replay.
#[derive(Debug, Default)]
pub struct Summary {
    /// Entries replayed.
    pub entries: u64,
    /// Spans made.
    pub spans: u64,
    /// What was lost, by name: in the run before the core, and in the core now.
    pub losses: Vec<(String, u64)>,
    /// Why it was not replayed to its end.
    pub cut_short: Option<Error>,
}

/// The core as it was at the beginning of a recording.
pub(super) fn core(header: &Header, explain: bool) -> Result<Engine, crate::config::Error> {
    let exclude = Paths::new(&header.exclude_paths)?;
    let excluded = Box::new(move |target: &str| exclude.matches(target));
    Ok(Engine::new(engine::Options { nonce: header.nonce, excluded, explain }))
}

/// Replays a recording. `told` takes the spans in their order, with the explanations of what was decided meanwhile.
///
/// # Errors
/// A pattern of the recording is none.
pub fn replay<R: Read>(
    recording: Recording<R>,
    options: Replay,
    mut told: impl FnMut(Vec<Stamped>, Vec<Explanation>),
) -> Result<Summary, crate::config::Error> {
    let Replay { explain, mut lose } = options;
    let mut engine = core(recording.header(), explain)?;
    let mut traces = Traces::default();
    let mut offset_ns = 0;
    let mut summary = Summary::default();
    let mut out = Output::default();
    for entry in recording {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                summary.cut_short = Some(error);
                break;
            }
        };
        summary.entries += 1;
        if lose.as_mut().is_some_and(|lose| lose.loses(&entry)) {
            continue;
        }
        match entry {
            Entry::Clock(offset) => offset_ns = offset,
            Entry::End(lost) => summary.losses = lost,
            entry => entry.replay(&mut engine, &mut out),
        }
        out.policies.clear();
        if out.spans.is_empty() && out.explanations.is_empty() {
            continue;
        }
        summary.spans += out.spans.len() as u64;
        let spans = std::mem::take(&mut out.spans);
        let stamp =
            |span: tracemend_core::span::Span| Stamped { offset_ns: traces.offset(span.trace_id, offset_ns), span };
        told(spans.into_iter().map(stamp).collect(), std::mem::take(&mut out.explanations));
    }
    summary.losses.extend(engine.losses().into_iter().map(|(name, count)| (name.to_owned(), count)));
    summary.losses.retain(|(_, count)| *count > 0);
    Ok(summary)
}
