use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tracemend_core::ids::TraceId;

use super::{LIMIT, PROTOCOLS, closed_port, exporter, otlp_config, send_and_stop, wait_for};
use crate::export::testing::collector::{Answer, Collector};
use crate::export::testing::{span, two_processes};
use crate::export::{Clock, Config, Counters, Destination, DropReason, Exporter, Sampler};

/// Sends three spans to a collector with this script; returns what it saw last and what was counted.
fn against(protocol: &str, answers: impl IntoIterator<Item = Answer>) -> (Vec<Vec<u8>>, Counters) {
    let collector = Collector::start(answers);
    let endpoint = format!("http://{}", collector.address);
    let exporter = exporter(&[("ENDPOINT", &endpoint), ("PROTOCOL", protocol)]);
    let counters = send_and_stop(exporter, 3);
    (collector.seen().iter().map(|seen| seen.spans()).collect(), counters)
}

#[test]
fn spans_arrive_with_the_configured_headers() {
    for (protocol, path) in
        PROTOCOLS.into_iter().zip(["/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/base/v1/traces"])
    {
        let collector = Collector::start([]);
        let endpoint = format!("http://{}/base/", collector.address);
        let exporter = exporter(&[
            ("ENDPOINT", &endpoint),
            ("PROTOCOL", protocol),
            ("HEADERS", "authorization=Bearer%20x, tenant = 7"),
        ]);
        exporter.send(two_processes().into_iter().map(|stamped| stamped.span).collect());
        let counters = exporter.shutdown(LIMIT);
        assert_eq!(counters, Counters { exported: 3, ..Counters::default() });

        let seen = collector.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].path, path);
        assert_eq!(seen[0].headers["authorization"], "Bearer x");
        assert_eq!(seen[0].headers["tenant"], "7");
        let agent = seen[0].headers["user-agent"].to_str().expect("text");
        assert!(agent.starts_with("tracemend/"), "{agent}");
        let resources = &seen[0].request.resource_spans;
        let spans = |at: usize| &resources[at].scope_spans[0].spans;
        assert_eq!((resources.len(), spans(0).len(), spans(1).len()), (2, 2, 1));
        assert_eq!(spans(0)[0].start_time_unix_nano, 1_005);
    }
}

#[test]
fn a_busy_collector_is_tried_again() {
    for protocol in PROTOCOLS {
        let (seen, counters) = against(protocol, [Answer::Unavailable { after: None }]);
        assert_eq!(seen, [[1, 2, 3], [1, 2, 3]], "{protocol}");
        assert_eq!(counters, Counters { exported: 3, retries: 1, ..Counters::default() });
    }
}

#[test]
fn the_collector_is_not_tried_before_the_time_it_named() {
    for protocol in PROTOCOLS {
        let after = Duration::from_secs(1);
        let collector = Collector::start([Answer::Unavailable { after: Some(after) }]);
        let endpoint = format!("http://{}", collector.address);
        let exporter = exporter(&[("ENDPOINT", &endpoint), ("PROTOCOL", protocol)]);
        let counters = send_and_stop(exporter, 1);
        let seen = collector.seen();
        assert_eq!((seen.len(), counters.exported), (2, 1), "{protocol}");
        assert!(seen[1].at - seen[0].at >= after, "{protocol}");
    }
}

#[test]
fn a_partial_success_is_counted_and_not_repeated() {
    for protocol in PROTOCOLS {
        let (seen, counters) = against(protocol, [Answer::Partial { rejected: 2 }]);
        assert_eq!(seen.len(), 1, "{protocol}");
        assert_eq!(counters, Counters { exported: 1, rejected: 2, ..Counters::default() });
    }
}

#[test]
fn what_the_collector_refuses_is_dropped_and_not_repeated() {
    for protocol in PROTOCOLS {
        let (seen, counters) = against(protocol, [Answer::Refused]);
        assert_eq!((seen.len(), counters.exported, counters.retries), (1, 0, 0), "{protocol}");
        assert_eq!(counters.dropped.of(DropReason::Refused), 3);
    }
}

#[test]
fn a_silent_collector_is_tried_again_after_the_timeout() {
    for protocol in PROTOCOLS {
        let collector = Collector::start([Answer::Silence]);
        let endpoint = format!("http://{}", collector.address);
        let variables = [("ENDPOINT", endpoint.as_str()), ("PROTOCOL", protocol), ("TIMEOUT", "200")];
        let counters = send_and_stop(exporter(&variables), 1);
        assert_eq!((counters.exported, counters.retries), (1, 1), "{protocol}");
    }
}

#[test]
fn requests_are_compressed_where_that_is_asked_for() {
    for (protocol, header) in PROTOCOLS.into_iter().zip(["grpc-encoding", "content-encoding"]) {
        let collector = Collector::start([]);
        let endpoint = format!("http://{}", collector.address);
        let variables = [("ENDPOINT", endpoint.as_str()), ("PROTOCOL", protocol), ("COMPRESSION", "gzip")];
        send_and_stop(exporter(&variables), 3);
        let seen = collector.seen();
        assert_eq!(seen[0].headers[header], "gzip");
        assert_eq!(seen[0].spans(), [1, 2, 3]);
    }
}

