//! What one line shows, wherever the span came from.

use std::fmt::Write as _;

use tracemend_core::span::{Kind, Span, Status, Value, names};

use super::text::clean;

/// One span of a waterfall: of the agent, or read back from a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Trace id in hex.
    pub trace_id: String,
    /// Span id in hex.
    pub span_id: String,
    /// Span id of the parent in hex.
    pub parent: Option<String>,
    /// `service.name` of its resource.
    pub service: String,
    /// Span name.
    pub name: String,
    /// What the name leaves out: the path of a request, the host and path of a call.
    pub detail: String,
    /// Which end of an exchange; none for a span that is neither.
    pub kind: Option<Kind>,
    /// Start, in nanoseconds of any one clock.
    pub start_ns: u64,
    /// Duration in nanoseconds.
    pub duration_ns: u64,
    /// Status code or error type.
    pub status: String,
    /// It failed.
    pub error: bool,
    /// `tracemend.link.evidence`.
    pub evidence: Option<String>,
    /// `tracemend.link.confidence`.
    pub confidence: Option<String>,
    /// `tracemend.link.orphan_reason`.
    pub orphan_reason: Option<String>,
}

impl Row {
    pub(super) const fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    pub(super) fn is_call(&self) -> bool {
        self.kind == Some(Kind::Client)
    }

    /// How the link to the parent is known.
    pub(super) fn link(&self) -> String {
        match (&self.orphan_reason, self.evidence.as_deref(), &self.confidence) {
            (Some(reason), _, _) => format!("orphan: {}", clean(reason)),
            (None, Some(evidence @ ("root" | "none")), _) => evidence.to_owned(),
            (None, Some(evidence), Some(confidence)) => {
                format!("<- {}, {}", clean(evidence), clean(confidence))
            }
            (None, Some(evidence), None) => format!("<- {}", clean(evidence)),
            (None, None, _) => String::new(),
        }
    }

    /// `service GET /path`, and `service → GET host/path` of a call.
    pub(super) fn label(&self) -> String {
        let arrow = if self.is_call() { "→ " } else { "" };
        let mut label = format!("{} {arrow}{}", self.service, self.name);
        if !self.detail.is_empty() {
            let _ = write!(label, " {}", self.detail);
        }
        clean(&label)
    }
}

impl From<&Span> for Row {
    fn from(span: &Span) -> Self {
        let text = |name: &str| match attribute(span, name) {
            Some(Value::String(text)) => Some(text.to_string()),
            _ => None,
        };
        let status = match attribute(span, names::STATUS_CODE) {
            Some(Value::Int(code)) => Some(code.to_string()),
            _ => None,
        };
        let service = span.process.resource.iter().find(|(name, _)| name == "service.name");
        let detail = match span.kind {
            Kind::Server => text(names::URL_PATH),
            Kind::Client => {
                text(names::URL_FULL).map(|url| url.split_once("//").map_or(url.clone(), |(_, rest)| rest.to_owned()))
            }
        };
        Self {
            trace_id: span.trace_id.to_string(),
            span_id: span.span_id.to_string(),
            parent: span.parent.map(|parent| parent.to_string()),
            service: service.map_or_else(|| span.process.executable.clone(), |(_, value)| value.clone()),
            name: span.name.to_owned(),
            detail: detail.unwrap_or_default(),
            kind: Some(span.kind),
            start_ns: span.start.0,
            duration_ns: span.end.since(span.start),
            status: status.or_else(|| text(names::ERROR_TYPE)).unwrap_or_default(),
            error: span.status == Status::Error,
            evidence: text(names::EVIDENCE),
            confidence: text(names::CONFIDENCE),
            orphan_reason: text(names::ORPHAN_REASON),
        }
    }
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}
