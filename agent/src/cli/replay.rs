//! `tracemend replay`: a recorded run again, through the core alone.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tracemend_core::causal::explain::Explanation;
use tracemend_core::recording::Lose;

use super::args::Replay as Arguments;
use super::{FAILED, show};
use crate::export::waterfall::Row;
use crate::export::{Stamped, convert};
use crate::recording::{Recording, Replay, Summary, measure, replay};

/// Replays a file, and shows what is asked for.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    let recording = Recording::open(path).with_context(|| path.display().to_string())?;
    if let Some(span) = &arguments.explain {
        return explain(recording, &span.to_ascii_lowercase(), path);
    }
    if arguments.measure {
        let measured = measure(recording)?;
        println!("{measured}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Replay {
        explain: false,
        lose: (arguments.lose_per_million > 0).then(|| Lose::new(arguments.lose_per_million, arguments.seed)),
    };
    let summary = match &arguments.output {
        Some(output) => lines(recording, options, output)?,
        None => draw(recording, options)?,
    };
    Ok(tell(&summary, path))
}

/// Writes spans as the agent's file exporter does, one export request for what was told at a time.
fn lines(recording: Recording<impl io::Read>, options: Replay, output: &Path) -> anyhow::Result<Summary> {
    let target: Box<dyn Write> = if output == "-" {
        Box::new(io::stdout().lock())
    } else {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(output);
        Box::new(file.with_context(|| output.display().to_string())?)
    };
    let mut target = BufWriter::new(target);
    let mut written = Ok(());
    let summary = replay(recording, options, |spans, _| {
        if written.is_ok() {
            written = serde_json::to_writer(&mut target, &convert::request(spans))
                .map_err(io::Error::from)
                .and_then(|()| target.write_all(b"\n"));
        }
    })?;
    written.and_then(|()| target.flush()).with_context(|| output.display().to_string())?;
    Ok(summary)
}

fn draw(recording: Recording<impl io::Read>, options: Replay) -> anyhow::Result<Summary> {
    let mut rows = Vec::new();
    let mut left_out = 0;
    let summary = replay(recording, options, |spans, _| {
        for Stamped { span, .. } in spans {
            if rows.len() < show::SPANS_MAX {
                rows.push(Row::from(&span));
            } else {
                left_out += 1;
            }
        }
    })?;
    show::draw(&rows, left_out)?;
    Ok(summary)
}

/// Prints the explanations of the spans whose ids begin so.
fn explain(recording: Recording<impl io::Read>, span: &str, path: &Path) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    let options = Replay { explain: true, lose: None };
    let summary = replay(recording, options, |_, explanations| {
        found.extend(explanations.into_iter().filter(|explanation| explanation.span_id.to_string().starts_with(span)));
    })?;
    let status = tell(&summary, path);
    if found.is_empty() {
        bail!("no span of {} has an id that begins with {span}", path.display());
    }
    let text: String = found.iter().map(Explanation::to_string).collect();
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(status)
}

/// Says what was not as it should be.
fn tell(summary: &Summary, path: &Path) -> ExitCode {
    for (name, count) in &summary.losses {
        eprintln!("tracemend: lost: {count} {name}");
    }
    match &summary.cut_short {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("tracemend: {} {error}; {} entries were replayed", path.display(), summary.entries);
            ExitCode::from(FAILED)
        }
    }
}
