//! A span as it was read back, from a file of OTLP JSON lines or from Jaeger.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Values of a span or a resource, each as OTLP JSON writes it (`{"stringValue": ...}`).
pub(super) type Attributes = BTreeMap<String, Value>;

/// OpenTelemetry span kind, of those that occur here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
}

impl Kind {
    /// By its name in Jaeger's tag `span.kind`; what is not named is internal.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "server" => Self::Server,
            "client" => Self::Client,
            _ => Self::Internal,
        }
    }

    /// By its number in OTLP.
    fn numbered(number: u64) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            _ => Self::Internal,
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
        }
    }
}

/// The span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// 32 hexadecimal digits.
    pub(super) trace: String,
    /// 16 hexadecimal digits.
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) error: bool,
    pub(super) attributes: Attributes,
    pub(super) resource: Attributes,
    /// Jaeger's complaints.
    pub(super) warnings: Vec<String>,
}

impl Span {
    /// An attribute of the span as text.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.attributes.get(key).and_then(text)
    }

    /// `service.name`.
    pub(super) fn service(&self) -> String {
        self.resource.get("service.name").and_then(text).unwrap_or_default()
    }

    /// `process.pid`.
    pub(super) fn pid(&self) -> Option<u32> {
        self.resource.get("process.pid").and_then(text)?.parse().ok()
    }

    /// For messages: "client span of shop".
    pub(super) fn describe(&self) -> String {
        let kind = format!("{:?}", self.kind).to_lowercase();
        format!("the {kind} span {} of {}", self.id, self.service())
    }

    /// One export request with this span alone, as a line of OTLP JSON.
    pub(super) fn to_line(&self) -> String {
        let mut span = json!({
            "traceId": self.trace, "spanId": self.id, "name": self.name, "kind": self.kind.number(),
            "startTimeUnixNano": self.start.to_string(), "endTimeUnixNano": self.end.to_string(),
            "attributes": list(&self.attributes),
            "status": if self.error { json!({"code": 2}) } else { json!({}) },
        });
        if let Some(parent) = &self.parent {
            span["parentSpanId"] = json!(parent);
        }
        json!({"resourceSpans": [{"resource": {"attributes": list(&self.resource)}, "scopeSpans": [{"spans": [span]}]}]})
            .to_string()
    }
}

/// Every span of a file of OTLP JSON lines. A last line without its end is not whole yet, and left out.
pub(super) fn parse_lines(text: &str) -> Result<Vec<Span>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut spans = Vec::new();
    for (number, line) in (1..).zip(whole.lines()).filter(|(_, line)| !line.is_empty()) {
        let request: Value = serde_json::from_str(line).with_context(|| format!("line {number} is not JSON"))?;
        for resource_spans in array(&request["resourceSpans"]) {
            let resource = attributes(&resource_spans["resource"]["attributes"]);
            for scope_spans in array(&resource_spans["scopeSpans"]) {
                for span in array(&scope_spans["spans"]) {
                    spans.push(parse_span(span, &resource).with_context(|| format!("line {number}: {span}"))?);
                }
            }
        }
    }
    Ok(spans)
}

fn parse_span(span: &Value, resource: &Attributes) -> Result<Span> {
    let string = |key: &str| span[key].as_str().map(str::to_owned);
    let required = |key: &str| string(key).with_context(|| format!("a span without {key}"));
    let time = |key: &str| required(key)?.parse().with_context(|| format!("{key} is no number"));
    Ok(Span {
        trace: required("traceId")?,
        id: required("spanId")?,
        parent: string("parentSpanId").filter(|id| !id.is_empty()),
        name: string("name").unwrap_or_default(),
        kind: Kind::numbered(span["kind"].as_u64().unwrap_or(0)),
        start: time("startTimeUnixNano")?,
        end: time("endTimeUnixNano")?,
        error: span["status"]["code"] == 2,
        attributes: attributes(&span["attributes"]),
        resource: resource.clone(),
        warnings: Vec::new(),
    })
}

/// The elements of an array, none if it is absent.
pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn attributes(list: &Value) -> Attributes {
    let pair = |item: &Value| Some((item["key"].as_str()?.to_owned(), item["value"].clone()));
    array(list).iter().filter_map(pair).collect()
}

fn list(attributes: &Attributes) -> Value {
    attributes.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// A value of OTLP JSON as text; its integers are strings.
fn text(value: &Value) -> Option<String> {
    let inner = value.as_object()?.values().next()?;
    Some(inner.as_str().map_or_else(|| inner.to_string(), str::to_owned))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A span of process `pid` from `start` to `end`, in trace "t".
    pub(in crate::demo) fn span(
        id: &str,
        parent: Option<&str>,
        kind: Kind,
        pid: u32,
        (start, end): (u64, u64),
    ) -> Span {
        Span {
            trace: "t".into(),
            id: id.into(),
            parent: parent.map(str::to_owned),
            name: "GET".into(),
            kind,
            start,
            end,
            error: false,
            attributes: Attributes::new(),
            resource: Attributes::from([("process.pid".into(), json!({"intValue": pid.to_string()}))]),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_line_says_the_same_when_read_back() {
        let mut span = span("b", Some("a"), Kind::Client, 7, (1, 2));
        span.error = true;
        span.attributes.insert("network.peer.port".into(), json!({"intValue": "80"}));
        let read = parse_lines(&format!("{}\n", span.to_line())).expect("valid");
        assert_eq!(read, [span]);
        assert_eq!((read[0].pid(), read[0].text("network.peer.port").as_deref()), (Some(7), Some("80")));
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_out() {
        let line = span("a", None, Kind::Server, 7, (1, 2)).to_line();
        assert_eq!(parse_lines(&format!("{line}\n{}", &line[..20])).expect("valid").len(), 1);
        assert_eq!(parse_lines(&line).expect("valid"), []);
        assert!(parse_lines("{\n").is_err());
    }

    #[test]
    fn many_resources_in_one_line_and_an_empty_parent_are_read() {
        let line = r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"spans":[
            {"traceId":"t","spanId":"a","parentSpanId":"","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]},
            {"scopeSpans":[{"spans":[{"traceId":"t","spanId":"b","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
        let spans = parse_lines(&format!("{}\n", line.replace('\n', ""))).expect("valid");
        assert_eq!(
            spans.iter().map(|s| (s.id.as_str(), s.parent.is_none())).collect::<Vec<_>>(),
            [("a", true), ("b", true)]
        );
    }
}
