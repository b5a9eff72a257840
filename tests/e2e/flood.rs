//! A noisy neighbour.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
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
    Ok(())
}
