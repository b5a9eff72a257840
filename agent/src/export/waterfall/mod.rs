//! Traces as text: a tree of spans with bars in time, and how each link is known.
//!
//! ```text
//! trace 0101..  4 spans  2 services  12.4 ms
//! nginx GET /pay               ████████████████████  12.4 ms  200  root
//! └ nginx → GET api/pay          ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒   10.1 ms  200  <- nginx, strong
//! ```

mod row;
mod text;
mod tree;

pub use row::Row;

use std::collections::HashMap;
use std::fmt::Write as _;

use self::text::{Paint, duration, fit, padded, width_of};
use self::tree::{Line, lines};

/// Columns where neither a terminal nor the environment says.
pub const WIDTH_DEFAULT: usize = 100;
/// Narrower is drawn as this.
const WIDTH_MIN: usize = 80;
/// Wider is drawn as this: longer bars tell no more.
const WIDTH_MAX: usize = 200;

const BAR_MIN: usize = 10;
const BAR_MAX: usize = 80;
const DURATION: usize = 8;
const LINK_MAX: usize = 30;
const STATUS_MAX: usize = 12;

/// Draws the traces of `rows`, in order of their first row, `width` columns wide (within 80 to 200). The same rows give
/// the same text; control characters never come through.
#[must_use]
pub fn render(rows: &[Row], width: usize, colours: bool) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut traces: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in rows {
        let trace = traces.entry(&row.trace_id).or_default();
        if trace.is_empty() {
            order.push(&row.trace_id);
        }
        trace.push(row);
    }
    let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
    let mut out = String::new();
    for (at, id) in order.into_iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        Drawing::new(&traces[id], width, Paint(colours)).draw(id, &mut out);
    }
    out
}

struct Drawing<'a> {
    lines: Vec<Line<'a>>,
    services: Vec<&'a str>,
    start_ns: u64,
    total_ns: u64,
    columns: Columns,
    paint: Paint,
}

/// Widths of the columns: label, bar, duration, status, link.
struct Columns {
    label: usize,
    bar: usize,
    status: usize,
    link: usize,
}

impl<'a> Drawing<'a> {
    fn new(rows: &[&'a Row], width: usize, paint: Paint) -> Self {
        let lines = lines(rows);
        let mut services: Vec<&str> = Vec::new();
        for line in &lines {
            if !services.contains(&line.row.service.as_str()) {
                services.push(&line.row.service);
            }
        }
        let start_ns = rows.iter().map(|row| row.start_ns).min().unwrap_or(0);
        let end_ns = rows.iter().map(|row| row.end_ns()).max().unwrap_or(0);
        let columns = Columns::of(&lines, width);
        Self { lines, services, start_ns, total_ns: end_ns - start_ns, columns, paint }
    }

    fn draw(&self, id: &str, out: &mut String) {
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let head = format!(
            "trace {}  {}  {}  {}",
            text::clean(id),
            count(self.lines.len(), "span"),
            count(self.services.len(), "service"),
            duration(self.total_ns)
        );
        let _ = writeln!(out, "{}", self.paint.bold(&head));
        for line in &self.lines {
            let text = self.line(line);
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }

    fn line(&self, line: &Line<'_>) -> String {
        let Self { columns, paint, .. } = self;
        let row = line.row;
        let service = self.services.iter().position(|name| *name == row.service).unwrap_or(0);
        let bar = padded(&self.bar(row), columns.bar);
        let status = padded(&fit(&text::clean(&row.status), columns.status), columns.status);
        let link = fit(&row.link(), columns.link);
        format!(
            "{} {} {:>DURATION$}  {}  {}",
            padded(&fit(&line.label(), columns.label), columns.label),
            paint.service(service, &bar),
            duration(row.duration_ns),
            if row.error { paint.red(&status) } else { status },
            if row.orphan_reason.is_some() { paint.yellow(&link) } else { paint.dim(&link) },
        )
    }

    /// Filled where the service works on its own account, shaded where it waits for another.
    fn bar(&self, row: &Row) -> String {
        let columns = self.columns.bar as u128;
        let scale = |ns: u64| (u128::from(ns) * columns / u128::from(self.total_ns.max(1))) as usize;
        let from = scale(row.start_ns - self.start_ns).min(self.columns.bar - 1);
        let to = scale(row.end_ns() - self.start_ns).clamp(from + 1, self.columns.bar);
        let fill = if row.is_call() { "▒" } else { "█" };
        format!("{}{}", " ".repeat(from), fill.repeat(to - from))
    }
}

impl Columns {
    fn of(lines: &[Line<'_>], width: usize) -> Self {
        let widest = |text: &dyn Fn(&Line<'_>) -> usize| lines.iter().map(text).max().unwrap_or(0);
        let link = widest(&|line| width_of(&line.row.link())).min(LINK_MAX);
        let status = widest(&|line| width_of(&text::clean(&line.row.status))).clamp(3, STATUS_MAX);
        let rest = width - (1 + 1 + DURATION + 2 + status + 2 + link);
        let label = widest(&|line| width_of(&line.label())).min(rest - (rest / 4).max(BAR_MIN));
        Self { label, bar: (rest - label).min(BAR_MAX), status, link }
    }
}

#[cfg(test)]
mod tests;
