//! The span the demo makes of its own request: an instrumented program's, which the agent's spans hang under.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan, span::SpanKind};
use prost::Message;
use serde_json::json;

use super::span::{Attributes, Kind, Span};
use crate::http;

/// Service name of the demo's own process.
pub(super) const SERVICE: &str = "demo";

/// Its root span while it is open.
pub(super) struct Root {
    trace: [u8; 16],
    id: [u8; 8],
    start: u64,
}

impl Root {
    /// Starts it now, with random ids.
    pub(super) fn start() -> Result<Self> {
        let mut root = Self { trace: [0; 16], id: [0; 8], start: now()? };
        let mut random = fs::File::open("/dev/urandom").context("no random numbers")?;
        random.read_exact(&mut root.trace)?;
        random.read_exact(&mut root.id)?;
        // All zeros is no id (W3C Trace Context 3.2.2).
        root.trace[0] |= 1;
        root.id[0] |= 1;
        Ok(root)
    }

    /// The header that names it as the parent, sampled.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", hex(&self.trace), hex(&self.id))
    }

    /// Ends it now.
    pub(super) fn end(self) -> Result<Ended> {
        let end = now()?;
        Ok(Ended { root: self, end })
    }
}

/// The finished root span.
pub(super) struct Ended {
    root: Root,
    end: u64,
}

impl Ended {
    /// As the agent's are read back.
    pub(super) fn span(&self) -> Span {
        let resource = resource().into_iter().map(|(key, value)| (key.to_owned(), json!({"stringValue": value})));
        Span {
            trace: hex(&self.root.trace),
            id: hex(&self.root.id),
            parent: None,
            name: SERVICE.to_owned(),
            kind: Kind::Internal,
            start: self.root.start,
            end: self.end,
            error: false,
            attributes: Attributes::new(),
            resource: resource.collect(),
            warnings: Vec::new(),
        }
    }

    /// Sends it to an OTLP receiver as http/protobuf, with the headers of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub(super) fn export(&self, endpoint: &str) -> Result<()> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let mut request = http::client().post(&url).header("Content-Type", "application/x-protobuf");
        let headers = std::env::var("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        for (name, value) in headers.split(',').filter_map(|pair| pair.split_once('=')) {
            request = request.header(name.trim(), value.trim());
        }
        let response =
            request.send(&self.encode()[..]).with_context(|| format!("cannot send the root span to {url}"))?;
        ensure!(response.status().is_success(), "{url} refused the root span: {}", response.status());
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let span = WireSpan {
            trace_id: self.root.trace.to_vec(),
            span_id: self.root.id.to_vec(),
            name: SERVICE.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: self.root.start,
            end_time_unix_nano: self.end,
            ..WireSpan::default()
        };
        let attribute = |(key, value): (&str, String)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
            ..KeyValue::default()
        };
        let resource = Resource { attributes: resource().into_iter().map(attribute).collect(), ..Resource::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}

fn resource() -> BTreeMap<&'static str, String> {
    let mut resource = BTreeMap::from([("service.name", SERVICE.to_owned())]);
    // Not every machine has one.
    if let Ok(id) = fs::read_to_string("/etc/machine-id") {
        resource.insert("host.id", id.trim().to_owned());
    }
    resource
}

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    u64::try_from(since.as_nanos()).context("the clock is beyond 2554")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_and_both_exports_name_the_same_span() {
        let root = Root::start().expect("random numbers");
        let header = root.traceparent();
        let ended = root.end().expect("a clock");
        let span = ended.span();
        assert_eq!(header, format!("00-{}-{}-01", span.trace, span.id));
        let request = ExportTraceServiceRequest::decode(ended.encode().as_slice()).expect("valid");
        let wire = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((hex(&wire.trace_id), hex(&wire.span_id)), (span.trace.clone(), span.id.clone()));
        assert_eq!((wire.start_time_unix_nano, wire.end_time_unix_nano), (span.start, span.end));
        assert_eq!((span.trace.len(), span.id.len()), (32, 16));
        assert!(span.start <= span.end);
    }
}
