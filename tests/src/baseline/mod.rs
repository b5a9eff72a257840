//! What guesses make of the same recordings: they show how hard a pattern is.
//!
//! A guess names for each call a request of its process, or none. Everything else is as the agent has it, so that the same
//! scorer judges both.

mod assign;
mod delays;
mod facts;
#[cfg(test)]
mod published;
mod rules;

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

pub use facts::{Call, Facts, Process, Request};

use crate::otlp::{Kind, Span};

/// A way of guessing.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    /// What it is called.
    pub name: &'static str,
    /// For each call of a process, the place of the request that caused it.
    guess: fn(&Process) -> Vec<Option<usize>>,
}

/// Every way.
pub const BASELINES: [Baseline; 5] = [
    Baseline { name: "same thread", guess: rules::same_thread },
    Baseline { name: "last read", guess: rules::last_read },
    Baseline { name: "oldest", guess: rules::oldest },
    Baseline { name: "nearest", guess: rules::nearest },
    Baseline { name: "delays", guess: delays::delays },
];

impl Baseline {
    /// The agent's spans with the causes of calls as guessed.
    #[must_use]
    pub fn relink(&self, spans: &[Span], facts: &Facts) -> Vec<Span> {
        let mut spans = spans.to_vec();
        let callees: HashMap<String, usize> = spans
            .iter()
            .enumerate()
            .filter(|(_, span)| span.kind == Kind::Server)
            .filter_map(|(place, span)| Some((span.parent.clone()?, place)))
            .collect();
        for process in facts.processes() {
            for (call, cause) in process.calls.iter().zip((self.guess)(process)) {
                let cause = cause.map(|request| &spans[process.requests[request].span]);
                let (trace, parent) = match cause {
                    Some(cause) => (cause.trace_id.clone(), Some(cause.span_id.clone())),
                    // A trace of its own.
                    None => (format!("{:0>32}", spans[call.span].span_id), None),
                };
                let called = &mut spans[call.span];
                (called.trace_id, called.parent) = (trace.clone(), parent);
                called.links.clear();
                if let Some(callee) = callees.get(&called.span_id) {
                    spans[*callee].trace_id = trace;
                }
            }
        }
        spans
    }
}

/// What guesses are made from: times of spans, and the threads that a recording names.
///
/// # Errors
/// The recording cannot be read.
pub fn facts(spans: &[Span], recording: &Path) -> Result<Facts> {
    Facts::read(spans, recording)
}
