//! Go's channels: watched only where something is handed over. The actor is a program of Go's.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_ebpf::rules::watches::HITS_MAX;
use anyhow::{Context as _, Result, ensure};
use tracemend::attach::runtime;
use tracemend_core::decode::{Claim, Event};
use tracemend_tests::permission;
use tracemend_tests::process::Process;
use tracemend_tests::scene::skip;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

use crate::stage::{Stage, options, scene};

/// What one request at least runs into, within net/http alone.
const HITS_AT_LEAST: u64 = 4;
/// Probes are away for as long, and stay for a moment then.
const AWAY: Duration = Duration::from_secs(30);

/// A server whose requests make one call each.
struct Server {
    stage: Stage,
    pid: u32,
    stream: TcpStream,
    _processes: [Process; 2],
}

impl Server {
    fn open(test: &str) -> Result<Option<Self>> {
        let Some(scene) = scene(test)? else {
            return Ok(None);
        };
        let Some(go) =
            permission::program("go").or_else(|| Some("/usr/local/go/bin/go".into())).filter(|go| go.is_file())
        else {
            skip(test, "there is no Go");
            return Ok(None);
        };
        let program = scene.path("patterns");
        let mut build = Command::new(go);
        build.args(["build", "-o"]).arg(&program).arg(".").current_dir(workload::directory("go"));
        ensure!(build.env("CGO_ENABLED", "0").status()?.success(), "the patterns cannot be built");
        let (front, back) = (Target::ipv4()?, Target::ipv4()?);
        let backend = workload::backend(&scene, &back)?;
        let mut command = workload::program(&scene, &program);
        let server =
            Process::serving("patterns", command.args(["chan-late", &front.to_string(), &back.to_string()]), &front)?;
        let mut stage = Stage::start(scene, &options())?;
        let pid = server.pid();
        stage.session.targets().add(pid)?;
        let found = runtime::find(pid, &mut runtime::Images::default())?;
        stage.session.adapt(&found, true)?;
        let stream = TcpStream::connect(front.to_string())?;
        Ok(Some(Self { stage, pid, stream, _processes: [backend, server] }))
    }

    /// Asks, and waits for the answer.
    fn ask(&mut self, id: &str) -> Result<()> {
        write!(self.stream, "GET / HTTP/1.1\r\nhost: x\r\nx-truth: {id}\r\n\r\n")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"pattern\n") {
            let mut piece = [0; 4096];
            let length = self.stream.read(&mut piece)?;
            ensure!(length > 0, "the server is gone");
            answer.extend_from_slice(&piece[..length]);
        }
        Ok(())
    }

    /// Whom a worker's call was made for, by what it took out of a channel; none if it is not seen to take anything.
    fn queued(&mut self) -> Result<Option<Claim>> {
        self.stage.told()?;
        self.ask("queued")?;
        let told = self.stage.told()?;
        let mut takes = told.of(self.pid).filter_map(|event| match event {
            Event::Took { takes, .. } => takes[0].map(|taken| taken.claim),
            _ => None,
        });
        Ok(takes.next())
    }

    fn watch(&mut self, now: Instant) {
        self.stage.session.watch(&BTreeSet::new(), now);
    }
}

/// Probes go from a server that hands nothing over, come back for a look, and stay once that shows a channel with work in it.
#[test]
fn channels_without_work_are_left_alone_until_there_is_some() -> Result<()> {
    let Some(mut server) = Server::open("channels_without_work_are_left_alone_until_there_is_some")? else {
        return Ok(());
    };
    for number in 0..HITS_MAX / HITS_AT_LEAST {
        server.ask(&number.to_string())?;
        if number % 64 == 0 {
            server.stage.told()?;
        }
    }
    let went = Instant::now();
    server.watch(went);
    // Each waits for the kernel.
    while server.stage.session.detaching() > 0 {
        ensure!(went.elapsed() < AWAY, "the probes stay");
        sleep(Duration::from_millis(50));
    }
    assert_eq!(server.queued()?, None, "the probes are gone");
    let looks = went + AWAY;
    server.watch(looks - Duration::from_secs(1));
    assert_eq!(server.queued()?, None, "it is too early to look");
    server.watch(looks);
    assert_eq!(server.queued()?, None, "what is seen in a look is not noted");
    server.watch(looks);
    let claim = server.queued()?.context("a worker takes what is put")?;
    assert!(claim.inherited.is_some(), "for the request that was read: {claim:?}");
    server.watch(looks + 2 * AWAY);
    assert!(server.queued()?.is_some(), "they stay");
    Ok(())
}
