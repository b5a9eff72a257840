//! A connection whose wire breaks: both ends wait, and give up with an error of their own.

use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::actor::Actor;
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::{near, now_ns};
use tracemend_tests::netns::Netns;
use tracemend_tests::otlp::Kind;
use tracemend_tests::scene::Scene;

#[test]
fn an_exchange_that_times_out_ends_with_that_error_at_both_ends() -> Result<()> {
    let test = "an_exchange_that_times_out_ends_with_that_error_at_both_ends";
    let Some(scene) = Scene::open(test, &["python3", "ip"])? else {
        return Ok(());
    };
    let (here, there) = (Netns::new()?, Netns::new()?);
    here.wire("wire0", "10.77.1.1/24", &there, "wire1", "10.77.1.2/24")?;
    let (mut client, mut server) = (Actor::start_in(&scene, &here)?, Actor::start_in(&scene, &there)?);
    let agent = Builder::new(&scene).pid(client.pid()).pid(server.pid()).start()?;

    server.does("l = socket.create_server(('10.77.1.2', 8000))")?;
    client.does("a = socket.create_connection(('10.77.1.2', 8000))")?;
    server.does("b, _ = l.accept()")?;
    // The client's bytes are acknowledged within a second, the server's peer is asked whether it lives after a second.
    client.does("a.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)")?;
    server.does("b.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)")?;
    server
        .does("for name in 'KEEPIDLE', 'KEEPINTVL', 'KEEPCNT': b.setsockopt(6, getattr(socket, f'TCP_{name}'), 1)")?;
    let begun = now_ns();
    let sent = client.number("a.send(b'POST /lost HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 9\\r\\n\\r\\n')")?;
    server.does(&format!("take(b, {sent})"))?;
    here.run("ip link set wire0 down")?;
    client.does("a.send(b'lost')")?;
    let fails = |end: &str| format!("try: {end}.recv(1)\nexcept TimeoutError: pass\ntime.time_ns()");
    let ended = [client.number(&fails("a"))?, server.number(&fails("b"))?];
    let stopped = agent.stop()?;

    assert_eq!(stopped.spans.len(), 2, "{:?}", stopped.spans);
    for (kind, ended) in [Kind::Client, Kind::Server].into_iter().zip(ended) {
        let span = stopped.spans.iter().find(|span| span.kind == kind).context("a span")?;
        assert_eq!((span.method(), span.path(), span.status()), ("POST", "/lost", None));
        assert_eq!(span.text("error.type"), Some("ETIMEDOUT"), "{kind:?}");
        assert!(near(span.start_ns, begun), "{kind:?}");
        assert!(near(span.end_ns, ended), "{kind:?}: off by {:?}", Duration::from_nanos(span.end_ns.abs_diff(ended)));
    }
    assert!(stopped.losses.is_empty(), "{:?}", stopped.losses);
    Ok(())
}
