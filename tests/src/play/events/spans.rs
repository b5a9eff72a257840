//! Spans of the core as they look when they are exported.

use std::sync::Arc;

use serde_json::Value;
use tracemend_core::decode::Address;
use tracemend_core::span;

use crate::otlp::{Attributes, Kind, Span};

/// A span as it is read from what the agent exports.
pub(super) fn exported(span: &span::Span) -> Span {
    Span {
        trace_id: span.trace_id.to_string(),
        span_id: span.span_id.to_string(),
        parent: span.parent.map(|parent| parent.to_string()),
        kind: match span.kind {
            span::Kind::Client => Kind::Client,
            span::Kind::Server => Kind::Server,
        },
        name: span.name.to_owned(),
        start_ns: span.start.0,
        end_ns: span.end.0,
        attributes: span.attributes.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect(),
        trace_state: span.tracestate.to_string(),
        links: span.links.iter().map(|link| (link.trace_id.to_string(), link.span_id.to_string())).collect(),
        resource: Arc::new(Attributes::new()),
    }
}

/// An end of a connection, as [`Span::local`] writes it.
pub(super) fn end(address: &Address) -> String {
    match address {
        Address::Unknown => "unix:".to_owned(),
        Address::Inet(ip, port) => std::net::SocketAddr::new(ip.to_canonical(), *port).to_string(),
        Address::Unix(path) => format!("unix:{path}"),
    }
}

fn json(value: &span::Value) -> Value {
    match value {
        span::Value::String(text) => text.to_string().into(),
        span::Value::Int(number) => (*number).into(),
        span::Value::Bool(truth) => (*truth).into(),
        span::Value::Strings(texts) => texts.clone().into(),
    }
}
