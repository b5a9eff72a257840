//! The table, for a terminal and for the README, and the same as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::ids::Id;
use super::stats::Estimate;

/// The table in the README stands between these lines.
const BEGIN: &str = "<!-- cargo xtask bench --readme -->";
const END: &str = "<!-- end of the bench -->";

/// One line: a number, or why there is none.
pub(super) struct Line {
    pub(super) id: &'static Id,
    pub(super) outcome: std::result::Result<Estimate, String>,
}

/// `{"results": [{"id", "value", "low", "high", "unit"}]}`; a number that could not be had is null, with `why`.
pub(super) fn json(lines: &[Line]) -> Value {
    let result = |line: &Line| match &line.outcome {
        Ok(Estimate { value, low, high }) => {
            json!({"id": line.id.name, "value": value, "low": low, "high": high, "unit": line.id.unit})
        }
        Err(why) => {
            json!({"id": line.id.name, "value": null, "low": null, "high": null, "unit": line.id.unit, "why": why})
        }
    };
    json!({"results": lines.iter().map(result).collect::<Vec<_>>()})
}

/// The table for a terminal.
pub(super) fn text(lines: &[Line]) -> String {
    let rows: Vec<_> = lines.iter().map(cells).collect();
    let head = ["id", "value", "95 %", "unit", "expected", ""].map(str::to_owned);
    let mut widths = head.each_ref().map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; 6]| {
        let [id, value, interval, unit, expected, verdict] = row;
        let [a, b, c, d, e, _] = widths;
        format!("{id:<a$}  {value:>b$}  {interval:>c$}  {unit:<d$}  {expected:>e$}  {verdict}").trim_end().to_owned()
    };
    let mut text = vec![line(&head)];
    text.extend(rows.iter().map(line));
    text.extend(lines.iter().filter_map(|line| {
        let why = line.outcome.as_ref().err()?;
        Some(format!("{}: not measured: {why}", line.id.name))
    }));
    text.join("\n")
}

/// The table for a document.
fn markdown(lines: &[Line], conditions: &str) -> String {
    let mut text =
        vec!["| number | | value | 95 % interval | expected |".to_owned(), "|---|---|---:|---:|---:|".to_owned()];
    for line in lines {
        let [_, value, interval, unit, expected, verdict] = cells(line);
        let value = if line.outcome.is_ok() && unit != "ratio" { format!("{value} {unit}") } else { value };
        let verdict = if verdict == "NO" { " (**short**)" } else { "" };
        text.push(format!("| `{}` | {} | {value} | {interval} | {expected}{verdict} |", line.id.name, line.id.what));
    }
    format!("{}\n\n{conditions}", text.join("\n"))
}

/// Puts the table into the README.
pub(super) fn write_readme(path: &Path, lines: &[Line], conditions: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = replaced(&text, &markdown(lines, conditions)).context("the README has no place for the table")?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

fn cells(line: &Line) -> [String; 6] {
    let (value, interval, verdict) = match &line.outcome {
        Ok(estimate) => {
            let interval = if estimate.low < estimate.high {
                format!("{} .. {}", number(estimate.low), number(estimate.high))
            } else {
                String::new()
            };
            let verdict = match line.id.expected.is_met(*estimate) {
                Some(true) => "ok",
                Some(false) => "NO",
                None => "",
            };
            (number(estimate.value), interval, verdict)
        }
        Err(_) => ("-".to_owned(), String::new(), "not measured"),
    };
    let expected = line.id.expected.to_string();
    [line.id.name.to_owned(), value, interval, line.id.unit.to_owned(), expected, verdict.to_owned()]
}

/// Three digits that count, at least.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::ids::IDS;

    fn lines() -> Vec<Line> {
        let outcome = |id: &Id| match id.name {
            "records_lost" => Err("no BPF here".to_owned()),
            "agent_ready_ms" => Ok(Estimate { value: 2500.0, low: 2400.0, high: 2600.0 }),
            _ => Ok(Estimate::exact(1.0)),
        };
        IDS.iter().map(|id| Line { id, outcome: outcome(id) }).collect()
    }

    #[test]
    fn the_json_has_every_id_and_says_why_one_is_null() {
        let json = json(&lines());
        let results = json["results"].as_array().expect("an array");
        let ids: Vec<_> = results.iter().map(|result| result["id"].as_str().expect("a name")).collect();
        for wanted in [
            "noop_syscall_ratio",
            "kernel_ns_per_message",
            "nginx_cpu_us_added",
            "nginx_throughput_ratio",
            "agent_us_per_span",
            "agent_memory_mib",
            "load_requests_per_s",
            "records_lost",
            "replay_spans_per_s",
            "agent_ready_ms",
            "agent_idle_cpu_percent",
            "agent_idle_rss_mib",
        ] {
            assert_eq!(ids.iter().filter(|id| **id == wanted).count(), 1, "{wanted}");
        }
        for result in results {
            for key in ["id", "value", "low", "high", "unit"] {
                assert!(result.get(key).is_some(), "{result} has no {key}");
            }
            assert_eq!(result["value"].is_null(), result.get("why").is_some(), "{result}");
        }
        let ready = results.iter().find(|result| result["id"] == "agent_ready_ms").expect("listed");
        assert_eq!((&ready["low"], &ready["high"], &ready["unit"]), (&json!(2400.0), &json!(2600.0), &json!("ms")));
    }

    #[test]
    fn the_table_says_what_falls_short_and_what_is_missing() {
        let text = text(&lines());
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).expect("a line").to_owned();
        assert!(line("agent_ready_ms").ends_with("NO"), "{text}");
        assert!(line("nginx_cpu_us_added").ends_with("ok"), "{text}");
        assert!(line("records_lost").ends_with("not measured"), "{text}");
        assert!(line("records_lost:").ends_with("no BPF here"), "{text}");
    }

    #[test]
    fn the_readmes_table_is_replaced_and_nothing_else() {
        let table = markdown(&lines(), "On a machine.");
        assert!(table.contains("| 2500 ms | 2400 .. 2600 | <= 2000 (**short**) |"), "{table}");
        let readme = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(replaced(&readme, "new"), Some(format!("before\n{BEGIN}\nnew\n{END}\nafter\n")));
        assert_eq!(replaced("without", "new"), None);
    }
}
