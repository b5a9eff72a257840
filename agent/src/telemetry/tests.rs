use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use tokio::runtime::Runtime;

use super::{Reading, Registry, Telemetry};
use crate::export::testing::collector::Collector;

const LIMIT: Duration = Duration::from_secs(5);

fn start(variables: &[(&str, &str)]) -> (Runtime, Result<Option<Telemetry>, String>) {
    let registry: Registry = Arc::new(|| {
        vec![
            Reading::new("agent_ring_lost_records_total", 3).label("reason", "full"),
            Reading::new("agent_ring_lost_records_total", 4).label("reason", "busy"),
            Reading::new("agent_export_exported_spans_total", 9),
        ]
    });
    let lookup = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let runtime = Runtime::new().expect("a runtime");
    let telemetry = Telemetry::start(&lookup, runtime.handle(), &registry);
    (runtime, telemetry.map_err(|error| error.to_string()))
}

/// Labels and values of a counter, sorted.
fn points(metric: &Metric) -> Vec<(usize, i64)> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("no counter: {metric:?}") };
    assert!(sum.is_monotonic);
    let value = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsInt(value)) => *value,
        other => panic!("no integer: {other:?}"),
    };
    let mut points: Vec<_> =
        sum.data_points.iter().map(|point| (point.attributes.len(), value(&point.value))).collect();
    points.sort_unstable();
    points
}

#[test]
fn counters_arrive_over_both_protocols() {
    for (protocol, path) in [("grpc", ""), ("http/protobuf", "/v1/metrics")] {
        for compression in ["none", "gzip"] {
            let collector = Collector::start([]);
            let endpoint = format!("http://{}{path}", collector.address);
            let (_runtime, telemetry) = start(&[
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=7"),
            ]);
            telemetry.expect("a configuration").expect("wanted").shutdown(LIMIT);

            let requests = collector.metrics();
            assert_eq!(requests.len(), 1, "{protocol} {compression}");
            let mut metrics = requests[0].resource_metrics[0].scope_metrics[0].metrics.clone();
            metrics.sort_by(|a, b| a.name.cmp(&b.name));
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            assert_eq!(names, ["agent_export_exported_spans_total", "agent_ring_lost_records_total"]);
            assert_eq!(points(&metrics[0]), [(0, 9)]);
            assert_eq!(points(&metrics[1]), [(1, 3), (1, 4)]);
            let resource = requests[0].resource_metrics[0].resource.as_ref().expect("a resource");
            assert!(format!("{resource:?}").contains("tracemend"), "{resource:?}");
        }
    }
}

#[test]
fn nothing_is_sent_unless_asked_for() {
    let unwanted = [
        vec![],
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")],
        vec![("OTEL_METRICS_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c")],
    ];
    for variables in unwanted {
        assert!(start(&variables).1.expect("understood").is_none(), "{variables:?}");
    }
}

#[test]
fn an_exporter_that_is_not_known_is_an_error() {
    let error = start(&[("OTEL_METRICS_EXPORTER", "prometheus")]).1.expect_err("unknown");
    assert_eq!(error, "OTEL_METRICS_EXPORTER=prometheus: expected otlp or none");
}
