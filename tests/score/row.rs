//! One pattern by one variant, measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use tracemend_tests::baseline::BASELINES;

use crate::interval::Share;
use crate::run::EDGES;

/// The most wrong links there may be, by the upper end of the interval.
const WRONG_MAX: f64 = 0.001;

/// A line of the table. What is serialized is read by others: docs/SCORING.md says what it means.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) variant: String,
    pub(crate) clients: usize,
    /// Requests of the driver.
    pub(crate) requests: usize,
    /// Calls in truth: right + orphan + wrong + unseen.
    pub(crate) edges: usize,
    pub(crate) right: usize,
    pub(crate) orphan: usize,
    pub(crate) wrong: usize,
    pub(crate) unseen: usize,
    /// Untrue claims, of whatever span, that were said to be exact.
    pub(crate) exact_wrong: usize,
    /// Requests whose every span is there and claims exactly what is true.
    pub(crate) complete: usize,
    /// Why the pattern could not run.
    pub(crate) missing: Option<String>,
    #[serde(skip)]
    pub(crate) more: More,
}

/// What the table shows beside.
#[derive(Clone, Debug, Default)]
pub(crate) struct More {
    /// Of the wrong ones, those in the trace of a true cause.
    pub(crate) wrong_in_trace: usize,
    /// Requests under way at a time, on average; the least of all runs.
    pub(crate) in_flight: f64,
    /// Right, orphan, wrong and unseen edges by the evidence, or the reason, that the agent names.
    pub(crate) evidence: BTreeMap<String, [usize; 4]>,
    /// Right and wrong edges as each baseline would have it, in the order of baselines.
    pub(crate) baselines: [[usize; 2]; BASELINES.len()],
    /// What has to be looked at: wrong links, invented spans, failed audits, programs that failed.
    pub(crate) defects: Vec<String>,
    /// Remarks that are no defects.
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// Whether the bars are kept. A pattern that could not run is neither good nor bad.
    pub(crate) fn is_good(&self) -> bool {
        self.missing.is_some() || self.broken().is_empty()
    }

    /// One wrong of 4000 may be bad luck or a bug: twice as many tell.
    pub(crate) fn is_undecided(&self) -> bool {
        self.wrong == 1 && (EDGES..2 * EDGES).contains(&self.edges) && self.more.defects.is_empty()
    }

    /// The bars that are not kept.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.exact_wrong > 0 {
            broken.push(format!("{} exact links are wrong", self.exact_wrong));
        }
        if self.unseen > 0 {
            broken.push(format!("{} edges are unseen", self.unseen));
        }
        // Few edges prove little: then none may be wrong.
        let high = Share::of(self.wrong, self.edges).high;
        if if self.edges >= EDGES { high > WRONG_MAX } else { self.wrong > 0 } {
            broken.push(format!("{} of {} edges are wrong", self.wrong, self.edges));
        }
        broken.extend(self.more.defects.iter().cloned());
        broken
    }

    /// Adds what another variant made of the same pattern.
    pub(crate) fn add(&mut self, other: &Self) {
        let counts = |row: &Self| {
            [row.requests, row.edges, row.right, row.orphan, row.wrong, row.unseen, row.exact_wrong, row.complete]
        };
        let mut sums = counts(self);
        sums.iter_mut().zip(counts(other)).for_each(|(sum, more)| *sum += more);
        [
            self.requests,
            self.edges,
            self.right,
            self.orphan,
            self.wrong,
            self.unseen,
            self.exact_wrong,
            self.complete,
        ] = sums;
        self.more.add(&other.more);
    }

    pub(crate) fn share(&self, some: usize) -> Share {
        Share::of(some, self.edges)
    }
}

impl More {
    fn add(&mut self, other: &Self) {
        self.wrong_in_trace += other.wrong_in_trace;
        self.in_flight = if self.in_flight > 0.0 { self.in_flight.min(other.in_flight) } else { other.in_flight };
        for (evidence, counts) in &other.evidence {
            let sums = self.evidence.entry(evidence.clone()).or_default();
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        for (sums, counts) in self.baselines.iter_mut().zip(&other.baselines) {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
}

/// The whole table, as it is written and read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) patterns: Vec<Row>,
}

impl Rows {
    pub(crate) fn of(rows: &[Row]) -> Self {
        Self { patterns: rows.to_vec() }
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_frozen_names() {
        let json = serde_json::to_value(Rows::of(&[Row::default()])).expect("json");
        let row = json["patterns"][0].as_object().expect("an object");
        let mut names: Vec<_> = row.keys().map(String::as_str).collect();
        names.sort_unstable();
        let frozen = "clients complete edges exact_wrong id missing orphan requests right unseen variant wrong";
        assert_eq!(names.join(" "), frozen);
        assert_eq!(row["missing"], serde_json::Value::Null);
    }

    #[test]
    fn bars_are_kept_or_named() {
        let good = Row { edges: EDGES, right: EDGES - 9, orphan: 9, ..Row::default() };
        assert!(good.is_good());
        for (bad, bar) in [
            (Row { unseen: 1, ..good.clone() }, "unseen"),
            (Row { exact_wrong: 1, ..good.clone() }, "exact"),
            (Row { wrong: 1, ..good.clone() }, "wrong"),
            (Row { wrong: 1, edges: 300, ..good.clone() }, "wrong"),
            (Row { more: More { defects: vec!["audit".to_owned()], ..More::default() }, ..good.clone() }, "audit"),
        ] {
            assert!(bad.broken().iter().any(|broken| broken.contains(bar)), "{:?}", bad.broken());
        }
        assert!(Row { wrong: 1, edges: 2 * EDGES, ..good }.is_good());
    }

    #[test]
    fn exactly_one_wrong_edge_is_undecided() {
        let one = Row { edges: EDGES, wrong: 1, ..Row::default() };
        assert!(one.is_undecided() && !one.is_good());
        // None, two, already twice as many, too few to tell, something else besides.
        assert!(!Row { wrong: 0, ..one.clone() }.is_undecided());
        assert!(!Row { wrong: 2, ..one.clone() }.is_undecided());
        assert!(!Row { edges: 2 * EDGES, ..one.clone() }.is_undecided());
        assert!(!Row { edges: 300, ..one.clone() }.is_undecided());
        let more = More { defects: vec!["audit".to_owned()], ..More::default() };
        assert!(!Row { more, ..one }.is_undecided());
    }
}
