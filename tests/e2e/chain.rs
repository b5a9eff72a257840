//! nginx, an application, a backend: what every link of a real chain is worth.

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::{Score, Truth};
use tracemend_tests::target::Target;
use tracemend_tests::workload::{self, Forward, Upstream};

/// What stands in the middle of a chain.
#[derive(Clone, Copy)]
pub(crate) enum Middle {
    /// gunicorn, whose sync workers serve one request at a time.
    Gunicorn,
    /// One event loop for all requests.
    Asyncio,
}

/// A running chain.
pub(crate) struct Chain {
    front: Target,
    programs: Vec<Process>,
}

impl Chain {
    pub(crate) fn start(scene: &Scene, middle: Middle, forward: Forward) -> Result<Self> {
        let (front, between, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
        let backend = workload::backend(scene, &end)?;
        let (application, upstream) = match middle {
            // gunicorn's sync workers close after each answer.
            Middle::Gunicorn => (workload::gunicorn(scene, &between, &end, 2, forward)?, Upstream::PerRequest),
            Middle::Asyncio => (workload::asyncio(scene, &between, &end, forward)?, Upstream::KeptAlive),
        };
        let nginx = workload::nginx(scene, &front, &between, upstream)?;
        Ok(Self { front, programs: vec![backend, application, nginx] })
    }

    pub(crate) fn traced(&self, agent: Builder) -> Builder {
        self.programs.iter().fold(agent, Builder::tree)
    }

    pub(crate) fn load(&self, ids: &str, requests: usize) -> Load {
        Load { connections: 32, ..Load::new(&self.front, ids, requests) }
    }
}

/// One chain under load; its score.
fn drive(test: &str, middle: Middle, forward: Forward, requests: usize) -> Result<Option<Score>> {
    let Some(scene) = Scene::open(test, &["nginx", "gunicorn"])? else {
        return Ok(None);
    };
    let chain = Chain::start(&scene, middle, forward)?;
    let agent = chain.traced(Builder::new(&scene)).start()?;
    let sent = Load { contexts: forward == Forward::Traceparent, ..chain.load("r", requests) }.run()?;
    let stopped = agent.stop()?;
    let score = Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?;
    println!("{score}losses {:?}", stopped.losses);
    assert_eq!(score.exchanges, 3 * requests);
    score.whole()?;
    score.none_wrong()?;
    Ok(Some(score))
}

#[test]
fn gunicorn_with_contexts_has_every_parent_right() -> Result<()> {
    let test = "gunicorn_with_contexts_has_every_parent_right";
    drive(test, Middle::Gunicorn, Forward::Traceparent, 5000)?.map_or(Ok(()), |score| score.all_right())
}

/// Only what the kernel knows can link these.
#[test]
fn gunicorn_without_contexts_has_every_parent_right() -> Result<()> {
    let test = "gunicorn_without_contexts_has_every_parent_right";
    drive(test, Middle::Gunicorn, Forward::Nothing, 5000)?.map_or(Ok(()), |score| score.all_right())
}

#[test]
fn asyncio_with_contexts_has_every_parent_right() -> Result<()> {
    let test = "asyncio_with_contexts_has_every_parent_right";
    drive(test, Middle::Asyncio, Forward::Traceparent, 5000)?.map_or(Ok(()), |score| score.all_right())
}

/// Only what the runtime runs on its thread can link these.
#[test]
fn asyncio_without_contexts_has_every_parent_right() -> Result<()> {
    let test = "asyncio_without_contexts_has_every_parent_right";
    drive(test, Middle::Asyncio, Forward::Nothing, 5000)?.map_or(Ok(()), |score| score.all_right())
}

#[test]
fn gunicorn_and_asyncio_under_one_interpreter_do_not_disturb_each_other() -> Result<()> {
    const REQUESTS: usize = 1500;
    let test = "gunicorn_and_asyncio_under_one_interpreter_do_not_disturb_each_other";
    let Some(scene) = Scene::open(test, &["nginx", "gunicorn"])? else {
        return Ok(());
    };
    let sync = Chain::start(&scene, Middle::Gunicorn, Forward::Nothing)?;
    let looped = Chain::start(&scene, Middle::Asyncio, Forward::Nothing)?;
    let agent = looped.traced(sync.traced(Builder::new(&scene))).start()?;
    let (sync_load, looped_load) = (sync.load("s", REQUESTS), looped.load("l", REQUESTS));
    let (sync_sent, looped_sent) = std::thread::scope(|scope| {
        let other = scope.spawn(|| looped_load.run());
        (sync_load.run(), other.join().expect("no driver panics"))
    });
    let stopped = agent.stop()?;
    let truth = Truth::new(scene.truth()?).driven(&sync_sent?).driven(&looped_sent?);
    let whole = truth.judge(&stopped.spans)?;
    println!("{whole}losses {:?}", stopped.losses);
    whole.whole()?;
    whole.none_wrong()?;
    // The other chain's spans are extra to each part, so only links are judged here.
    let sync_score = truth.only("s").judge(&stopped.spans)?;
    assert_eq!((sync_score.halves.right, sync_score.causes.right), (3 * REQUESTS, 2 * REQUESTS), "{sync_score}");
    Ok(())
}

#[test]
fn unix_upstreams_have_every_parent_right() -> Result<()> {
    let Some(scene) = Scene::open("unix_upstreams_have_every_parent_right", &["nginx", "gunicorn"])? else {
        return Ok(());
    };
    let front = Target::ipv4()?;
    let (between, end) = (Target::Unix(scene.path("between.sock")), Target::Unix(scene.path("end.sock")));
    let backend = workload::backend(&scene, &end)?;
    // One worker: on unix sockets the scorer tells exchanges apart by process and time.
    let gunicorn = workload::gunicorn(&scene, &between, &end, 1, Forward::Nothing)?;
    let nginx = workload::nginx(&scene, &front, &between, Upstream::PerRequest)?;
    let agent = Builder::new(&scene).tree(&backend).tree(&gunicorn).tree(&nginx).start()?;
    let sent = Load { connections: 8, ..Load::new(&front, "r", 500) }.run()?;
    let stopped = agent.stop()?;
    let score = Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?;
    println!("{score}losses {:?}", stopped.losses);
    score.all_right()
}

/// A pooled upstream connection says nothing about whose request it carries.
#[test]
fn pooled_upstream_connections_of_nginx_give_no_wrong_parent() -> Result<()> {
    let test = "pooled_upstream_connections_of_nginx_give_no_wrong_parent";
    let Some(scene) = Scene::open(test, &["nginx"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let nginx = workload::nginx(&scene, &front, &end, Upstream::KeptAlive)?;
    let agent = Builder::new(&scene).tree(&backend).tree(&nginx).start()?;
    let sent = Load { connections: 16, ..Load::new(&front, "r", 1000) }.run()?;
    let stopped = agent.stop()?;
    let score = Truth::new(scene.truth()?).driven(&sent).judge(&stopped.spans)?;
    println!("{score}losses {:?}", stopped.losses);
    score.whole()?;
    score.none_wrong()
}
