//! Spans as lines that can be compared and reviewed: everything of a span on one, and each resource once.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use tracemend::export::Stamped;
use tracemend_core::ids::BootNanos;
use tracemend_core::span::{Attribute, Span, Value, names};

pub(crate) fn of(spans: &[Stamped]) -> String {
    let mut told = HashSet::new();
    let mut text = String::new();
    for Stamped { span, offset_ns } in spans {
        if told.insert(Arc::as_ptr(&span.process)) {
            text.push_str("resource");
            span.process.resource.iter().for_each(|(name, value)| attribute(&mut text, name, &format!("{value:?}")));
            text.push('\n');
        }
        line(&mut text, span, *offset_ns);
    }
    text
}

/// Only what links spans: of each its process, its ids, its parent and links, and how they are known.
pub(crate) fn links(spans: &[Stamped]) -> String {
    let mut text = String::new();
    for Stamped { span, .. } in spans {
        let parent = span.parent.map_or_else(|| "none".to_owned(), |parent| parent.to_string());
        _ = write!(text, "{} {:?} {:?} ", process(span), span.kind, span.name);
        _ = write!(text, "{} of {} parent {parent}", span.span_id, span.trace_id);
        for name in [names::EVIDENCE, names::CONFIDENCE, names::ORPHAN_REASON, names::CONFLICT] {
            let known = span.attributes.iter().filter(|(other, _)| *other == name);
            known.for_each(|(_, known)| _ = write!(text, ", {}", value(known)));
        }
        span.links.iter().for_each(|link| _ = write!(text, " link {} of {}", link.span_id, link.trace_id));
        text.push('\n');
    }
    text
}

fn process(span: &Span) -> &str {
    let service = span.process.resource.iter().find(|(name, _)| name == "service.instance.id");
    service.map_or("", |(_, id)| id.split('@').next().unwrap_or(id))
}

fn line(text: &mut String, span: &Span, offset_ns: i64) {
    let unix = |time: BootNanos| time.0.saturating_add_signed(offset_ns);
    let parent = span.parent.map_or_else(|| "none".to_owned(), |parent| parent.to_string());
    let (kind, status) = (span.kind, span.status);
    // A string takes every write.
    _ = write!(text, "span {} of {} parent {parent} {kind:?} {:?}", span.span_id, span.trace_id, span.name);
    _ = write!(text, " {}-{} {status:?}", unix(span.start), unix(span.end));
    _ = write!(text, " sampled={:?} tracestate={:?}", span.sampled, span.tracestate);
    attributes(text, &span.attributes);
    for link in &span.links {
        _ = write!(text, " link {} of {}", link.span_id, link.trace_id);
        attributes(text, &link.attributes);
    }
    text.push('\n');
}

fn attributes(text: &mut String, attributes: &[Attribute]) {
    attributes.iter().for_each(|(name, known)| attribute(text, name, &value(known)));
}

fn value(value: &Value) -> String {
    match value {
        Value::String(value) => format!("{value:?}"),
        Value::Int(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Strings(values) => format!("{values:?}"),
    }
}

fn attribute(text: &mut String, name: &str, value: &str) {
    _ = write!(text, " {name}={value}");
}
