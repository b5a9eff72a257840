//! Every system call that moves bytes of a socket.

use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::Builder;
use tracemend_tests::clock::near;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// The shapes of `shapes.py`, and the exchanges in each.
const SHAPES: &[&str] = &["send", "write", "writev", "sendmsg", "peek", "waitall", "twelve", "sendfile"];
const EXCHANGES: usize = 5;

#[test]
fn an_exchange_is_the_same_through_every_system_call() -> Result<()> {
    let test = "an_exchange_is_the_same_through_every_system_call";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let address = target.to_string();
    let server = Process::serving("server", &mut workload::python(&scene, "shapes.py", &["serve", &address]), &target)?;
    let mut client = Process::start("client", &mut workload::python(&scene, "shapes.py", &["call", &address]))?;
    let agent = Builder::new(&scene).tree(&server).tree(&client).start()?;
    client.tell("go")?;
    client.says("done", Duration::from_secs(30))?;
    let stopped = agent.stop()?;

    let told = scene.truth()?;
    assert_eq!(told.len(), SHAPES.len() * EXCHANGES);
    let score = Truth::new(told.clone()).driver_traced().judge(&stopped.spans)?;
    score.all_right()?;
    for sighting in &told {
        let (shape, number) = sighting.id.split_at(sighting.id.len() - 1);
        let path = format!("/{shape}/{number}");
        let spans: Vec<_> = stopped.spans.iter().filter(|span| span.path() == path).collect();
        assert_eq!(spans.len(), 2, "{path}");
        for span in spans {
            assert_eq!((span.method(), span.status()), ("POST", Some(200)), "{path}");
            assert!(
                near(span.start_ns, sighting.from_ns) && near(span.end_ns, sighting.to_ns),
                "{path}: {:?}",
                span.kind
            );
        }
    }
    // What no register pointed to is counted, not guessed: a file's bytes, and buffers behind the eighth of each message.
    assert_eq!(stopped.lost_by("other_syscall"), EXCHANGES as u64, "{:?}", stopped.losses);
    assert_eq!(stopped.lost_by("many_buffers"), 2 * EXCHANGES as u64, "{:?}", stopped.losses);
    let sendfile = stopped.spans.iter().find(|span| span.path() == "/sendfile/0");
    sendfile.context("an exchange over sendfile").map(drop)
}
