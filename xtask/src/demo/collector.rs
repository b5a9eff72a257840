//! Reading spans back: from the agent's file, or from Jaeger over its query API.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::span::{Attributes, Kind, Span, array, parse_lines};
use crate::http;

/// Enough for what a demo leaves in Jaeger, and a bound for what others do.
const TRACES_MAX: u32 = 200;

/// Where the agent's spans go.
pub(super) enum Collector {
    /// A file of OTLP JSON lines.
    File(PathBuf),
    /// Base URL of Jaeger's query API.
    Jaeger(String),
}

impl Collector {
    /// The spans of `trace` that are there by now.
    pub(super) fn trace(&self, trace: &str) -> Result<Vec<Span>> {
        match self {
            Self::File(_) => Ok(self.all(0, &[])?.into_iter().filter(|span| span.trace == trace).collect()),
            Self::Jaeger(query) => match http::get(&format!("{query}/api/traces/{trace}"), &[])? {
                // Not there yet.
                answer if answer.status == 404 => Ok(Vec::new()),
                answer if answer.status == 200 => parse_jaeger(&answer.body),
                answer => bail!("Jaeger answered {}: {}", answer.status, answer.body.trim()),
            },
        }
    }

    /// The spans of every trace since `start` (nanoseconds since the epoch) that `services` take part in.
    pub(super) fn all(&self, start: u64, services: &[String]) -> Result<Vec<Span>> {
        match self {
            Self::File(path) => {
                // The agent may not have opened it yet.
                let text = if path.exists() { fs::read_to_string(path) } else { Ok(String::new()) };
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                Ok(parse_lines(&text)?.into_iter().filter(|span| span.start >= start).collect())
            }
            Self::Jaeger(query) => {
                let mut spans: Vec<Span> = Vec::new();
                for service in services {
                    let end = start / 1000 + 3_600_000_000;
                    let parameters = format!("service={service}&start={}&end={end}&limit={TRACES_MAX}", start / 1000);
                    let answer = http::get(&format!("{query}/api/traces?{parameters}"), &[])?;
                    for span in parse_jaeger(&answer.body)? {
                        if !spans.iter().any(|known| (&known.trace, &known.id) == (&span.trace, &span.id)) {
                            spans.push(span);
                        }
                    }
                }
                Ok(spans)
            }
        }
    }
}

/// Whether Jaeger at `query` has a page to look at: one built from its Go module alone has a placeholder.
pub(super) fn has_page(query: &str) -> bool {
    http::get(query, &[]).is_ok_and(|answer| answer.status == 200 && !answer.body.contains("This is not the Jaeger UI"))
}

/// Jaeger's answer: traces with spans, and processes beside them.
fn parse_jaeger(body: &str) -> Result<Vec<Span>> {
    let answer: Value = serde_json::from_str(body).context("Jaeger's answer is not JSON")?;
    let mut spans = Vec::new();
    for trace in array(&answer["data"]) {
        for span in array(&trace["spans"]) {
            spans.push(parse_span(span, &trace["processes"]).with_context(|| format!("in Jaeger's answer: {span}"))?);
        }
    }
    Ok(spans)
}

fn parse_span(span: &Value, processes: &Value) -> Result<Span> {
    let string = |key: &str| span[key].as_str().map(str::to_owned).with_context(|| format!("a span without {key}"));
    // Microseconds; what they cut off is not known any more.
    let micros = |key: &str| span[key].as_u64().with_context(|| format!("a span without {key}"));
    let mut attributes = tags(&span["tags"]);
    let kind = attributes
        .remove("span.kind")
        .as_ref()
        .and_then(|kind| kind["stringValue"].as_str())
        .map_or(Kind::Internal, Kind::named);
    let error = attributes.remove("otel.status_code").is_some_and(|code| code["stringValue"] == "ERROR");
    let process = &processes[string("processID")?];
    let mut resource = tags(&process["tags"]);
    resource.insert("service.name".to_owned(), json!({"stringValue": process["serviceName"]}));
    let is_parent = |reference: &&Value| reference["refType"] == "CHILD_OF" && reference["traceID"] == span["traceID"];
    let parent = array(&span["references"]).iter().find(is_parent).and_then(|reference| reference["spanID"].as_str());
    let start = micros("startTime")? * 1000;
    Ok(Span {
        trace: string("traceID")?,
        id: string("spanID")?,
        parent: parent.map(str::to_owned),
        name: string("operationName")?,
        kind,
        start,
        end: start + micros("duration")? * 1000,
        error,
        attributes,
        resource,
        warnings: array(&span["warnings"]).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
    })
}

fn tags(list: &Value) -> Attributes {
    let pair = |tag: &Value| {
        let value = match tag["type"].as_str()? {
            "int64" => json!({"intValue": tag["value"].to_string().trim_matches('"')}),
            "bool" => json!({"boolValue": tag["value"]}),
            "float64" => json!({"doubleValue": tag["value"]}),
            _ => json!({"stringValue": tag["value"]}),
        };
        Some((tag["key"].as_str()?.to_owned(), value))
    };
    array(list).iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"data":[{"traceID":"t","spans":[{"traceID":"t","spanID":"b","operationName":"GET",
        "references":[{"refType":"FOLLOWS_FROM","traceID":"u","spanID":"z"},{"refType":"CHILD_OF","traceID":"t","spanID":"a"}],
        "startTime":5,"duration":2,"processID":"p1","warnings":["clock skew"],
        "tags":[{"key":"span.kind","type":"string","value":"client"},{"key":"network.peer.port","type":"int64","value":80},
                {"key":"otel.status_code","type":"string","value":"ERROR"}]}],
        "processes":{"p1":{"serviceName":"shop","tags":[{"key":"process.pid","type":"int64","value":7}]}}}]}"#;

    #[test]
    fn jaegers_answer_is_read_whole() {
        let spans = parse_jaeger(ANSWER).expect("valid");
        let [span] = spans.as_slice() else { panic!("{} spans", spans.len()) };
        assert_eq!((span.parent.as_deref(), span.kind, span.error), (Some("a"), Kind::Client, true));
        assert_eq!((span.start, span.end), (5_000, 7_000));
        assert_eq!((span.service().as_str(), span.pid()), ("shop", Some(7)));
        assert_eq!(span.text("network.peer.port").as_deref(), Some("80"));
        assert_eq!(span.warnings, ["clock skew"]);
    }

    #[test]
    fn an_answer_without_traces_is_none() {
        assert_eq!(parse_jaeger(r#"{"data":null}"#).expect("valid"), []);
        assert!(parse_jaeger("<html>").is_err());
    }
}
