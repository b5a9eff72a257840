//! Nobody gets a descriptor any more: a traced program, or the agent itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::collector::Collector;
use tracemend_tests::load::Load;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::session::Session;
use tracemend_tests::target::{Target, free_port};
use tracemend_tests::{wait, workload};

/// What is exported is given this long to arrive.
const ARRIVED: Duration = Duration::from_secs(40);

/// Its accepts fail, callers wait in its backlog, and it goes on when others have hung up. What was asked is told, and
/// what was never accepted is not.
#[test]
fn a_traced_program_without_descriptors_is_told_as_it_was() -> Result<()> {
    const CONNECTIONS: usize = 30;
    const FREE: usize = 10;
    let Some(scene) = Scene::open("a_traced_program_without_descriptors_is_told_as_it_was", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let agent = Builder::new(&scene).tree(&backend).start()?;
    let before = backend.limit_descriptors((backend.descriptors()? + FREE) as u64)?;
    let mut sessions = (0..CONNECTIONS).map(|_| Session::connect(&target)).collect::<Result<Vec<_>>>()?;
    let mut sent = Vec::new();
    for (number, session) in sessions.iter_mut().take(FREE).enumerate() {
        sent.push(session.get("/in", &format!("in{number}"), None)?);
    }
    assert_eq!(scene.truth()?.len(), FREE, "the others wait");
    // The first ones hang up, which makes room for later ones.
    let mut waiting = sessions.split_off(FREE);
    drop(sessions);
    for (number, session) in waiting.iter_mut().take(FREE).enumerate() {
        sent.push(session.get("/waited", &format!("waited{number}"), None)?);
    }
    drop(waiting);
    backend.limit_descriptors(before)?;
    sent.extend(Load { connections: 16, ..Load::new(&target, "after", 200) }.run()?);
    let stopped = agent.stop()?;
    assert_eq!(stopped.losses, BTreeMap::new());
    Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?.all_right()
}

/// It goes on with what it has: spans are told of processes that it cannot look at, and wait for a collector that it
/// cannot reach. When it may have descriptors again, all of them arrive.
#[test]
fn an_agent_without_descriptors_keeps_its_spans_until_it_has_some() -> Result<()> {
    let test = "an_agent_without_descriptors_keeps_its_spans_until_it_has_some";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let port = free_port()?;
    let mut collector = Collector::start(port)?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut agent = Builder::exporting(&endpoint, "http/protobuf").tree(&backend).tree(&patterns).start()?;
    let call = |path: &str, ids: &str, count| Load { path: path.to_owned(), ..Load::new(&front, ids, count) }.run();
    let mut sent = call("/direct", "before", 50)?;
    wait::until("spans arrive", ARRIVED, || Ok((collector.counts()?.0 == 150).then_some(())))?;
    let first = collector.spans_since(0)?;

    // Not one more than it has, and its connection to the collector is lost.
    let descriptors = agent.process.descriptors()?;
    drop(collector);
    let limit = agent.process.limit_descriptors(3)?;
    // Processes come that it has never seen, and cannot ask for their names.
    sent.extend(call("/spawn", "spawned", 20)?);
    sent.extend(call("/direct", "during", 50)?);
    std::thread::sleep(Duration::from_secs(3));
    agent.process.check()?;
    collector = Collector::start(port)?;
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(collector.counts()?.0, 0, "it has {descriptors} descriptors, and no other one to connect with");

    agent.process.limit_descriptors(limit)?;
    wait::until("what waited arrives", ARRIVED, || Ok((collector.counts()?.0 >= 210).then_some(())))?;
    sent.extend(call("/direct", "after", 50)?);
    wait::until("what came later arrives", ARRIVED, || Ok((collector.counts()?.0 >= 360).then_some(())))?;
    let stopped = agent.stop()?;
    println!("{:?} {:?}", stopped.counts, stopped.losses);
    assert_eq!((stopped.counts["spans"], stopped.losses), (510, BTreeMap::new()));
    let spans = [first, collector.spans_since(0)?].concat();
    Truth::new(scene.truth()?).driven(&sent).judge(&spans)?.all_right()
}
