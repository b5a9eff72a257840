//! Every play of the catalogue on real sockets, beside an agent.
//!
//! Those that must lose nothing are played one after the other beside one agent; the first test that asks for one has all
//! of them played that were chosen to be run. What must be lost is counted by an agent that sees nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tracemend_tests::agent::{Builder, Stopped};
use tracemend_tests::for_each_play;
use tracemend_tests::otlp::Span;
use tracemend_tests::permission;
use tracemend_tests::play::judge::{self, Seen, short};
use tracemend_tests::play::perform::{Performed, Troupe};
use tracemend_tests::play::{Link, Play, catalogue};
use tracemend_tests::scene::{Scene, skip};

macro_rules! tests {
    ($($chapter:ident { $($play:ident)* })*) => {
        $(mod $chapter {
            $(#[test]
            fn $play() -> anyhow::Result<()> {
                let name = concat!(stringify!($chapter), "::", stringify!($play));
                super::is_told_as_it_must_be(name, &super::catalogue::$chapter::$play())
            })*
        })*
    };
}
for_each_play!(tests);

/// Between two plays, so that each has its time to itself.
const INTERVAL: Duration = Duration::from_millis(20);

/// What came of the plays that were played together.
struct Ensemble {
    seen: HashMap<&'static str, Seen>,
    /// Spans of no play's time.
    extra: Vec<String>,
    losses: BTreeMap<String, u64>,
}

fn is_told_as_it_must_be(name: &'static str, play: &Play) -> Result<()> {
    let test = format!("plays::{name}");
    if play.wires.iter().any(|wire| wire.link == Link::Mptcp || wire.link == Link::MptcpListener) && !has_mptcp() {
        skip(&test, "MPTCP is off (net.mptcp.enabled)");
        return Ok(());
    }
    // Where nothing can be played, the test says so itself.
    let possible = permission::missing().is_none() && permission::program("python3").is_some();
    let seen = if possible && !play.plays_alone() { together(&test, name, play)? } else { alone(&test, play)? };
    let Some(seen) = seen else { return Ok(()) };
    let faults = judge::judge(play, &seen);
    let told: Vec<_> = seen.spans.iter().map(short).collect();
    ensure!(faults.is_empty(), "{}\ntold:\n{}", faults.join("\n"), told.join("\n"));
    Ok(())
}

/// Plays it with an agent of its own.
fn alone(test: &str, play: &Play) -> Result<Option<Seen>> {
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(None);
    };
    let mut troupe = Troupe::start(&scene, play.parties())?;
    let agent = troupe.pids().fold(Builder::new(&scene), Builder::pid).start()?;
    let performed = troupe.perform(&scene, play)?;
    let Stopped { spans, losses, .. } = agent.stop()?;
    Ok(Some(performed.seen(spans, Some(losses))))
}

fn together(test: &str, name: &'static str, play: &Play) -> Result<Option<Seen>> {
    static ENSEMBLE: OnceLock<Result<Option<Ensemble>, String>> = OnceLock::new();
    let played = ENSEMBLE.get_or_init(|| play_together().map_err(|error| format!("{error:#}")));
    match played.as_ref().map_err(|error| anyhow!("{error}"))? {
        Some(ensemble) => match ensemble.seen.get(name) {
            Some(seen) => {
                ensure!(ensemble.extra.is_empty(), "spans of no play: {:?}", ensemble.extra);
                ensure!(ensemble.losses.is_empty(), "lost: {:?}", ensemble.losses);
                Ok(Some(seen.clone()))
            }
            None => alone(test, play),
        },
        None => alone(test, play),
    }
}

fn play_together() -> Result<Option<Ensemble>> {
    let Some(scene) = Scene::open("plays", &["python3"])? else {
        return Ok(None);
    };
    let plays = catalogue::all().into_iter().filter(|(name, play)| !play.plays_alone() && is_chosen(name));
    let plays: Vec<(&'static str, Play)> = plays.collect();
    let parties = plays.iter().map(|(_, play)| play.parties()).max().unwrap_or_default();
    let mut troupe = Troupe::start(&scene, parties)?;
    let agent = troupe.pids().fold(Builder::new(&scene), Builder::pid).start()?;
    let mut performed: Vec<(&'static str, Performed)> = Vec::new();
    for (name, play) in &plays {
        if play.wires.iter().any(|wire| matches!(wire.link, Link::Mptcp | Link::MptcpListener)) && !has_mptcp() {
            continue;
        }
        performed.push((name, troupe.perform(&scene, play).with_context(|| (*name).to_owned())?));
        std::thread::sleep(INTERVAL);
    }
    let mut stopped = agent.stop()?;
    let mut seen = HashMap::new();
    for (name, performed) in performed {
        let [begun, ended] = performed.between;
        let of_its_time = |span: &mut Span| span.start_ns >= begun && span.start_ns <= ended;
        let spans = stopped.spans.extract_if(.., of_its_time).collect();
        seen.insert(name, performed.seen(spans, None));
    }
    let extra = stopped.spans.iter().map(short).collect();
    Ok(Some(Ensemble { seen, extra, losses: stopped.losses }))
}

/// True if the harness was asked to run this test, or all.
fn is_chosen(name: &str) -> bool {
    is_chosen_by(std::env::args().skip(1), &format!("plays::{name}"))
}

/// Likewise by these arguments of the harness.
fn is_chosen_by(mut arguments: impl Iterator<Item = String>, test: &str) -> bool {
    let (mut chosen, mut others, mut skipped) = (false, false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--skip" => skipped |= arguments.next().is_some_and(|part| test.contains(&part)),
            "--test-threads" | "--color" | "--format" | "--logfile" => _ = arguments.next(),
            option if option.starts_with('-') => {}
            part => {
                chosen |= test.contains(part);
                others |= !test.contains(part);
            }
        }
    }
    !skipped && (chosen || !others)
}

#[test]
fn the_plays_that_are_chosen_are_those_that_the_harness_runs() {
    let chosen = |arguments: &[&str]| is_chosen_by(arguments.iter().map(ToString::to_string), "plays::lines::tabs");
    for arguments in [&[] as &[_], &["--test-threads=1", "--skip", "breaking::"], &["--format", "terse", "lines::"]] {
        assert!(chosen(arguments), "{arguments:?}");
    }
    for arguments in [["--nocapture", "chain::"], ["--skip", "plays::"], ["--skip", "lines"]] {
        assert!(!chosen(&arguments), "{arguments:?}");
    }
}

fn has_mptcp() -> bool {
    std::fs::read_to_string("/proc/sys/net/mptcp/enabled").is_ok_and(|enabled| enabled.trim() == "1")
}
