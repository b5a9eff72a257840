use std::time::Duration;

use super::{Config, Protocol, Signal, is_configured};

/// Reads a configuration from `OTEL_EXPORTER_OTLP_` variables.
fn config(variables: &[(&str, &str)]) -> Result<Config, String> {
    of(Signal::Traces, variables)
}

fn of(signal: Signal, variables: &[(&str, &str)]) -> Result<Config, String> {
    let lookup = |name: &str| {
        let name = name.strip_prefix("OTEL_EXPORTER_OTLP_").expect("a variable of the exporter");
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Config::from_env(signal, &lookup).map_err(|error| error.to_string())
}

fn destination(variables: &[(&str, &str)]) -> (Protocol, String) {
    let config = config(variables).expect("a configuration");
    (config.protocol, config.endpoint.to_string())
}

#[test]
fn defaults_are_those_of_the_specification() {
    let config = config(&[]).expect("the defaults");
    assert_eq!(config.protocol, Protocol::HttpProtobuf);
    assert_eq!(config.endpoint, "http://localhost:4318/v1/traces");
    assert_eq!(config.timeout, Duration::from_secs(10));
    assert!(!config.gzip && config.tls.is_none() && config.headers.is_empty());
    let metrics = of(Signal::Metrics, &[]).expect("the defaults");
    assert_eq!(metrics.endpoint, "http://localhost:4318/v1/metrics");
    assert_eq!(destination(&[("PROTOCOL", "grpc")]).1, "http://localhost:4317/");
}

#[test]
fn only_the_general_endpoint_gets_the_signals_path() {
    let http = |variable, url| destination(&[(variable, url), ("PROTOCOL", "http/protobuf")]).1;
    assert_eq!(http("ENDPOINT", "http://c:9"), "http://c:9/v1/traces");
    assert_eq!(http("ENDPOINT", "http://c:9/a/"), "http://c:9/a/v1/traces");
    assert_eq!(http("TRACES_ENDPOINT", "http://c:9"), "http://c:9/");
    assert_eq!(http("TRACES_ENDPOINT", "http://c:9/a"), "http://c:9/a");
    let grpc = [("ENDPOINT", "http://c:9/a"), ("PROTOCOL", "grpc")];
    assert_eq!(destination(&grpc).1, "http://c:9/");
}

#[test]
fn the_signals_own_variable_comes_first_and_an_empty_one_is_unset() {
    let both = [("ENDPOINT", "http://general:1"), ("TRACES_ENDPOINT", "http://own:2/x")];
    assert_eq!(destination(&both).1, "http://own:2/x");
    let empty = [("ENDPOINT", "http://general:1"), ("TRACES_ENDPOINT", " ")];
    assert_eq!(destination(&empty).1, "http://general:1/v1/traces");
    let protocol = [("PROTOCOL", "http/protobuf"), ("TRACES_PROTOCOL", "grpc")];
    assert_eq!(destination(&protocol).0, Protocol::Grpc);
    assert_eq!(of(Signal::Metrics, &protocol).expect("known").protocol, Protocol::HttpProtobuf);
}

#[test]
fn the_registered_port_of_grpc_means_grpc_unless_a_protocol_is_set() {
    assert_eq!(destination(&[("ENDPOINT", "http://c:4317")]).0, Protocol::Grpc);
    let set = [("ENDPOINT", "http://c:4317"), ("PROTOCOL", "http/protobuf")];
    assert_eq!(destination(&set).0, Protocol::HttpProtobuf);
}

#[test]
fn a_grpc_target_without_a_scheme_is_encrypted_unless_said_otherwise() {
    let target = |insecure| {
        let variables = [("ENDPOINT", "c:9"), ("PROTOCOL", "grpc"), ("TRACES_INSECURE", insecure)];
        destination(&variables).1
    };
    assert_eq!(target("TRUE"), "http://c:9/");
    assert_eq!(target("false"), "https://c:9/");
}

#[test]
fn headers_are_decoded_and_never_shown() {
    let config = config(&[("HEADERS", "api-key=a%2Cb%3D%20c,,x=1=2")]).expect("headers");
    assert_eq!(config.headers["api-key"], "a,b= c");
    assert_eq!(config.headers["x"], "1=2");
    assert!(!format!("{config:?}").contains("a,b"));
}

#[test]
fn what_is_not_understood_is_an_error_that_names_the_variable() {
    for (name, value, says) in [
        ("PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: expected grpc or http/protobuf"),
        ("TRACES_COMPRESSION", "zstd", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=zstd: expected gzip or none"),
        ("TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TIMEOUT=10s: expected milliseconds"),
        ("TIMEOUT", "0", "OTEL_EXPORTER_OTLP_TIMEOUT=0: expected milliseconds"),
        ("ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317: expected a URL"),
        ("ENDPOINT", "ftp://c", "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://c: expected a URL"),
    ] {
        let error = config(&[(name, value)]).expect_err(value);
        assert!(error.starts_with(says), "{error}");
    }
    let insecure = config(&[("ENDPOINT", "http://c"), ("INSECURE", "yes")]).expect_err("no truth value");
    assert_eq!(insecure, "OTEL_EXPORTER_OTLP_INSECURE=yes: expected true or false");
}

#[test]
fn errors_do_not_repeat_secrets() {
    for variables in [[("ENDPOINT", "http://u:hunter2@c")], [("HEADERS", "hunter2")], [("HEADERS", "a b=hunter2")]] {
        let error = config(&variables).expect_err("not understood");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn certificates_that_cannot_be_used_say_which_and_why() {
    let https = ("ENDPOINT", "https://c");
    let absent = config(&[https, ("CERTIFICATE", "/nowhere.pem")]).expect_err("no file");
    assert!(absent.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere.pem"), "{absent}");
    let empty = config(&[https, ("CERTIFICATE", "/dev/null")]).expect_err("no certificate");
    assert_eq!(empty, "OTEL_EXPORTER_OTLP_CERTIFICATE: /dev/null holds no certificate in PEM form");
    let alone = config(&[https, ("CLIENT_KEY", "/dev/null")]).expect_err("half a pair");
    assert_eq!(alone, "OTEL_EXPORTER_OTLP_CLIENT_KEY is set without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
    assert!(config(&[("ENDPOINT", "http://c"), ("CERTIFICATE", "/nowhere.pem")]).is_ok());
}

#[test]
fn a_collector_is_configured_by_either_endpoint() {
    let lookup = |set: &'static str| move |name: &str| (name == set).then(|| "http://c".to_owned());
    let traces = lookup("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    assert!(is_configured(Signal::Traces, &traces));
    assert!(!is_configured(Signal::Metrics, &traces));
    assert!(is_configured(Signal::Metrics, &lookup("OTEL_EXPORTER_OTLP_ENDPOINT")));
}
