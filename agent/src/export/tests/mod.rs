//! The exporter as the pipeline uses it, against a collector in this process.

mod console;
mod delivery;
mod tls;

use std::time::{Duration, Instant};

use super::otlp::{self, Signal};
use super::testing::span;
use super::{Clock, Config, Counters, Destination, Exporter, Sampler};

const LIMIT: Duration = Duration::from_secs(8);
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// An exporter configured by variables, its clock 5 ns ahead of the kernel's.
fn exporter(variables: &[(&str, &str)]) -> Exporter {
    let clock: Clock = Box::new(|| 5);
    let destination = Destination::Otlp(Box::new(otlp_config(variables)));
    let sampler = Sampler::from_env(&|name| value(variables, name)).expect("a sampler");
    Exporter::start(Config { destination, sampler, clock }).expect("an exporter")
}

fn otlp_config(variables: &[(&str, &str)]) -> otlp::Config {
    otlp::Config::from_env(Signal::Traces, &|name| value(variables, name)).expect("a configuration")
}

fn value(variables: &[(&str, &str)], name: &str) -> Option<String> {
    let found = variables.iter().find(|(key, _)| *key == name || format!("OTEL_EXPORTER_OTLP_{key}") == name);
    found.map(|(_, value)| (*value).to_owned())
}

/// Sends spans 1 to `count` and stops.
fn send_and_stop(exporter: Exporter, count: u8) -> Counters {
    exporter.send((1..=count).map(span).collect());
    exporter.shutdown(LIMIT)
}

fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The port of a listener that is gone again.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}
