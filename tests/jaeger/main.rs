//! A real Jaeger as the outside judge.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::jaeger::{self, Jaeger};
use tracemend_tests::load::Load;
use tracemend_tests::otlp::Span;
use tracemend_tests::scene::{Scene, skip};
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload::{self, Forward, Upstream};

/// Spans of one request through nginx, gunicorn and a backend: three serving ends, two calling ones.
const SPANS_EACH: usize = 5;

/// Two agents watch one chain, one writes a file and one exports to Jaeger: as span ids are made of what identifies an
/// exchange, both must tell the same.
#[test]
fn jaeger_shows_the_spans_of_the_file_without_a_warning() -> Result<()> {
    let test = "jaeger_shows_the_spans_of_the_file_without_a_warning";
    let binary = match jaeger::binary() {
        Ok(binary) => binary,
        Err(reason) => {
            skip(test, reason);
            return Ok(());
        }
    };
    let Some(scene) = Scene::open(test, &["nginx", "gunicorn"])? else {
        return Ok(());
    };
    let jaeger = Jaeger::start(&scene, binary)?;
    let (front, between, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let gunicorn = workload::gunicorn(&scene, &between, &end, 2, Forward::Nothing)?;
    let nginx = workload::nginx(&scene, &front, &between, Upstream::PerRequest)?;
    let traced = |agent: Builder| agent.tree(&backend).tree(&gunicorn).tree(&nginx);
    let filing = traced(Builder::new(&scene)).start()?;
    let exporting = traced(Builder::exporting(&jaeger.endpoint(), "grpc")).start()?;
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
