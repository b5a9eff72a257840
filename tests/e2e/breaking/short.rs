//! A million connections of one request each.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// To a thousand addresses, since a pair of them has but 28,000 ports. Both ends are traced; one trace in a thousand is
/// exported, all are counted.
#[test]
fn a_million_short_connections_are_all_accounted_for() -> Result<()> {
    const CONNECTIONS: u64 = 1_000_000;
    const ADDRESSES: u32 = 1_000;
    const LIMIT: Duration = Duration::from_secs(600);
    /// Exchanges that may still cause something 64, records 64 and their rings, 65,536 connections, threads and traces, and
    /// what the program is.
    const MEMORY_MIB_MAX: u64 = 256;
    /// It fills up, and then it stays where it is.
    const CREEP_MIB_MAX: u64 = 24;
    let test = "a_million_short_connections_are_all_accounted_for";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (target, front) = (Target::ipv4()?, Target::ipv4()?);
    let port = target.to_string().trim_start_matches("127.0.0.1:").to_owned();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_serve"));
    let server = Process::serving("serve", serve.arg(format!("0.0.0.0:{port}")), &target)?;
    let mut short = Command::new(env!("CARGO_BIN_EXE_short"));
    short.args(["4", &CONNECTIONS.to_string(), &ADDRESSES.to_string(), &port]);
    let mut clients = Process::start("short", &mut short)?;
    let backend = workload::backend(&scene, &front)?;
    let sampled = Builder::new(&scene).variable("OTEL_TRACES_SAMPLER", "traceidratio");
    let sampled = sampled.variable("OTEL_TRACES_SAMPLER_ARG", "0.001");
    let agent = sampled.tree(&server).tree(&clients).start()?;

    clients.tell("go")?;
    let begun = Instant::now();
    let mut memory = Vec::new();
    let said = loop {
        memory.push(agent.process.memory_mib()?);
        if let Ok(said) = clients.says("done", Duration::from_secs(1)) {
            break said;
        }
        clients.check()?;
        anyhow::ensure!(begun.elapsed() < LIMIT, "not done after {LIMIT:?}");
    };
    let stopped = agent.stop()?;
    println!("{said} s; MiB by second: {memory:?}");
    println!("{:?} {:?}", stopped.counts, stopped.losses);

    let told = stopped.counts["spans"] + stopped.counts["sampled_out"];
    // A record that found no room, on a machine that is busy with other things, costs a span at most.
    let (shed, lost) = (stopped.lost_by("shed"), stopped.lost_by("ring_full"));
    let counted = told + shed + lost;
    assert!(counted >= 2 * CONNECTIONS, "{told} spans, {shed} shed, {lost} records lost: more are missing");
    assert!(told <= 2 * CONNECTIONS, "{told} spans of {CONNECTIONS} connections");
    let most = memory.iter().max().copied().unwrap_or_default();
    assert!(most <= MEMORY_MIB_MAX, "{most} MiB");
    let middle = memory[memory.len() / 2];
    assert!(most <= middle + CREEP_MIB_MAX, "{middle} MiB in the middle, then {most}");
    joined(&stopped.spans)?;
    drop((clients, server));

    // Whatever that left behind is in nobody's way.
    let agent = Builder::named(&scene, "after").tree(&backend).start()?;
    let sent = Load::new(&front, "r", 100).run()?;
    let stopped = agent.stop()?;
    Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?.all_right()
}

/// Each call's two ends are one trace, and no end was given to another call.
fn joined(spans: &[Span]) -> Result<()> {
    let clients: HashMap<&str, &Span> =
        spans.iter().filter(|span| span.kind == Kind::Client).map(|span| (span.span_id.as_str(), span)).collect();
    let servers = spans.iter().filter(|span| span.kind == Kind::Server);
    let mut joined = 0;
    for server in servers {
        // Where the caller's end was shed there is none.
        let Some(parent) = &server.parent else { continue };
        let client = clients.get(parent.as_str()).with_context(|| format!("no span {parent} of {}", server.path()))?;
        assert_eq!((client.path(), client.local()), (server.path(), server.peer()), "joined with another call");
        joined += 1;
    }
    assert!(joined > 500, "{joined} calls of about 1000 are joined");
    Ok(())
}
