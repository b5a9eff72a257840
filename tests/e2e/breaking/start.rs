//! The agent comes into the middle of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::now_ns;
use tracemend_tests::load::Load;
use tracemend_tests::otlp::Kind;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::Target;
use tracemend_tests::workload::{self, Upstream};

use super::judge_part;

/// Both the driver's and nginx's connections are kept alive, and were long in use. The first turn of each that the agent
/// sees is left open; all later ones are told, and nothing that is told is wrong.
#[test]
fn started_under_load_it_traces_every_kept_alive_connection_from_its_next_turn() -> Result<()> {
    let test = "started_under_load_it_traces_every_kept_alive_connection_from_its_next_turn";
    let Some(scene) = Scene::open(test, &["nginx"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let nginx = workload::nginx(&scene, &front, &end, Upstream::KeptAlive)?;
    let load = Load { connections: 16, pause: Duration::from_millis(5), ..Load::endless(&front, "r") }.begin();
    std::thread::sleep(Duration::from_secs(1));
    let begun = load.begun();
    let agent = Builder::new(&scene).tree(&backend).tree(&nginx).start()?;
    let ready = now_ns();
    println!("{begun} requests before the agent, {} when it is ready", load.begun());
    std::thread::sleep(Duration::from_secs(4));
    // No request failed, before, while or after the hooks were attached.
    let sent = load.finish()?;
    let stopped = agent.stop()?;

    let told = scene.truth()?;
    // The end of each connection's first turn that began when the agent was ready.
    let mut seen = BTreeMap::<(&str, &str), u64>::new();
    let sightings = sent.iter().map(|sent| &sent.sighting);
    for sighting in sightings.filter(|sighting| sighting.from_ns > ready) {
        let end = seen.entry((&sighting.local, &sighting.peer)).or_insert(u64::MAX);
        *end = sighting.to_ns.min(*end);
    }
    let later = |sent: &tracemend_tests::session::Sent| {
        let sighting = &sent.sighting;
        seen.get(&(sighting.local.as_str(), sighting.peer.as_str())).is_some_and(|first| *first < sighting.from_ns)
    };
    let score = judge_part(&told, &sent, later, &stopped.spans)?;
    println!("{score}losses {:?}", stopped.losses);
    assert_eq!(seen.len(), 16);
    assert!(score.exchanges >= 2 * 16 * 20, "{score}");
    // nginx's connections may each have a first turn among them.
    let upstream: BTreeMap<_, _> =
        stopped.spans.iter().filter(|span| span.kind == Kind::Client).map(|span| (span.local(), ())).collect();
    println!("{} connections to the backend", upstream.len());
    assert!(score.missing.len() <= 2 * upstream.len(), "{score}");
    judge_part(&told, &sent, |_| true, &stopped.spans)?.none_wrong()
}