#[test]
fn a_collector_that_comes_late_gets_what_waited() {
    for protocol in PROTOCOLS {
        let address = closed_port();
        let endpoint = format!("http://{address}");
        let exporter = exporter(&[("ENDPOINT", &endpoint), ("PROTOCOL", protocol)]);
        exporter.send(vec![span(1)]);
        wait_for("a retry", || exporter.counts().read().retries > 0);
        let collector = Collector::listen(&address, None, []);
        exporter.send(vec![span(2)]);
        let counters = exporter.shutdown(LIMIT);
        assert_eq!((counters.exported, counters.dropped.total()), (2, 0), "{protocol}");
        assert_eq!(collector.seen().len(), 2);
    }
}

#[test]
fn shutting_down_keeps_to_its_limit_and_counts_what_is_lost() {
    for protocol in PROTOCOLS {
        let endpoint = format!("http://{}", closed_port());
        let exporter = exporter(&[("ENDPOINT", &endpoint), ("PROTOCOL", protocol)]);
        for _ in 0..3000 {
            exporter.send(vec![span(1)]);
        }
        let start = Instant::now();
        let counters = exporter.shutdown(Duration::from_millis(700));
        assert!(start.elapsed() < Duration::from_secs(2), "{protocol}: {:?}", start.elapsed());
        assert_eq!((counters.exported, counters.dropped.of(DropReason::Shutdown)), (0, 3000));
    }
}

#[test]
fn all_spans_of_a_trace_share_one_decision() {
    let collector = Collector::start([]);
    let endpoint = format!("http://{}", collector.address);
    let exporter = exporter(&[("ENDPOINT", &endpoint), ("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    let of = |trace: u8, n: u8, sampled: Option<bool>| {
        let mut span = span(n);
        span.trace_id = TraceId([trace; 16]);
        span.sampled = sampled;
        span
    };
    exporter.send(vec![of(1, 1, Some(true)), of(2, 2, None)]);
    exporter.send(vec![of(1, 3, None), of(2, 4, Some(true)), of(1, 5, Some(false))]);
    let counters = exporter.shutdown(LIMIT);
    assert_eq!((counters.exported, counters.sampled_out), (3, 2));
    assert_eq!(collector.seen()[0].spans(), [1, 3, 5]);
}

#[test]
fn an_exporter_that_is_off_counts_what_it_drops() {
    let clock: Clock = Box::new(|| 0);
    let config = Config { destination: Destination::None, sampler: Sampler::default(), clock };
    let counters = send_and_stop(Exporter::start(config).expect("an exporter"), 2);
    assert_eq!(counters.dropped.of(DropReason::NoExporter), 2);
}

#[test]
fn a_file_has_its_line_within_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.jsonl");
    let clock: Clock = Box::new(|| 0);
    let destination = Destination::File(path.clone());
    let config = Config { destination, sampler: Sampler::default(), clock };
    let exporter = Exporter::start(config).expect("an exporter");
    let start = Instant::now();
    exporter.send(vec![span(1)]);
    wait_for("a line", || std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n')));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(exporter.shutdown(LIMIT).exported, 1);
}

/// The wall clock is set between a trace's spans: they keep to the offset of the first of them, so that nothing in a trace
/// starts before its cause; the next trace has the new one, before the epoch if need be.
#[test]
fn a_clock_step_moves_whole_traces() {
    const HOUR: i64 = 3_600_000_000_000;
    let collector = Collector::start([]);
    let endpoint = format!("http://{}", collector.address);
    let offset = Arc::new(AtomicI64::new(2 * HOUR));
    let clock: Clock = {
        let offset = Arc::clone(&offset);
        Box::new(move || offset.load(Ordering::Relaxed))
    };
    let destination = Destination::Otlp(Box::new(otlp_config(&[("ENDPOINT", &endpoint)])));
    let exporter = Exporter::start(Config { destination, sampler: Sampler::default(), clock }).expect("an exporter");
    let of = |trace: u8, n: u8| {
        let mut span = span(n);
        span.trace_id = TraceId([trace; 16]);
        span
    };
    exporter.send(vec![of(1, 1)]);
    offset.store(HOUR, Ordering::Relaxed);
    exporter.send(vec![of(1, 2), of(2, 3)]);
    offset.store(-HOUR, Ordering::Relaxed);
    exporter.send(vec![of(1, 4), of(2, 5), of(3, 6)]);
    assert_eq!(exporter.shutdown(LIMIT).exported, 6);
    let seen = collector.seen();
    let spans = seen.iter().flat_map(|seen| &seen.request.resource_spans).flat_map(|resource| &resource.scope_spans);
    let starts: Vec<(u8, u64)> =
        spans.flat_map(|scope| &scope.spans).map(|span| (span.span_id[7], span.start_time_unix_nano)).collect();
    let hour = HOUR.unsigned_abs();
    let (first, second) = (2 * hour + 1_000, hour + 1_000);
    assert_eq!(starts, [(1, first), (2, first), (3, second), (4, first), (5, second), (6, 0)]);
}
