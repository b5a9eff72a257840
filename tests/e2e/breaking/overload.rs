//! A noisy neighbour: more than the rings hold.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

#[test]
fn a_process_that_floods_the_ring_costs_only_itself() -> Result<()> {
    const REQUESTS: usize = 200;
    const SECONDS: u64 = 4;
    let test = "a_process_that_floods_the_ring_costs_only_itself";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let quiet = workload::patterns(&scene, &front, &end)?;
    let mut flood = Command::new(env!("CARGO_BIN_EXE_flood"));
    let mut flood = Process::start("flood", flood.args(["4", &SECONDS.to_string()]))?;
    let agent = Builder::new(&scene).tree(&backend).tree(&quiet).tree(&flood).start()?;
    flood.tell("go")?;
    // Throughout the flood: 2 connections with 30 ms between their requests.
    let load = Load::new(&front, "r", REQUESTS);
    let load = Load { path: "/direct".to_owned(), connections: 2, pause: Duration::from_millis(30), ..load };
    let sent = load.run()?;
    let said = flood.says("done", Duration::from_secs(4 * SECONDS))?;
    let exchanges: usize = said.trim_start_matches("done ").parse().context(said)?;
    let mut stopped = agent.stop()?;

    let (noise, traces): (Vec<_>, Vec<_>) =
        std::mem::take(&mut stopped.spans).into_iter().partition(|span| span.pid() == Some(flood.pid()));
    let score = Truth::new(scene.truth()?).driven(&sent).judge(&traces)?;
    println!("{score}flood: {exchanges} exchanges, {} spans, losses {:?}", noise.len(), stopped.losses);
    score.all_right()?;
    assert_eq!(score.exchanges, 2 * REQUESTS);
    let shed = usize::try_from(stopped.lost_by("shed"))?;
    assert!(shed > 0, "the flood was none: {:?}", stopped.losses);
    // Both ends of every exchange are told or counted. Of a turn behind shed ones the answer alone may be understood.
    let unasked = usize::try_from(stopped.lost_by("unasked_responses"))?;
    assert!(noise.len() + shed + unasked >= 2 * exchanges, "lost without being counted");
    assert_eq!(stopped.lost_by("ring_full"), 0, "a turn was cut in its middle: {:?}", stopped.losses);
    are_whole(&noise)
}

/// What is told of the flood itself is right: each end once, with its answer, and joined with no other exchange's end.
fn are_whole(noise: &[Span]) -> Result<()> {
    let clients: HashMap<&str, &Span> =
        noise.iter().filter(|span| span.kind == Kind::Client).map(|span| (span.span_id.as_str(), span)).collect();
    let (mut seen, mut joined) = (HashSet::new(), 0);
    for span in noise {
        assert!(
            seen.insert((span.kind == Kind::Client, span.path().to_owned())),
            "{:?} {} twice",
            span.kind,
            span.path()
        );
        assert_eq!((span.status(), span.text("error.type")), (Some(200), None), "{:?} {}", span.kind, span.path());
        let Some(parent) = span.parent.as_deref().filter(|_| span.kind == Kind::Server) else { continue };
        let client = clients.get(parent).with_context(|| format!("no span {parent} of {}", span.path()))?;
        assert_eq!(client.path(), span.path(), "joined with another exchange");
        joined += 1;
    }
    println!("{} spans of the flood, {joined} exchanges with both ends", noise.len());
    assert!(joined > 0, "nothing of the flood was told whole");
    Ok(())
}
