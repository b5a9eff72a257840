//! Go's net/http as it really is.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::permission;
use tracemend_tests::process::Process;
use tracemend_tests::scene::{Scene, skip};
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// Requests on one connection.
const REQUESTS: usize = 60;
/// The server is at work on a request by then, and waits for a client that leaves.
const AT_WORK: Duration = Duration::from_millis(10);
/// Before its call the server takes as long at most, in ms; the answer of a request whose successor has begun comes later.
const SERVICE_MS: &str = "40";

/// While a handler is at work, net/http waits for a client that leaves: a goroutine of its own reads one byte. That may be the
/// next request's first.
#[test]
fn the_byte_that_net_http_reads_ahead_splits_no_request() -> Result<()> {
    const TEST: &str = "the_byte_that_net_http_reads_ahead_splits_no_request";
    let Some(scene) = Scene::open(TEST, &["python3"])? else {
        return Ok(());
    };
    let Some(go) = permission::program("go").or_else(|| Some("/usr/local/go/bin/go".into())) else {
        return Ok(());
    };
    if !go.is_file() {
        skip(TEST, "there is no Go");
        return Ok(());
    }
    let program = scene.path("patterns");
    build(&go, &program)?;
    let (front, back) = (Target::ipv4()?, Target::ipv4()?);
    let _backend = workload::backend(&scene, &back)?;
    let mut command = workload::program(&scene, &program);
    command.args(["goroutine", &front.to_string(), &back.to_string()]).env("SERVICE_MS", SERVICE_MS);
    let server = Process::serving("patterns", &mut command, &front)?;
    let agent = Builder::new(&scene).tree(&server).start()?;
    talk(&front)?;
    let stopped = agent.stop()?;

    let mut calls: Vec<&Span> = stopped.spans.iter().filter(|span| span.kind == Kind::Client).collect();
    calls.sort_by_key(|span| span.start_ns);
    let asked: Vec<_> = calls.iter().map(|call| cause(call, &stopped.spans)).collect();
    assert_eq!(asked.len(), REQUESTS);
    for (number, asked) in asked.into_iter().enumerate() {
        match asked {
            Some(asked) => assert_eq!(asked, format!("/{number}")),
            // Two requests of one turn, as pipelined ones are: that may end in an orphan, and in nothing worse.
            None => assert!(number % 3 == 0, "no cause of the call for /{number}"),
        }
    }
    let served = stopped.spans.iter().filter(|span| span.kind == Kind::Server).map(|span| span.path().to_owned());
    let expected: BTreeSet<String> = (0..REQUESTS).map(|number| format!("/{number}")).collect();
    assert_eq!(served.collect::<BTreeSet<_>>(), expected, "each request is one span");
    Ok(())
}

/// Asks again and again on one connection. Of three requests, one comes at once behind the answer before it, one begins with
/// a byte while the server is at work on the one before it, and one begins with a byte a moment ahead of the rest.
fn talk(front: &Target) -> Result<()> {
    let mut stream = front.connect()?;
    let mut early = 0;
    for number in 0..REQUESTS {
        let request = format!("GET /{number} HTTP/1.1\r\nhost: x\r\nx-truth: r{number}\r\n\r\n");
        let mut rest = &request.as_bytes()[early..];
        if number % 3 == 2 {
            stream.write_all(&rest[..1])?;
            sleep(AT_WORK);
            rest = &rest[1..];
        }
        stream.write_all(rest)?;
        early = 0;
        if number % 3 == 0 && number + 1 < REQUESTS {
            sleep(AT_WORK);
            stream.write_all(b"G")?;
            early = 1;
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"pattern\n") {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece)?;
            ensure!(length > 0, "the server is gone");
            answer.extend_from_slice(&piece[..length]);
        }
    }
    Ok(())
}

/// The path of the request that a call has as its parent.
fn cause(call: &Span, spans: &[Span]) -> Option<String> {
    let parent = call.parent.as_ref()?;
    let served = spans.iter().find(|span| span.kind == Kind::Server && span.span_id == *parent)?;
    Some(served.path().to_owned())
}

fn build(go: &Path, program: &Path) -> Result<()> {
    let mut build = Command::new(go);
    build.args(["build", "-o"]).arg(program).arg(".").current_dir(workload::directory("go"));
    let built = build.env("CGO_ENABLED", "0").status().context("Go cannot be run")?;
    ensure!(built.success(), "the patterns cannot be built");
    Ok(())
}
