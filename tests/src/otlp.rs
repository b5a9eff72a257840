//! Spans as the agent wrote them: OTLP JSON lines, one `ExportTraceServiceRequest` per line, read strictly.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// Every `tracemend.link.evidence` there is.
const EVIDENCE: &[&str] =
    &["peer", "wire", "thread", "birth", "unit", "item", "context", "answer", "nginx", "root", "none"];
/// Every `tracemend.link.confidence` there is.
const CONFIDENCE: &[&str] = &["exact", "strong", "weak", "none"];

/// Which end of an exchange a span describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The serving end.
    Server,
    /// The calling end.
    Client,
}

/// One span with its process.
#[derive(Clone, Debug)]
pub struct Span {
    /// Trace id, 32 lower-case hex digits.
    pub trace_id: String,
    /// Span id, 16 lower-case hex digits.
    pub span_id: String,
    /// The parent's span id.
    pub parent: Option<String>,
    /// Which end.
    pub kind: Kind,
    /// Name.
    pub name: String,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// End, nanoseconds since the epoch.
    pub end_ns: u64,
    /// Attributes.
    pub attributes: Attributes,
    /// The trace's `tracestate`.
    pub trace_state: String,
    /// Trace and span ids of its links.
    pub links: Vec<(String, String)>,
    /// The resource's attributes.
    pub resource: Arc<Attributes>,
}

impl Span {
    /// A text attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// A number attribute.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.attributes.get(name)?.as_i64()
    }

    /// `http.request.method`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.text("http.request.method").unwrap_or_default()
    }

    /// `url.path`, at a client the path of `url.full`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text("url.path").unwrap_or_else(|| {
            let full = self.text("url.full").unwrap_or_default();
            let authority = full.split_once("://").map_or(full, |(_, rest)| rest);
            authority.find('/').map_or("", |start| &authority[start..])
        })
    }

    /// `http.response.status_code`.
    #[must_use]
    pub fn status(&self) -> Option<i64> {
        self.number("http.response.status_code")
    }

    /// Its own end of the connection, as [`crate::target::Target`] is printed.
    #[must_use]
    pub fn local(&self) -> String {
        self.end("network.local")
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> String {
        self.end("network.peer")
    }

    /// The serving end of the connection.
    #[must_use]
    pub fn server_end(&self) -> String {
        match self.kind {
            Kind::Server => self.local(),
            Kind::Client => self.peer(),
        }
    }

    /// `process.pid` of its resource.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.resource.get("process.pid")?.as_i64()?.try_into().ok()
    }

    /// `service.name` of its resource.
    #[must_use]
    pub fn service(&self) -> &str {
        self.resource.get("service.name").and_then(Value::as_str).unwrap_or_default()
    }

    /// `tracemend.link.evidence`, with the confidence, or the reason of an orphan.
    #[must_use]
    pub fn evidence(&self) -> String {
        let text = |name| self.text(name).unwrap_or("-");
        match self.text("tracemend.link.orphan_reason") {
            Some(reason) => format!("orphan: {reason}"),
            None => format!("{} ({})", text("tracemend.link.evidence"), text("tracemend.link.confidence")),
        }
    }

    /// Which span it is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { kind, span_id, .. } = self;
        format!("{kind:?} span {span_id} {} {} <- {}", self.path(), self.local(), self.peer())
    }

    /// What every span has: how its link is known and how well, both ends, and whose it is.
    fn keeps_promises(&self) -> Result<()> {
        let (evidence, confidence) = (self.text("tracemend.link.evidence"), self.text("tracemend.link.confidence"));
        ensure!(evidence.is_some_and(|evidence| EVIDENCE.contains(&evidence)), "evidence {evidence:?}");
        ensure!(confidence.is_some_and(|confidence| CONFIDENCE.contains(&confidence)), "confidence {confidence:?}");
        let unix = self.text("network.transport") == Some("unix");
        for end in ["network.local", "network.peer"] {
            let (address, port) = (self.text(&format!("{end}.address")), self.number(&format!("{end}.port")));
            ensure!(unix || (address.is_some() && port.is_some()), "no {end}: {address:?} {port:?}");
        }
        for name in ["service.name", "service.instance.id", "host.id", "ip", "process.pid"] {
            ensure!(self.resource.contains_key(name), "a resource without {name}");
        }
        Ok(())
    }

    fn end(&self, name: &str) -> String {
        let address = self.text(&format!("{name}.address")).unwrap_or_default();
        match self.number(&format!("{name}.port")) {
            Some(port) if address.contains(':') => format!("[{address}]:{port}"),
            Some(port) => format!("{address}:{port}"),
            None => format!("unix:{address}"),
        }
    }
}

/// The spans in a file that may still be written to: a last line without its end is not looked at.
///
/// # Errors
/// A line is not an export request of well-formed spans.
pub fn read_file(path: &Path) -> Result<Vec<Span>> {
    let Ok(content) = fs::read_to_string(path) else {
        return Ok(Vec::new());
    };
    let mut spans = Vec::new();
    for line in content.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        spans.append(&mut read_line(line).with_context(|| format!("in the line {}", line.trim_end()))?);
    }
    Ok(spans)
}

