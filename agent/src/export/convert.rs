//! Spans into OTLP messages.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus};
use tracemend_core::decode::Process;
use tracemend_core::ids::SpanId;
use tracemend_core::span::{Attribute, Kind, Span, Status, Value};

use super::queue::Stamped;

/// Name of the instrumentation scope of every span.
const SCOPE: &str = "tracemend";

/// W3C trace flag: what is exported was sampled.
const SAMPLED: u32 = 0x01;
/// OTLP span flags (`SpanFlags` in trace.proto): whether the parent is in another process is known, and it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// One request for all spans, with a resource for each process.
#[must_use]
pub fn request(spans: Vec<Stamped>) -> ExportTraceServiceRequest {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    // A process that replaced its program has a new `Arc`, so the address tells apart what one request must.
    let mut place: HashMap<*const Process, usize> = HashMap::new();
    for Stamped { span, offset_ns } in spans {
        let at = *place.entry(Arc::as_ptr(&span.process)).or_insert_with(|| {
            resource_spans.push(of_process(&span.process));
            resource_spans.len() - 1
        });
        resource_spans[at].scope_spans[0].spans.push(of_span(span, offset_ns));
    }
    ExportTraceServiceRequest { resource_spans }
}

/// What a request says of a process before its spans: its resource, and the scope they go into.
pub(super) fn of_process(process: &Process) -> ResourceSpans {
    let attributes = process.resource.iter().map(|(name, value)| key_value(name, resource_value(name, value)));
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes: attributes.collect(), ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// Kind, flags and status of a span, as OTLP numbers them.
pub(super) fn numbers(span: &Span) -> (SpanKind, u32, StatusCode) {
    let (kind, remote) = match span.kind {
        Kind::Client => (SpanKind::Client, 0),
        Kind::Server if span.parent.is_some() => (SpanKind::Server, IS_REMOTE),
        Kind::Server => (SpanKind::Server, 0),
    };
    let code = match span.status {
        Status::Unset => StatusCode::Unset,
        Status::Error => StatusCode::Error,
    };
    (kind, SAMPLED | HAS_IS_REMOTE | remote, code)
}

fn of_span(span: Span, offset_ns: i64) -> OtlpSpan {
    let (kind, flags, code) = numbers(&span);
    let links = span.links.into_iter().map(|link| Link {
        trace_id: link.trace_id.0.to_vec(),
        span_id: link.span_id.0.to_vec(),
        attributes: key_values(link.attributes),
        ..Link::default()
    });
    OtlpSpan {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        trace_state: span.tracestate.into(),
        parent_span_id: span.parent.map_or_else(Vec::new, |SpanId(id)| id.to_vec()),
        flags,
        name: span.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.start.0.saturating_add_signed(offset_ns),
        end_time_unix_nano: span.end.0.saturating_add_signed(offset_ns),
        attributes: key_values(span.attributes),
        links: links.collect(),
        status: Some(OtlpStatus { code: code.into(), ..OtlpStatus::default() }),
        ..OtlpSpan::default()
    }
}

/// The core keeps resource attributes as text; the conventions make these numbers.
fn resource_value(name: &str, value: &str) -> any_value::Value {
    let number = matches!(name, "process.pid" | "process.parent_pid").then(|| value.parse().ok()).flatten();
    number.map_or_else(|| any_value::Value::StringValue(value.to_owned()), any_value::Value::IntValue)
}

fn key_values(attributes: Vec<Attribute>) -> Vec<KeyValue> {
    attributes.into_iter().map(|(name, value)| key_value(name, any(value))).collect()
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn any(value: Value) -> any_value::Value {
    match value {
        Value::String(text) => any_value::Value::StringValue(text.into()),
        Value::Int(number) => any_value::Value::IntValue(number),
        Value::Bool(truth) => any_value::Value::BoolValue(truth),
        Value::Strings(texts) => {
            let text = |text| AnyValue { value: Some(any_value::Value::StringValue(text)) };
            any_value::Value::ArrayValue(ArrayValue { values: texts.into_iter().map(text).collect() })
        }
    }
}
