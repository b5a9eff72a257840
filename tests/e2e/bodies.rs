//! Large bodies, of which only the length is taken: a span ends with the last byte all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::near;
use tracemend_tests::dialogue::Dialogue;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::scene::Scene;

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
