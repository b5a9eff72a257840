//! A real Jaeger as the outside judge.

mod python;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::jaeger::{self, Jaeger};
use tracemend_tests::load::Load;
use tracemend_tests::otlp::Span;
use tracemend_tests::play::perform::Troupe;
use tracemend_tests::play::{Link, Play};
use tracemend_tests::scene::{Scene, skip};
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload::{self, Forward, Upstream};

/// Spans of one request through nginx, gunicorn and a backend: three serving ends, two calling ones.
const SPANS_EACH: usize = 5;

/// A Jaeger in a scene; none, loudly, where there is none to start or nothing to watch.
fn start(test: &str) -> Result<Option<(Scene, Jaeger)>> {
    let binary = match jaeger::binary() {
        Ok(binary) => binary,
        Err(reason) => {
            skip(test, reason);
            return Ok(None);
        }
    };
    let Some(scene) = Scene::open(test, &["nginx", "gunicorn"])? else {
        return Ok(None);
    };
    let jaeger = Jaeger::start(&scene, binary)?;
    Ok(Some((scene, jaeger)))
}

/// Two agents watch one chain, one writes a file and one exports to Jaeger: as span ids are made of what identifies an
/// exchange, both must tell the same.
#[test]
fn jaeger_shows_the_spans_of_the_file_without_a_warning() -> Result<()> {
    let test = "jaeger_shows_the_spans_of_the_file_without_a_warning";
    let Some((scene, jaeger)) = start(test)? else {
        return Ok(());
    };
    let (front, between, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let gunicorn = workload::gunicorn(&scene, &between, &end, 2, Forward::Nothing)?;
    let nginx = workload::nginx(&scene, &front, &between, Upstream::PerRequest)?;
    let traced = |agent: Builder| agent.tree(&backend).tree(&gunicorn).tree(&nginx);
    let filing = traced(Builder::new(&scene)).start()?;
    let exporting = traced(Builder::exporting(&jaeger.grpc_endpoint(), "grpc")).start()?;
    let sent = Load { connections: 4, ..Load::new(&front, "r", 20) }.run()?;
    exporting.stop()?;
    let spans = filing.stop()?.spans;
    Truth::new(scene.truth()?).driven(&sent).judge(&spans)?.all_right()?;

    let mut traces = BTreeMap::<&str, Vec<&Span>>::new();
    for span in &spans {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    assert_eq!(traces.len(), 20);
    for (id, spans) in traces {
        assert_eq!(spans.len(), SPANS_EACH);
        let shown = jaeger.trace(id, SPANS_EACH, Duration::from_secs(10))?;
        assert_eq!(shown.len(), SPANS_EACH, "spans of {id}");
        for span in spans {
            let same =
                shown.iter().find(|one| one.span_id == span.span_id).context("a span that Jaeger does not have")?;
            assert_eq!(same.warnings, Vec::<String>::new(), "{}", span.span_id);
            assert_eq!((&same.parent, &same.name, same.service.as_str()), (&span.parent, &span.name, span.service()));
            // Two agents read the clocks at two moments.
            assert!(same.start_us.abs_diff(span.start_ns / 1000) < 10_000, "{}", span.span_id);
            assert!(same.duration_us.abs_diff((span.end_ns - span.start_ns) / 1000) < 20_000, "{}", span.span_id);
        }
    }
    Ok(())
}

/// nginx -> gunicorn -> a unix socket -> a thread of its own -> the end, as the demo has it; Jaeger is a target too, and
/// nothing is told of what it is sent.
fn chain_is_shown_whole(test: &str, protocol: &str, endpoint: impl FnOnce(&Jaeger) -> String) -> Result<()> {
    const REQUESTS: usize = 10;
    /// Service, kind, evidence: each is the child of the one before it.
    const CHAIN: [(&str, &str, &str); 7] = [
        ("nginx", "server", "root"),
        ("nginx", "client", "nginx"),
        ("app", "server", "peer"),
        ("app", "client", "thread"),
        ("patterns", "server", "peer"),
        ("patterns", "client", "birth"),
        ("backend", "server", "peer"),
    ];
    let Some((scene, jaeger)) = start(test)? else {
        return Ok(());
    };
    let (front, between, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let inner = Target::Unix(scene.path("inner.sock"));
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &inner, &end)?;
    let gunicorn = workload::gunicorn_calling(&scene, &between, &inner, "/join", 1, Forward::Nothing)?;
    let nginx = workload::nginx(&scene, &front, &between, Upstream::PerRequest)?;
    let targets = [&backend, &patterns, &gunicorn, &nginx, &jaeger.process];
    let agent = targets.into_iter().fold(Builder::exporting(&endpoint(&jaeger), protocol), Builder::tree).start()?;
    Load { pause: Duration::from_millis(300), ..Load::new(&front, "r", REQUESTS) }.run()?;
    let stopped = agent.stop()?;
    assert_eq!(stopped.counts["spans"], (CHAIN.len() * REQUESTS) as u64, "{:?}", stopped.losses);

    assert_eq!(jaeger.services()?, ["app", "backend", "nginx", "patterns"]);
    for trace in jaeger.traces("nginx", REQUESTS, Duration::from_secs(10))? {
        assert_eq!(trace.len(), CHAIN.len(), "{trace:#?}");
        let mut parent = None;
        for link in CHAIN {
            let span =
                trace.iter().find(|span| span.parent == parent).with_context(|| format!("{link:?}: {trace:#?}"))?;
            assert_eq!((span.service.as_str(), span.kind.as_str(), span.evidence.as_str()), link);
            assert_eq!(span.warnings, Vec::<String>::new());
            assert!(span.ip.is_some() && span.ip == trace[0].ip, "{trace:#?}");
            parent = Some(span.span_id.clone());
        }
    }
    Ok(())
}

/// What a client calls its request, and what the server calls its answer, both lead to the trace, and to no other one.
#[test]
fn jaeger_finds_a_trace_by_the_ids_of_its_request_and_of_its_answer() -> Result<()> {
    let test = "jaeger_finds_a_trace_by_the_ids_of_its_request_and_of_its_answer";
    let Some((scene, jaeger)) = start(test)? else {
        return Ok(());
    };
    let id = |name: &str, number: usize| format!("X-Request-Id: {name}-{number}\r\n");
    let play = (0..3).fold(Play::over(Link::Ipv4), |play, number| {
        let (asked, answered) = (id("asked", number), id("answered", number));
        play.client(format!("GET /{number} HTTP/1.1\r\nHost: play\r\n{asked}\r\n"))
            .server(format!("HTTP/1.1 200 OK\r\n{answered}Content-Length: 0\r\n\r\n"))
    });
    let mut troupe = Troupe::start(&scene, play.parties())?;
    let agent = troupe.pids().fold(Builder::exporting(&jaeger.grpc_endpoint(), "grpc"), Builder::pid).start()?;
    troupe.perform(&scene, &play)?;
    agent.stop()?;
    let services = jaeger.services()?;
    let service = services.first().context("a service")?;
    for number in 0..3 {
        let by = |message: &str, name: &str| {
            let tag = format!("http.{message}.header.x-request-id");
            jaeger.tagged(service, &tag, &format!("{name}-{number}"), Duration::from_secs(10))
        };
        for found in [by("request", "asked")?, by("response", "answered")?] {
            let names: Vec<_> = found.iter().map(|span| (span.kind.as_str(), span.name.as_str())).collect();
            assert!(names.contains(&("client", "GET")) && names.contains(&("server", "GET")), "{names:?}");
            assert_eq!(found.len(), 2, "{found:#?}");
        }
    }
    Ok(())
}

#[test]
fn jaeger_shows_a_chain_of_every_kind_of_link_over_grpc() -> Result<()> {
    chain_is_shown_whole("jaeger_shows_a_chain_of_every_kind_of_link_over_grpc", "grpc", Jaeger::grpc_endpoint)
}

#[test]
fn jaeger_shows_a_chain_of_every_kind_of_link_over_http() -> Result<()> {
    chain_is_shown_whole("jaeger_shows_a_chain_of_every_kind_of_link_over_http", "http/protobuf", Jaeger::http_endpoint)
}
