//! A real Jaeger, and traces read back over its API.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::Process;
use crate::scene::Scene;
use crate::target::{Target, free_port};
use crate::wait;

/// Names the Jaeger binary; `cargo xtask test` sets it where Go is there to build one.
pub const VARIABLE: &str = "TRACEMEND_JAEGER";

/// Its start takes one to three seconds, more on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Why there is no Jaeger, or where it is.
///
/// # Errors
/// The reason.
pub fn binary() -> Result<PathBuf, String> {
    let path = env::var_os(VARIABLE).map(PathBuf::from);
    path.filter(|path| path.is_file())
        .ok_or_else(|| format!("{VARIABLE} names no Jaeger (`cargo xtask test` builds one where Go is)"))
}

/// A running Jaeger with its traces in memory, on ports of its own.
#[derive(Debug)]
pub struct Jaeger {
    /// Its process.
    pub process: Process,
    query: Target,
    otlp_grpc_port: u16,
    otlp_http_port: u16,
}

impl Jaeger {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(scene: &Scene, binary: PathBuf) -> Result<Self> {
        let query = Target::ipv4()?;
        let (otlp_grpc_port, otlp_http_port, query_grpc) = (free_port()?, free_port()?, free_port()?);
        let configuration = CONFIGURATION
            .replace("@QUERY@", &query.to_string())
            .replace("@QUERY_GRPC@", &format!("127.0.0.1:{query_grpc}"))
            .replace("@OTLP_GRPC@", &format!("127.0.0.1:{otlp_grpc_port}"))
            .replace("@OTLP_HTTP@", &format!("127.0.0.1:{otlp_http_port}"));
        let file = scene.path("jaeger.yaml");
        fs::write(&file, configuration)?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(file);
        // It traces itself, and would send that to whoever listens on the usual port.
        command.env("OTEL_TRACES_SAMPLER", "always_off");
        let mut process = Process::serving("jaeger", &mut command, &query)?;
        let receiver = Target::Tcp((Ipv4Addr::LOCALHOST, otlp_grpc_port).into());
        wait::until("Jaeger takes spans", START_LIMIT, || {
            process.check()?;
            Ok(receiver.connect().ok().map(drop))
        })?;
        Ok(Self { process, query, otlp_grpc_port, otlp_http_port })
    }

    /// Where it takes OTLP over gRPC.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp_grpc_port)
    }

    /// Where it takes OTLP over HTTP.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp_http_port)
    }

    /// The trace with this id, once it has `spans` spans.
    ///
    /// # Errors
    /// It does not within `limit`.
    pub fn trace(&self, id: &str, spans: usize, limit: Duration) -> Result<Vec<JaegerSpan>> {
        wait::until(&format!("Jaeger has {spans} spans of {id}"), limit, || {
            let (status, body) = fetch(&self.query, &format!("/api/traces/{id}"))?;
            if status == 404 {
                return Ok(None);
            }
            ensure!(status == 200, "status {status} for the trace {id}");
            let answer: Value = serde_json::from_slice(&body)?;
            let found = read_trace(&answer["data"][0])?;
            Ok(Some(found).filter(|found| found.len() >= spans))
        })
    }

    /// The traces that a service has part in, once there are `count`.
    ///
    /// # Errors
    /// There are not within `limit`, or there are more.
    pub fn traces(&self, service: &str, count: usize, limit: Duration) -> Result<Vec<Vec<JaegerSpan>>> {
        let found = self.traces_or_more(service, count, limit)?;
        ensure!(found.len() == count, "{} traces of {service}, not {count}", found.len());
        Ok(found)
    }

    /// The traces that a service has part in, once there are `count` or more.
    ///
    /// # Errors
    /// There are not within `limit`.
    pub fn traces_or_more(&self, service: &str, count: usize, limit: Duration) -> Result<Vec<Vec<JaegerSpan>>> {
        let path = format!("/api/traces?service={service}&limit={}", 10 * count);
        let found = wait::until(&format!("Jaeger has {count} traces of {service}"), limit, || {
            let answer = self.ask(&path)?;
            let traces = answer["data"].as_array().context("data")?;
            Ok((traces.len() >= count).then(|| traces.clone()))
        })?;
        found.iter().map(read_trace).collect()
    }

    /// The trace with a span of a service that has this tag with this one value, once there is one. The tag is a list, as
    /// header fields are by the semantic conventions; Jaeger keeps a list as the text `["value"]`.
    ///
    /// # Errors
    /// There is none within `limit`, or there are several.
    pub fn tagged(&self, service: &str, name: &str, value: &str, limit: Duration) -> Result<Vec<JaegerSpan>> {
        let path =
            format!("/api/traces?service={service}&limit=10&tags=%7B%22{name}%22:%22%5B%5C%22{value}%5C%22%5D%22%7D");
        let found = wait::until(&format!("Jaeger finds {name}={value}"), limit, || {
            let answer = self.ask(&path)?;
            let traces = answer["data"].as_array().context("data")?;
            Ok((!traces.is_empty()).then(|| traces.clone()))
        })?;
        ensure!(found.len() == 1, "{} traces with {name}={value}", found.len());
        read_trace(&found[0])
    }

    /// Every service it has spans of, sorted.
    ///
    /// # Errors
    /// It does not answer.
    pub fn services(&self) -> Result<Vec<String>> {
        let answer = self.ask("/api/services")?;
        let mut names: Vec<String> = serde_json::from_value(answer["data"].clone())?;
        names.sort();
        Ok(names)
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let (status, body) = fetch(&self.query, path)?;
        ensure!(status == 200, "status {status} for {path}");
        Ok(serde_json::from_slice(&body)?)
    }
}

