//! `tracemend show`: traces out of a file of OTLP JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tracemend_core::span::{Kind, names};

use crate::export::waterfall::{self, Row, WIDTH_DEFAULT};

/// Bytes of one line, which is one export request. Beyond: refused, it is no such file.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Spans drawn, about 1 KiB each. Beyond: the rest is left out, and said.
pub(super) const SPANS_MAX: usize = 200_000;

/// Draws the traces of a file.
pub(super) fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let read = if path == "-" {
        rows(io::stdin().lock())
    } else {
        rows(BufReader::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?))
    };
    let (rows, left_out) = read.with_context(|| path.display().to_string())?;
    draw(&rows, left_out)?;
    Ok(ExitCode::SUCCESS)
}

/// Draws rows as wide as the terminal; `left_out` of them are not there.
pub(super) fn draw(rows: &[Row], left_out: usize) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = terminal_size::terminal_size().filter(|_| terminal);
    let width = of_terminal.map(|(width, _)| width.0.into()).or(columns).unwrap_or(WIDTH_DEFAULT);
    let colours = terminal && std::env::var_os("NO_COLOR").is_none();
    let drawn = io::stdout().lock().write_all(waterfall::render(rows, width, colours).as_bytes());
    match drawn {
        // A pager was left.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    if left_out > 0 {
        eprintln!("tracemend: {left_out} more spans are in the file and not drawn");
    }
    Ok(())
}

/// The spans of every line, and how many are left out.
fn rows(mut input: impl BufRead) -> anyhow::Result<(Vec<Row>, usize)> {
    let mut rows = Vec::new();
    let mut left_out = 0;
    for number in 1_usize.. {
        let mut line = Vec::new();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            bail!("line {number} is longer than {LINE_BYTES_MAX} bytes");
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let request: ExportTraceServiceRequest = serde_json::from_slice(&line)
            .with_context(|| format!("line {number} is not an OTLP JSON export request"))?;
        for row in request_rows(&request) {
            if rows.len() < SPANS_MAX {
                rows.push(row);
            } else {
                left_out += 1;
            }
        }
    }
    Ok((rows, left_out))
}

fn request_rows(request: &ExportTraceServiceRequest) -> impl Iterator<Item = Row> {
    request.resource_spans.iter().flat_map(|resource_spans| {
        let attributes = resource_spans.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let service = text(attributes, "service.name").unwrap_or_default();
        let spans = resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.map(move |span| row(&service, span))
    })
}

fn row(service: &str, span: &Span) -> Row {
    let attribute = |name: &str| text(&span.attributes, name);
    let kind = match span.kind() {
        SpanKind::Client => Some(Kind::Client),
        SpanKind::Server => Some(Kind::Server),
        SpanKind::Unspecified | SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => None,
    };
    let detail = match kind {
        Some(Kind::Client) => {
            attribute(names::URL_FULL).map(|url| url.split_once("//").map_or(url.as_str(), |(_, rest)| rest).to_owned())
        }
        Some(Kind::Server) => attribute(names::URL_PATH),
        None => None,
    };
    let failed = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
    Row {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        service: service.to_owned(),
        name: span.name.clone(),
        detail: detail.unwrap_or_default(),
        kind,
        start_ns: span.start_time_unix_nano,
        duration_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
        status: attribute(names::STATUS_CODE).or_else(|| attribute(names::ERROR_TYPE)).unwrap_or_default(),
        error: failed,
        evidence: attribute(names::EVIDENCE),
        confidence: attribute(names::CONFIDENCE),
        orphan_reason: attribute(names::ORPHAN_REASON),
    }
}

/// An attribute as text; only texts and numbers have one.
fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text.clone()),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as the Collector's file exporter writes it: ids in hex, 64-bit numbers as text.
    const LINE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},"scopeSpans":[{"scope":{},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"00f067aa0ba902b7","name":"GET","kind":3,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000002000000","attributes":[{"key":"url.full","value":{"stringValue":"http://api:80/pay"}},{"key":"http.response.status_code","value":{"intValue":"503"}},{"key":"tracemend.link.evidence","value":{"stringValue":"thread"}},{"key":"tracemend.link.confidence","value":{"stringValue":"exact"}}],"status":{"code":2}}]}]}]}"#;

    #[test]
    fn a_line_becomes_rows() {
        let (rows, left_out) = rows(format!("{LINE}\n\n").as_bytes()).expect("valid");
        let expected = Row {
            trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
            span_id: "b7ad6b7169203331".into(),
            parent: Some("00f067aa0ba902b7".into()),
            service: "cart".into(),
            name: "GET".into(),
            detail: "api:80/pay".into(),
            kind: Some(Kind::Client),
            start_ns: 1_700_000_000_000_000_000,
            duration_ns: 2_000_000,
            status: "503".into(),
            error: true,
            evidence: Some("thread".into()),
            confidence: Some("exact".into()),
            orphan_reason: None,
        };
        assert_eq!(rows, [expected]);
        assert_eq!(left_out, 0);
    }

    #[test]
    fn requests_without_spans_are_empty_and_the_last_line_may_lack_its_end() {
        let input = format!("{{}}\n{{\"resourceSpans\":[]}}\n{LINE}");
        assert_eq!(rows(input.as_bytes()).expect("valid").0.len(), 1);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for broken in ["nonsense", "[1]", "{\"resourceSpans\":3}", "\u{0}", "{\"resourceSpans\":[{"] {
            let error = rows(format!("{LINE}\n{broken}\n").as_bytes()).expect_err("refused");
            assert!(format!("{error:#}").starts_with("line 2"), "{error:#}");
        }
    }
}