/// The spans of one export request.
///
/// # Errors
/// It is not one, or a span is malformed.
pub fn read_line(line: &str) -> Result<Vec<Span>> {
    let request: Value = serde_json::from_str(line)?;
    let mut spans = Vec::new();
    for resource_spans in list(&request, "resourceSpans") {
        let resource = Arc::new(attributes(&resource_spans["resource"])?);
        for scope_spans in list(resource_spans, "scopeSpans") {
            for span in list(scope_spans, "spans") {
                spans.push(read_span(span, &resource)?);
            }
        }
    }
    ensure!(!spans.is_empty(), "no span");
    Ok(spans)
}

fn read_span(span: &Value, resource: &Arc<Attributes>) -> Result<Span> {
    let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let parsed = Span {
        trace_id: id(&span["traceId"], 32)?,
        span_id: id(&span["spanId"], 16)?,
        parent: if text("parentSpanId").is_empty() { None } else { Some(id(&span["parentSpanId"], 16)?) },
        kind: match span["kind"].as_u64() {
            Some(2) => Kind::Server,
            Some(3) => Kind::Client,
            _ => bail!("kind {}", span["kind"]),
        },
        name: text("name"),
        start_ns: whole(&span["startTimeUnixNano"])?,
        end_ns: whole(&span["endTimeUnixNano"])?,
        attributes: attributes(span)?,
        trace_state: text("traceState"),
        links: list(span, "links")
            .iter()
            .map(|link| Ok((id(&link["traceId"], 32)?, id(&link["spanId"], 16)?)))
            .collect::<Result<_>>()?,
        resource: Arc::clone(resource),
    };
    ensure!(parsed.start_ns <= parsed.end_ns, "a span ends before it starts");
    parsed.keeps_promises().with_context(|| format!("the span {span}"))?;
    Ok(parsed)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// Ids are in lower-case hex and never zero.
fn id(value: &Value, digits: usize) -> Result<String> {
    let text = value.as_str().unwrap_or_default();
    ensure!(text.len() == digits, "an id of {digits} digits: {value}");
    ensure!(text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "an id in lower-case hex: {value}");
    ensure!(text.bytes().any(|byte| byte != b'0'), "an id that is not zero: {value}");
    Ok(text.to_owned())
}

/// 64-bit numbers are decimal strings (protobuf's JSON mapping).
fn whole(value: &Value) -> Result<u64> {
    value.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("a 64-bit number as text: {value}"))
}

fn attributes(holder: &Value) -> Result<Attributes> {
    let mut found = Attributes::new();
    for attribute in list(holder, "attributes") {
        let name = attribute["key"].as_str().context("an attribute's key")?;
        let value = any_value(&attribute["value"]).with_context(|| format!("the attribute {name}"))?;
        ensure!(found.insert(name.to_owned(), value).is_none(), "the attribute {name} twice");
    }
    Ok(found)
}

fn any_value(value: &Value) -> Result<Value> {
    let (name, inner) = value.as_object().and_then(|object| object.iter().next()).context("a value")?;
    Ok(match name.as_str() {
        "stringValue" | "boolValue" | "doubleValue" => inner.clone(),
        "intValue" => whole(inner)?.into(),
        "arrayValue" => list(inner, "values").iter().map(any_value).collect::<Result<Vec<_>>>()?.into(),
        _ => bail!("a value of kind {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"process.pid","value":{"intValue":"7"}},
        {"key":"ip","value":{"arrayValue":{"values":[{"stringValue":"127.0.0.1"}]}}},
        {"key":"service.name","value":{"stringValue":"s"}},{"key":"service.instance.id","value":{"stringValue":"i"}},
        {"key":"host.id","value":{"stringValue":"h"}}]},"scopeSpans":[{"spans":[
        {"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"","name":"GET","kind":3,
        "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000000000001","attributes":[
        {"key":"network.local.address","value":{"stringValue":"::1"}},{"key":"network.local.port","value":{"intValue":"80"}},
        {"key":"network.transport","value":{"stringValue":"unix"}},
        {"key":"tracemend.link.evidence","value":{"stringValue":"root"}},
        {"key":"tracemend.link.confidence","value":{"stringValue":"none"}},
        {"key":"url.full","value":{"stringValue":"http://localhost:80/a/b"}}],"links":[]}]}]}]}"#;

    #[test]
    fn a_request_is_read_with_its_resource() {
        let spans = read_line(LINE).expect("a request");
        assert_eq!(spans.len(), 1);
        let span = &spans[0];
        assert_eq!((span.pid(), span.kind, span.parent.as_deref()), (Some(7), Kind::Client, None));
        assert_eq!((span.local().as_str(), span.peer().as_str(), span.path()), ("[::1]:80", "unix:", "/a/b"));
    }

    #[test]
    fn what_is_malformed_or_missing_is_refused() {
        for (good, bad) in [
            ("0af7651916cd43dd8448eb211c80319c", "0AF7651916CD43DD8448EB211C80319C"),
            ("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            ("b7ad6b7169203331", "t61rcWkgMzE="),
            ("\"1700000000000000000\"", "1700000000000000000"),
            ("\"1700000000000000001\"", "\"1600000000000000000\""),
            ("{\"intValue\":\"7\"}", "{\"intValue\":7}"),
            ("\"root\"", "\"guess\""),
            ("\"tracemend.link.confidence\"", "\"confidence\""),
            ("\"unix\"", "\"tcp\""),
            ("\"host.id\"", "\"host\""),
        ] {
            assert!(read_line(&LINE.replace(good, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unfinished_last_line_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("spans");
        let line = LINE.replace('\n', "");
        fs::write(&file, format!("{line}\n{}", &line[..100])).expect("a file");
        assert_eq!(read_file(&file).expect("spans").len(), 1);
    }
}
