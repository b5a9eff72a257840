//! Traced programs that are killed in every state of an exchange.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::actor::Actor;
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// A traced program between a caller and a backend that are not.
struct Middle {
    actor: Actor,
    caller: TcpStream,
    backend: TcpListener,
}

impl Middle {
    fn start(scene: &Scene) -> Result<Self> {
        let mut actor = Actor::start(scene)?;
        actor.does("l = socket.create_server(('127.0.0.1', 0))")?;
        let port = u16::try_from(actor.number("l.getsockname()[1]")?)?;
        let caller = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        caller.set_read_timeout(Some(Duration::from_secs(30)))?;
        caller.set_nodelay(true)?;
        let backend = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { actor, caller, backend })
    }

    /// The caller says this, and the program reads it all.
    fn reads(&mut self, bytes: &str) -> Result<()> {
        self.caller.write_all(bytes.as_bytes())?;
        self.actor.does(&format!("b = globals().get('b') or l.accept()[0]; take(b, {})", bytes.len())).map(drop)
    }

    /// The program calls its backend with these bytes, which reads them all; gives the backend's end.
    fn calls(&mut self, bytes: &str) -> Result<TcpStream> {
        let port = self.backend.local_addr()?.port();
        self.actor
            .does(&format!("c = socket.create_connection(('127.0.0.1', {port})); c.sendall({bytes:?}.encode())"))?;
        let (mut stream, _) = self.backend.accept()?;
        stream.read_exact(&mut vec![0; bytes.len()])?;
        Ok(stream)
    }

    /// Killed, it hangs up on its caller.
    fn dies(mut self) -> Result<()> {
        self.actor.kill()?;
        let mut bytes = Vec::new();
        // Bytes it did not read any more make its end a reset.
        let over = self.caller.read_to_end(&mut bytes);
        println!("the caller reads {} bytes and {over:?}", bytes.len());
        Ok(())
    }
}

/// What is told of one exchange of one end: status, and the kind of error.
type Told<'a> = (Kind, Option<i64>, Option<&'a str>);

fn told<'a>(spans: &'a [Span], path: &str) -> Vec<Told<'a>> {
    let of = spans.iter().filter(|span| span.path() == path);
    let mut told: Vec<_> = of.map(|span| (span.kind, span.status(), span.text("error.type"))).collect();
    told.sort_by_key(|told| told.0 == Kind::Client);
    told
}

#[test]
fn programs_killed_in_every_state_are_told_as_far_as_they_came_and_disturb_nobody() -> Result<()> {
    const GET: &str = " HTTP/1.1\r\nhost: here\r\n\r\n";
    let test = "programs_killed_in_every_state_are_told_as_far_as_they_came_and_disturb_nobody";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let mut middles = (0..8).map(|_| Middle::start(&scene)).collect::<Result<Vec<_>>>()?;
    let agent = Builder::new(&scene).tree(&backend).tree(&patterns);
    let agent = middles.iter().fold(agent, |agent, middle| agent.tree(middle.actor.process())).start()?;
    let load = Load { connections: 2, path: "/direct".to_owned(), ..Load::endless(&front, "r") }.begin();
    let mut next = || middles.pop().context("another program");

    let mut idle = next()?;
    idle.reads(&format!("GET /idle{GET}"))?;
    idle.actor.does("b.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n')")?;
    idle.dies()?;

    let mut in_a_head = next()?;
    in_a_head.reads("GET /head HTTP/1.1\r\nhost: he")?;
    in_a_head.dies()?;

    let mut in_a_body = next()?;
    in_a_body.reads("POST /body HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n\r\nabc")?;
    in_a_body.dies()?;

    let mut behind = next()?;
    behind.reads("POST /behind HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n\r\nabc")?;
    behind.caller.write_all(b"which it does not read, so that its end is a reset")?;
    behind.dies()?;

    let mut calling = next()?;
    calling.reads(&format!("GET /calling{GET}"))?;
    let half_asked = calling.calls("GET /half HTTP/1.1\r\nhost: he")?;
    calling.dies()?;
    drop(half_asked);

    let mut waiting = next()?;
    waiting.reads(&format!("GET /waiting{GET}"))?;
    let unanswered = waiting.calls(&format!("GET /asked{GET}"))?;
    waiting.dies()?;
    drop(unanswered);

    let mut hearing = next()?;
    hearing.reads(&format!("GET /hearing{GET}"))?;
    let mut answering = hearing.calls(&format!("GET /answering{GET}"))?;
    answering.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\nabc")?;
    hearing.actor.does("take(c, 44)")?;
    hearing.dies()?;
    drop(answering);

    let mut answering = next()?;
    answering.reads(&format!("GET /streaming{GET}"))?;
    answering.actor.does("b.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 90000\\r\\n\\r\\n' + bytes(40000))")?;
    answering.dies()?;

    let sent = load.finish()?;
    let stopped = agent.stop()?;
    println!("losses {:?}", stopped.losses);
    let spans = &stopped.spans;
    let closed = Some("closed");
    assert_eq!(told(spans, "/idle"), [(Kind::Server, Some(200), None)]);
    assert_eq!(told(spans, "/head"), []);
    assert_eq!(told(spans, "/body"), [(Kind::Server, None, closed)]);
    assert_eq!(told(spans, "/behind"), [(Kind::Server, None, closed)]);
    assert_eq!(told(spans, "/calling"), [(Kind::Server, None, closed)]);
    assert_eq!(told(spans, "/half"), []);
    assert_eq!(told(spans, "/waiting"), [(Kind::Server, None, closed)]);
    assert_eq!(told(spans, "/asked"), [(Kind::Client, None, closed)]);
    assert_eq!(told(spans, "/hearing"), [(Kind::Server, None, closed)]);
    assert_eq!(told(spans, "/answering"), [(Kind::Client, Some(200), closed)]);
    assert_eq!(told(spans, "/streaming"), [(Kind::Server, Some(200), closed)]);
    for (call, cause) in [("/asked", "/waiting"), ("/answering", "/hearing")] {
        let of = |path| spans.iter().find(|span| span.path() == path).context(path);
        assert_eq!(of(call)?.parent.as_ref(), Some(&of(cause)?.span_id), "{call}");
    }
    // Nobody else noticed.
    let others: Vec<_> = spans.iter().filter(|span| ["/direct", "/work"].contains(&span.path())).cloned().collect();
    Truth::new(scene.truth()?).driven(&sent).judge(&others)?.all_right()
}
