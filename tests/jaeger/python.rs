//! Python services, asked by many at a time: each request is one whole trace.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::jaeger::{self, Jaeger, JaegerSpan};
use tracemend_tests::patterns::{Pattern, Trial, unscored};
use tracemend_tests::scene::skip;

const REQUESTS: usize = 300;
/// Jaeger has taken them all by then.
const LIMIT: Duration = Duration::from_secs(20);
/// Jaeger counts whole microseconds, and rounds a start and a duration.
const ROUNDED_US: u64 = 2;

/// A task that was idle for so long is given up, and its call is an orphan: that happens where the machine is busy with other
/// things, to a request that takes longer.
const SLOW_US: u64 = 1_000_000;
/// Of a hundred traces so many are whole even then.
const WHOLE_PERCENT: usize = 80;

/// Has a service of the score asked, and gives its whole traces as Jaeger has them, each root first: a request with its calls,
/// each of which has its other end. All that are not slow are whole.
fn traces(test: &str, id: &str, path: &'static str, calls: usize) -> Result<Option<Vec<Vec<JaegerSpan>>>> {
    traces_of(test, Pattern::named(id).context("a pattern")?.at(path, calls), Rest::IsSlow)
}

/// Requests whose trace is not whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Those that were slow.
    IsSlow,
    /// Any: a pool's process may be given its first jobs before its pipe is watched.
    IsEarly,
}

fn traces_of(test: &str, pattern: Pattern, rest: Rest) -> Result<Option<Vec<Vec<JaegerSpan>>>> {
    let calls = pattern.calls;
    let variant = pattern.variants().into_iter().next().context("a variant")?;
    let missing = jaeger::binary().err().or_else(|| variant.program.clone().err());
    if let Some(reason) = missing {
        skip(test, reason);
        return Ok(None);
    }
    let trial = Trial { pattern, variant, clients: 16, requests: REQUESTS, seed: 1 };
    let Some(scene) = trial.scene(test)? else { return Ok(None) };
    let jaeger = Jaeger::start(&scene, jaeger::binary().map_err(anyhow::Error::msg)?)?;
    let outcome = trial.run_with(&scene, Builder::exporting(&jaeger.grpc_endpoint(), "grpc"))?;
    let spans = REQUESTS * (1 + 2 * calls);
    assert_eq!(outcome.stopped.counts["spans"], spans as u64, "{:?}", outcome.stopped.losses);
    let mut found = Vec::new();
    for mut trace in jaeger.traces_or_more("backend", REQUESTS, LIMIT)? {
        trace.sort_by_key(|span| (span.parent.is_some(), span.start_us));
        match whole(&trace, calls) {
            Ok(()) => found.push(trace),
            // The rest of a slow one: its root, or what was called for it.
            Err(_) if rest == Rest::IsEarly || trace[0].duration_us > SLOW_US || trace[0].kind == "client" => {}
            Err(error) => return Err(error.context(format!("{trace:#?}"))),
        }
    }
    println!("{} of {REQUESTS} traces are whole", found.len());
    ensure!(found.len() * 100 >= REQUESTS * WHOLE_PERCENT, "{} of {REQUESTS} traces are whole", found.len());
    Ok(Some(found))
}

fn whole(trace: &[JaegerSpan], calls: usize) -> Result<()> {
    ensure!(trace.iter().all(|span| span.warnings.is_empty()), "a warning");
    let root = trace.first().context("no span")?;
    ensure!(root.parent.is_none() && root.kind == "server" && root.service != "backend", "another root");
    ensure!(trace.len() == 1 + 2 * calls, "{} spans", trace.len());
    let made = children(trace, root);
    ensure!(made.len() == calls && made.iter().all(|call| call.kind == "client"), "{} calls", made.len());
    for call in made {
        let ends: Vec<_> = children(trace, call);
        ensure!(ends.len() == 1 && ends[0].kind == "server" && ends[0].service == "backend", "a call without its end");
    }
    Ok(())
}

/// A stream's first byte comes before the second call, and it ends behind that. (FastAPI sends the head before the first call,
/// Flask with the first piece behind it.)
fn streamed(trace: &[JaegerSpan]) -> Result<()> {
    let root = &trace[0];
    let first_byte_us = root.start_us + root.first_byte_us.context("no time to the first byte")?;
    let [_, second] = children(trace, root)[..] else { anyhow::bail!("not two calls") };
    ensure!(first_byte_us <= second.start_us + ROUNDED_US, "the first byte comes behind the second call");
    ensure!(end(second) <= end(root) + ROUNDED_US, "the stream ends before the second call");
    Ok(())
}

/// In the order of their beginnings.
fn children<'a>(trace: &'a [JaegerSpan], parent: &JaegerSpan) -> Vec<&'a JaegerSpan> {
    trace.iter().filter(|span| span.parent.as_ref() == Some(&parent.span_id)).collect()
}

fn end(span: &JaegerSpan) -> u64 {
    span.start_us + span.duration_us
}

#[test]
fn jaeger_shows_fastapi_with_httpx_whole() -> Result<()> {
    traces("jaeger_shows_fastapi_with_httpx_whole", "python/fastapi-httpx", "/", 1).map(drop)
}

#[test]
fn jaeger_shows_server_sent_events_of_fastapi_from_first_to_last_byte() -> Result<()> {
    const TEST: &str = "jaeger_shows_server_sent_events_of_fastapi_from_first_to_last_byte";
    for trace in traces(TEST, "python/fastapi-httpx", "/sse", 2)?.unwrap_or_default() {
        streamed(&trace).with_context(|| format!("{trace:#?}"))?;
    }
    Ok(())
}

#[test]
fn jaeger_shows_flask_with_threads_whole() -> Result<()> {
    traces("jaeger_shows_flask_with_threads_whole", "python/flask-gevent-threads", "/threads", 2).map(drop)
}

#[test]
fn jaeger_shows_a_stream_of_flask_from_first_to_last_byte() -> Result<()> {
    const TEST: &str = "jaeger_shows_a_stream_of_flask_from_first_to_last_byte";
    for trace in traces(TEST, "python/flask-gevent-stream", "/stream", 2)?.unwrap_or_default() {
        streamed(&trace).with_context(|| format!("{trace:#?}"))?;
    }
    Ok(())
}

/// The server answers at once, and two tasks of Celery's workers call, the second of which the first one's worker puts.
#[test]
fn jaeger_shows_a_chain_of_celery_tasks_whole() -> Result<()> {
    let chain = unscored().find(|pattern| pattern.id == "python/celery-chain").context("a pattern")?;
    traces_of("jaeger_shows_a_chain_of_celery_tasks_whole", chain, Rest::IsEarly).map(drop)
}
