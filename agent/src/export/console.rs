//! Spans to the terminal: each trace is drawn as a waterfall once it is quiet.

use std::collections::HashMap;
use std::fmt;
use std::io::{IsTerminal as _, Write};

use tokio::time::Instant;

use super::counters::{Counts, DropReason};
use super::env::{self, Lookup};
use super::health::Health;
use super::limits::{ROWS_HELD_MAX, TRACE_QUIET};
use super::queue::Stamped;
use super::waterfall::{self, Row, WIDTH_DEFAULT};

/// How to draw, and where.
pub struct Config {
    /// Columns; none follows the terminal.
    pub width: Option<usize>,
    /// With colours.
    pub colours: bool,
    /// Where the drawings go.
    pub output: Box<dyn Write + Send>,
}

impl Config {
    /// Standard output: in colour and as wide as it is if it is a terminal, without colour if `NO_COLOR` is set or
    /// `TERM` is `dumb`; `COLUMNS` wide if it is none.
    #[must_use]
    pub fn stdout(lookup: Lookup<'_>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let plain = env::get(lookup, "NO_COLOR").is_some() || env::get(lookup, "TERM").as_deref() == Some("dumb");
        let columns = env::get(lookup, "COLUMNS").and_then(|columns| columns.parse().ok());
        let width = if terminal { None } else { Some(columns.unwrap_or(WIDTH_DEFAULT)) };
        Self { width, colours: terminal && !plain, output: Box::new(std::io::stdout()) }
    }

    fn columns(&self) -> usize {
        let terminal = || terminal_size::terminal_size().map(|(width, _)| width.0.into());
        self.width.or_else(terminal).unwrap_or(WIDTH_DEFAULT)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("width", &self.width).field("colours", &self.colours).finish_non_exhaustive()
    }
}

/// Draws traces to the terminal.
#[derive(Debug)]
pub(crate) struct Sink {
    config: Config,
    held: Held,
    counts: Counts,
    health: Health,
}

impl Sink {
    pub(crate) fn new(config: Config, counts: Counts) -> Self {
        let health = Health::new("the terminal".into());
        Self { config, held: Held::default(), counts, health }
    }

    pub(crate) fn write(&mut self, batch: Vec<Stamped>, now: Instant) {
        for stamped in &batch {
            self.held.add(Row::from(&stamped.span), now);
        }
        self.draw_quiet(now);
    }

    /// Draws the traces that are quiet by now.
    pub(crate) fn draw_quiet(&mut self, now: Instant) {
        while let Some(rows) = self.held.next(now) {
            self.draw(&rows);
        }
    }

    /// Draws everything that is held.
    pub(crate) fn finish(&mut self) {
        while let Some(rows) = self.held.oldest() {
            self.draw(&rows);
        }
    }

    fn draw(&mut self, rows: &[Row]) {
        let mut text = waterfall::render(rows, self.config.columns(), self.config.colours);
        text.push('\n');
        let output = &mut self.config.output;
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            Ok(()) => {
                self.health.worked();
                self.counts.exported(rows.len() as u64);
            }
            Err(error) => {
                self.health.failed(&error);
                self.counts.dropped(DropReason::Io, rows.len() as u64);
            }
        }
    }
}

/// Traces that may still grow.
#[derive(Debug, Default)]
struct Held {
    traces: HashMap<String, Growing>,
    rows: usize,
}

#[derive(Debug)]
struct Growing {
    rows: Vec<Row>,
    last: Instant,
}

impl Held {
    fn add(&mut self, row: Row, now: Instant) {
        let trace = self.traces.entry(row.trace_id.clone()).or_insert_with(|| Growing { rows: Vec::new(), last: now });
        trace.rows.push(row);
        trace.last = now;
        self.rows += 1;
    }

    /// The next trace to draw: one that is quiet, or the one quiet for longest while too much is held.
    fn next(&mut self, now: Instant) -> Option<Vec<Row>> {
        let (trace, growing) = self.traces.iter().min_by_key(|(_, growing)| growing.last)?;
        let due = growing.last + TRACE_QUIET <= now || self.rows > ROWS_HELD_MAX;
        let trace = due.then(|| trace.clone())?;
        self.remove(&trace)
    }

    fn oldest(&mut self) -> Option<Vec<Row>> {
        let (trace, _) = self.traces.iter().min_by_key(|(_, growing)| growing.last)?;
        let trace = trace.clone();
        self.remove(&trace)
    }

    fn remove(&mut self, trace: &str) -> Option<Vec<Row>> {
        let rows = self.traces.remove(trace)?.rows;
        self.rows -= rows.len();
        Some(rows)
    }
}
