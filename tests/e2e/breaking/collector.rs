//! The collector is away, slow, busy, or hangs up: spans wait within bounds, and what does not fit is counted.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::{TOLERANCE_NS, now_ns};
use tracemend_tests::collector::{Collector, Manner};
use tracemend_tests::load::Load;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::{Target, free_port};
use tracemend_tests::{wait, workload};

/// The agent tries again every 5 s at the latest.
const NOTICED: Duration = Duration::from_secs(40);

/// Meanwhile ten times as many spans come as the queue holds. The oldest go, each is counted, and the agent's memory stays
/// where it is once the queue is full.
#[test]
fn a_collector_that_was_away_for_a_minute_misses_the_oldest_and_memory_stays_bounded() -> Result<()> {
    const OUTAGE: Duration = Duration::from_secs(60);
    // Waiting spans 64, exchanges that may still cause something 64, records 64 and their rings, and what the program is.
    const MEMORY_MIB_MAX: u64 = 256;
    let test = "a_collector_that_was_away_for_a_minute_misses_the_oldest_and_memory_stays_bounded";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let mut flood = Command::new(env!("CARGO_BIN_EXE_flood"));
    let mut flood = Process::start("flood", flood.args(["2", &OUTAGE.as_secs().to_string(), "100", "700"]))?;
    let port = free_port()?;
    let collector = Collector::start(port)?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let agent = Builder::exporting(&endpoint, "http/protobuf").tree(&backend).tree(&patterns).tree(&flood).start()?;
    let call = |ids: &str| Load { path: "/direct".to_owned(), ..Load::new(&front, ids, 50) }.run();
    call("before")?;
    wait::until("spans arrive", NOTICED, || Ok((collector.counts()?.0 == 150).then_some(())))?;

    drop(collector);
    let away = Instant::now();
    flood.tell("go")?;
    let (mut most, mut last) = (0, Vec::new());
    while away.elapsed() < OUTAGE {
        std::thread::sleep(Duration::from_secs(1));
        let now = agent.process.memory_mib()?;
        most = now.max(most);
        last.push(now);
    }
    let said = flood.says("done", Duration::from_secs(60))?;
    let exchanges: u64 = said.trim_start_matches("done ").parse().context(said)?;
    println!("{exchanges} exchanges of the flood, MiB by second: {last:?}");
    let collector = Collector::start(port)?;
    let back = now_ns();
    let sent = call("after")?;
    let after = || collector.spans_since(back - TOLERANCE_NS);
    wait::until("what came after its return is there", NOTICED, || {
        let calls = after()?.iter().filter(|span| !span.path().starts_with("/flood")).count();
        Ok((calls >= 150).then_some(()))
    })?;
    let mut stopped = agent.stop()?;

    let (count, different) = collector.counts()?;
    println!("{count} spans kept, {:?}, {:?}", stopped.counts, stopped.losses);
    assert_eq!(count, different, "none came twice");
    assert_eq!(stopped.counts["spans"], 150 + count as u64, "exported is what a collector took");
    let dropped = stopped.lost_by("spans_dropped");
    // More exchanges than are kept as possible causes of later calls: that loses no span.
    stopped.losses.remove("forgotten_causes");
    assert_eq!(stopped.losses, BTreeMap::from([("spans_dropped".to_owned(), dropped)]), "nothing else was lost");
    assert!(dropped > 0, "the queue held it all");
    assert_eq!(stopped.counts["spans"] + dropped, 2 * exchanges + 300, "every span is exported or counted");
    assert!(most <= MEMORY_MIB_MAX, "{most} MiB");
    let spans = after()?.into_iter().filter(|span| !span.path().starts_with("/flood")).collect::<Vec<_>>();
    let truth = Truth::new(scene.truth()?).driven(&sent).only("after");
    let score = truth.judge(&spans)?;
    assert_eq!(score.exchanges, 100);
    score.all_right()
}

/// While it behaves so nothing is lost, and when it is well again everything is there, once.
fn gets_everything_in_the_end(test: &str, manner: Manner) -> Result<()> {
    const BAD: Duration = Duration::from_secs(5);
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let port = free_port()?;
    let collector = Collector::start(port)?;
    let endpoint = format!("http://127.0.0.1:{port}");
    let agent = Builder::exporting(&endpoint, "http/protobuf").tree(&backend).tree(&patterns).start()?;
    let load = Load { connections: 4, path: "/direct".to_owned(), ..Load::endless(&front, "r") };
    // 1,500 spans a second at most: of more than 2,100 the agent would not keep all as causes of later calls.
    let load = Load { pause: Duration::from_millis(8), ..load }.begin();
    wait::until("spans arrive", NOTICED, || Ok((collector.counts()?.0 > 0).then_some(())))?;
    collector.behave(manner);
    std::thread::sleep(BAD);
    let sent = load.finish()?;
    let (during, turned_away) = (collector.counts()?.0, collector.turned_away());
    collector.behave(Manner::Takes);
    let all = 3 * sent.len();
    wait::until("everything is there", NOTICED, || Ok((collector.counts()?.0 >= all).then_some(())))?;
    let stopped = agent.stop()?;
    println!("{during} of {all} spans meanwhile, {turned_away} requests turned away, {:?}", stopped.counts);
    assert!(during < all, "it was well all the time");
    assert_eq!((stopped.counts["spans"], stopped.lost()), (all as u64, 0), "{:?}", stopped.losses);
    Truth::new(scene.truth()?).driven(&sent).judge(&collector.spans_since(0)?)?.all_right()
}

#[test]
fn a_slow_collector_gets_everything() -> Result<()> {
    gets_everything_in_the_end("a_slow_collector_gets_everything", Manner::Slow(Duration::from_secs(3)))
}

#[test]
fn a_collector_that_answers_errors_gets_everything_when_it_is_well_again() -> Result<()> {
    let test = "a_collector_that_answers_errors_gets_everything_when_it_is_well_again";
    gets_everything_in_the_end(test, Manner::Busy)
}

#[test]
fn a_collector_that_hangs_up_in_the_middle_of_a_request_gets_it_again_and_once() -> Result<()> {
    let test = "a_collector_that_hangs_up_in_the_middle_of_a_request_gets_it_again_and_once";
    gets_everything_in_the_end(test, Manner::HangsUp)
}
