//! The agent's own metrics over OTLP, where OpenTelemetry's usual variables ask for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::runtime::Handle;
use tonic::metadata::MetadataMap;

use crate::export::otlp::{self, Config, Http, Protocol, Signal};
use crate::export::{EnvError, Lookup};

/// One counter, `agent_<stage>_<what>_<unit>_total`, with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Name.
    pub name: &'static str,
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value since the agent started.
    pub value: u64,
}

impl Reading {
    /// A counter without labels.
    #[must_use]
    pub const fn new(name: &'static str, value: u64) -> Self {
        Self { name, labels: Vec::new(), value }
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

/// Reads all counters of the agent. Every name is there from the first call on: what it leaves out then is never sent.
pub type Registry = Arc<dyn Fn() -> Vec<Reading> + Send + Sync>;

/// Metrics that cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable is not understood.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The metrics exporter refused its configuration.
    #[error("cannot build the metrics exporter: {0}")]
    Build(#[from] ExporterBuildError),
}

/// Sends the agent's own metrics until it is shut down.
#[derive(Debug)]
pub struct Telemetry(SdkMeterProvider);

impl Telemetry {
    /// Starts it if `OTEL_METRICS_EXPORTER` is `otlp` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is set; otherwise nothing
    /// is sent. Connections live on `runtime`. Sent each `OTEL_METRIC_EXPORT_INTERVAL` (60 s).
    ///
    /// # Errors
    /// A variable that is not understood.
    pub fn start(lookup: Lookup<'_>, runtime: &Handle, registry: &Registry) -> Result<Option<Self>, TelemetryError> {
        if !is_wanted(lookup)? {
            return Ok(None);
        }
        let config = Config::from_env(Signal::Metrics, lookup)?;
        let provider = SdkMeterProvider::builder()
            .with_resource(Resource::builder().with_service_name(service_name(lookup)).build())
            .with_periodic_exporter(exporter(&config, runtime)?)
            .build();
        observe(&provider, registry);
        Ok(Some(Self(provider)))
    }

    /// Sends the last values, for at most `limit`, and stops.
    pub fn shutdown(self, limit: Duration) {
        if let Err(error) = self.0.shutdown_with_timeout(limit) {
            tracing::warn!(%error, "the agent's last metrics were not sent");
        }
    }
}

fn is_wanted(lookup: Lookup<'_>) -> Result<bool, EnvError> {
    const VARIABLE: &str = "OTEL_METRICS_EXPORTER";
    let set = |variable: &str| lookup(variable).filter(|value| !value.trim().is_empty());
    match set(VARIABLE).as_deref().map(str::trim) {
        None => Ok(set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").is_some()),
        Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(EnvError::value(VARIABLE, other, "otlp or none")),
    }
}

fn service_name(lookup: Lookup<'_>) -> String {
    lookup("OTEL_SERVICE_NAME").filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "tracemend".to_owned())
}

fn exporter(config: &Config, runtime: &Handle) -> Result<MetricExporter, ExporterBuildError> {
    let _inside = runtime.enter();
    match config.protocol {
        Protocol::Grpc => {
            let mut builder = MetricExporter::builder()
                .with_tonic()
                .with_channel(otlp::channel(config))
                .with_metadata(MetadataMap::from_headers(config.headers.clone()))
                .with_timeout(config.timeout);
            if config.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build()
        }
        Protocol::HttpProtobuf => {
            let client = OnRuntime { runtime: runtime.clone(), http: Http::new(config) };
            let mut builder = MetricExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_endpoint(config.endpoint.to_string())
                .with_timeout(config.timeout);
            if config.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build()
        }
    }
}

/// One instrument for each name. The registry is read once for all instruments of a collection.
fn observe(provider: &SdkMeterProvider, registry: &Registry) {
    let meter = provider.meter("tracemend");
    let snapshot = Arc::new(Snapshot { registry: Arc::clone(registry), last: Mutex::default() });
    let mut names: Vec<_> = registry().iter().map(|reading| reading.name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let snapshot = Arc::clone(&snapshot);
        let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
            for reading in snapshot.read().iter().filter(|reading| reading.name == name) {
                let labels = reading.labels.iter().map(|(key, value)| KeyValue::new(*key, value.clone()));
                observer.observe(reading.value, &labels.collect::<Vec<_>>());
            }
        };
        // The provider keeps the instrument; the handle has no use.
        let _ = meter.u64_observable_counter(name).with_callback(observe).build();
    }
}

struct Snapshot {
    registry: Registry,
    last: Mutex<Option<(Instant, Arc<Vec<Reading>>)>>,
}

impl Snapshot {
    /// Callbacks of one collection come within milliseconds.
    const FRESH: Duration = Duration::from_millis(100);

    fn read(&self) -> Arc<Vec<Reading>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, readings)) = &*last
            && when.elapsed() < Self::FRESH
        {
            return Arc::clone(readings);
        }
        let readings = Arc::new((self.registry)());
        *last = Some((Instant::now(), Arc::clone(&readings)));
        readings
    }
}

/// The reader's thread is outside the runtime that connections need, so requests are carried there.
#[derive(Debug)]
struct OnRuntime {
    runtime: Handle,
    http: Http,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        self.runtime.spawn(async move { http.forward(request).await }).await?
    }
}

#[cfg(test)]
mod tests;