/// A span as Jaeger gives it.
#[derive(Clone, Debug)]
pub struct JaegerSpan {
    /// Span id.
    pub span_id: String,
    /// The span id of its CHILD_OF reference.
    pub parent: Option<String>,
    /// `operationName`.
    pub name: String,
    /// Service of its process.
    pub service: String,
    /// `ip` of its process: clocks of one address are not corrected.
    pub ip: Option<String>,
    /// `span.kind`.
    pub kind: String,
    /// `tracemend.link.evidence`.
    pub evidence: String,
    /// `tracemend.http.time_to_first_byte_ns`, in microseconds.
    pub first_byte_us: Option<u64>,
    /// Start in microseconds since the epoch.
    pub start_us: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// What Jaeger thinks is wrong with it.
    pub warnings: Vec<String>,
}

/// Status and body of a GET. In HTTP/1.0, where an answer simply ends.
fn fetch(target: &Target, path: &str) -> Result<(u16, Vec<u8>)> {
    /// The longest answer read.
    const ANSWER_BYTES_MAX: u64 = 64 << 20;
    let mut stream = target.connect()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(&answer)? else { bail!("an answer without a whole head") };
    let status = head.code.context("a status")?;
    Ok((status, answer.split_off(length)))
}

fn read_trace(trace: &Value) -> Result<Vec<JaegerSpan>> {
    ensure!(trace["warnings"].is_null(), "the trace is warned of: {}", trace["warnings"]);
    let spans = trace["spans"].as_array().context("spans")?;
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let value = |holder: &Value, name: &str| {
        holder["tags"].as_array()?.iter().find(|tag| tag["key"] == name).map(|tag| tag["value"].clone())
    };
    let tag = |holder: &Value, name: &str| value(holder, name).and_then(|value| text(&value));
    let first_byte_ns = |span: &Value| value(span, "tracemend.http.time_to_first_byte_ns").and_then(|ns| ns.as_u64());
    spans
        .iter()
        .map(|span| {
            let references = span["references"].as_array().map_or(&[][..], Vec::as_slice);
            let process = &trace["processes"][span["processID"].as_str().context("processID")?];
            Ok(JaegerSpan {
                span_id: text(&span["spanID"]).context("spanID")?,
                parent: references.iter().find(|one| one["refType"] == "CHILD_OF").and_then(|one| text(&one["spanID"])),
                name: text(&span["operationName"]).context("operationName")?,
                service: text(&process["serviceName"]).context("serviceName")?,
                ip: tag(process, "ip"),
                kind: tag(span, "span.kind").unwrap_or_default(),
                evidence: tag(span, "tracemend.link.evidence").unwrap_or_default(),
                first_byte_us: first_byte_ns(span).map(|ns| ns / 1000),
                start_us: span["startTime"].as_u64().context("startTime")?,
                duration_us: span["duration"].as_u64().context("duration")?,
                warnings: span["warnings"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(text).collect(),
            })
        })
        .collect()
}

/// Jaeger's all-in-one, less the receivers that are not used, on ports that are free.
const CONFIGURATION: &str = "\
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: { receivers: [otlp], exporters: [jaeger_storage_exporter] }
  telemetry:
    metrics: { level: none }
    logs: { level: warn }
extensions:
  jaeger_query:
    storage: { traces: memory }
    http: { endpoint: '@QUERY@' }
    grpc: { endpoint: '@QUERY_GRPC@' }
  jaeger_storage: { backends: { memory: { memory: { max_traces: 100000 } } } }
receivers:
  otlp: { protocols: { grpc: { endpoint: '@OTLP_GRPC@' }, http: { endpoint: '@OTLP_HTTP@' } } }
exporters:
  jaeger_storage_exporter: { trace_storage: memory }
";

#[cfg(test)]
mod tests {
    use super::*;

    /// As Jaeger 2.13 answered, less what is not read.
    const ANSWER: &str = r#"{"data":[{"spans":[
        {"spanID":"b7ad6b7169203332","operationName":"GET","references":[{"refType":"FOLLOWS_FROM","spanID":"b7ad6b7169203399"},
        {"refType":"CHILD_OF","spanID":"b7ad6b7169203331"}],"startTime":1795733230001000,"duration":3000,"processID":"p1",
        "warnings":["invalid parent span IDs=b7ad6b7169203331; skipping clock skew adjustment"]},
        {"spanID":"b7ad6b7169203331","operationName":"GET","references":[],"startTime":1795733230000000,"duration":5000,
        "processID":"p1","warnings":null}],"processes":{"p1":{"serviceName":"svc","tags":[{"key":"ip","type":"string","value":"192.0.2.1"}]}},"warnings":null}]}"#;

    #[test]
    fn a_trace_is_read_with_its_warnings() {
        let answer: Value = serde_json::from_str(ANSWER).expect("JSON");
        let spans = read_trace(&answer["data"][0]).expect("a trace");
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].parent.as_deref(), spans[0].warnings.len()), (Some("b7ad6b7169203331"), 1));
        assert_eq!((spans[1].parent.as_deref(), spans[1].warnings.len()), (None, 0));
        assert_eq!((spans[1].service.as_str(), spans[1].duration_us), ("svc", 5000));
        assert_eq!(spans[1].ip.as_deref(), Some("192.0.2.1"));
    }
}
