//! The agent comes when connections are there already.

use std::io::Write;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::session::{Session, read_answer};
use tracemend_tests::target::Target;
use tracemend_tests::truth::Sighting;
use tracemend_tests::workload;

/// A kept-alive connection with a past is traced from its next turn on. Whether the turn that was the first the agent
/// saw of it is traced too is left open.
fn is_traced_from_its_next_turn(scene: &Scene, target: &Target) -> Result<()> {
    const BEFORE: usize = 5;
    const COUNT: usize = 25;
    let backend = workload::backend(scene, target)?;
    let mut session = Session::connect(target)?;
    let mut get = |number: usize| session.get("/late", &format!("r{number:02}"), None);
    for number in 0..BEFORE {
        get(number)?;
    }
    let agent = Builder::new(scene).tree(&backend).start()?;
    let first = get(BEFORE)?;
    let later = (BEFORE + 1..COUNT).map(&mut get).collect::<Result<Vec<_>>>()?;
    let mut spans = agent.stop()?.spans;

    let unjudged = spans.extract_if(.., |span| span.start_ns <= first.sighting.to_ns);
    assert!(unjudged.count() <= 1, "turns from before the agent");
    let told: Vec<Sighting> = scene.truth()?.into_iter().filter(|one| one.from_ns > first.sighting.to_ns).collect();
    assert_eq!(told.len(), later.len());
    let score = Truth::new(told).driven(&later).judge(&spans)?;
    score.all_right()?;
    assert_eq!(score.halves.right, later.len(), "{score}");
    Ok(())
}

#[test]
fn a_tcp_connection_with_a_past_is_traced_from_its_next_turn() -> Result<()> {
    let test = "a_tcp_connection_with_a_past_is_traced_from_its_next_turn";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    is_traced_from_its_next_turn(&scene, &Target::ipv4()?)
}

#[test]
fn a_unix_connection_with_a_past_is_traced_from_its_next_turn() -> Result<()> {
    let test = "a_unix_connection_with_a_past_is_traced_from_its_next_turn";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let target = Target::Unix(scene.path("backend.sock"));
    is_traced_from_its_next_turn(&scene, &target)
}

/// What looks like a request at the place where the agent came in is the middle of a body.
#[test]
fn a_request_line_inside_a_body_is_no_request() -> Result<()> {
    const PAD: usize = 2000;
    let Some(scene) = Scene::open("a_request_line_inside_a_body_is_no_request", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let mut stream = target.connect()?;
    let invented = b"GET /invented HTTP/1.1\r\nhost: nowhere\r\n\r\n";
    let length = PAD + 2 * invented.len();
    write!(stream, "POST /body HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n")?;
    stream.write_all(&[b'.'; PAD])?;
    let agent = Builder::new(&scene).tree(&backend).start()?;
    for _ in 0..2 {
        stream.write_all(invented)?;
        // Each is read on its own, so that each could pass for the beginning of a turn.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(read_answer(&mut stream)?.0, 200);
    for number in 0..3 {
        write!(stream, "GET /next/{number} HTTP/1.1\r\nhost: here\r\n\r\n")?;
        assert_eq!(read_answer(&mut stream)?.0, 200);
    }
    let mut stopped = agent.stop()?;
    stopped.spans.sort_by_key(|span| span.start_ns);

    // The POST began before the agent: it may be unknown, but it is not called otherwise.
    let paths: Vec<_> = stopped.spans.iter().map(|span| span.path()).filter(|path| *path != "/body").collect();
    assert_eq!(paths, ["/next/0", "/next/1", "/next/2"]);
    assert!(stopped.spans.iter().all(|span| span.status() == Some(200)));
    Ok(())
}
