//! Large bodies, of which only the length is taken: a span ends with the last byte all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::near;
use tracemend_tests::dialogue::Dialogue;
use tracemend_tests::load::Load;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// 10 MB, in pieces that take about a second together.
const PIECE_BYTES: usize = 100_000;
const PIECES: usize = 100;
const PAUSE: Duration = Duration::from_millis(8);

/// Both spans of the exchange lie between the times.
fn last_until(spans: &[Span], path: &str, start_ns: u64, end_ns: u64) -> Result<()> {
    for kind in [Kind::Client, Kind::Server] {
        let span = spans.iter().find(|span| span.kind == kind && span.path() == path).context("a span")?;
        ensure!(span.end_ns - span.start_ns > 500_000_000, "{kind:?} span of {path} is too short");
        ensure!(
            near(span.start_ns, start_ns),
            "{kind:?} span of {path} starts off by {} ns",
            span.start_ns.abs_diff(start_ns)
        );
        ensure!(near(span.end_ns, end_ns), "{kind:?} span of {path} ends off by {} ns", span.end_ns.abs_diff(end_ns));
    }
    Ok(())
}

#[test]
fn spans_of_large_bodies_end_with_the_last_byte_in_both_directions() -> Result<()> {
    let test = "spans_of_large_bodies_end_with_the_last_byte_in_both_directions";
    let Some(scene) = Scene::open(test, &[])? else {
        return Ok(());
    };
    let agent = Builder::new(&scene).pid(std::process::id()).start()?;
    let dialogue = Dialogue::open()?;
    let piece = vec![b'.'; PIECE_BYTES];
    let pieces = vec![piece.as_slice(); PIECES];
    let length = PIECE_BYTES * PIECES;

    let download = dialogue.ask(b"GET /download HTTP/1.1\r\nhost: x\r\n\r\n")?;
    dialogue.answer(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
    let downloaded = dialogue.answer_in_pieces(&pieces, PAUSE)?;

    let upload =
        dialogue.ask(format!("POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n").as_bytes())?;
    dialogue.ask_in_pieces(&pieces, PAUSE)?;
    let uploaded = dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;

    dialogue.ask(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n")?;
    dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    let spans = agent.stop()?.spans;

    assert_eq!(spans.len(), 6);
    last_until(&spans, "/download", download, downloaded)?;
    last_until(&spans, "/upload", upload, uploaded)
}

/// Too large for their heads alone, and over too soon to be counted at leisure: whatever else tells how far they came must
/// not overtake their heads.
#[test]
fn large_answers_in_quick_succession_are_all_seen() -> Result<()> {
    const COUNT: usize = 400;
    let Some(scene) = Scene::open("large_answers_in_quick_succession_are_all_seen", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let agent = Builder::new(&scene).tree(&backend).pid(std::process::id()).start()?;
    let load = Load { path: "/big/300000".to_owned(), connections: 2, ..Load::new(&target, "r", COUNT) };
    let sent = load.run()?;
    let stopped = agent.stop()?;
    let score = Truth::new(scene.truth()?).driven(&sent).driver_traced().judge(&stopped.spans)?;
    println!("{score}losses {:?}", stopped.losses);
    score.all_right()?;
    assert_eq!((score.exchanges, stopped.losses), (COUNT, std::collections::BTreeMap::new()));
    Ok(())
}
