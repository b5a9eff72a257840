//! The runs that were recorded.

use std::path::PathBuf;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::Target;
use tracemend_tests::workload::{self, Forward, Upstream};

use crate::folder;

#[test]
#[ignore = "rewrites the recordings: `cargo xtask bless --record` runs it"]
fn record_every_scene() -> Result<()> {
    chain("nginx-gunicorn", Forward::Nothing, false)?;
    chain("nginx-gunicorn-contexts", Forward::Traceparent, true)?;
    asyncio()?;
    handoffs()?;
    pooled()
}

fn scene() -> Result<Scene> {
    let scene = Scene::open("record_every_scene", &["nginx", "gunicorn"])?;
    anyhow::ensure!(scene.is_some(), "recordings need BPF, nginx and gunicorn");
    Ok(scene.into_iter().next().expect("checked"))
}

/// Records what becomes of a few requests.
fn record(scene: &Scene, name: &str, programs: &[&Process], loads: &[Load]) -> Result<()> {
    let path: PathBuf = folder().join(name).with_extension("tmrec");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let builder = programs.iter().fold(Builder::new(scene).recording(&path), |builder, program| builder.tree(program));
    let agent = builder.start()?;
    for load in loads {
        load.run()?;
    }
    agent.stop()?;
    Ok(())
}

/// nginx, gunicorn's sync workers, a backend.
fn chain(name: &str, forward: Forward, contexts: bool) -> Result<()> {
    let scene = scene()?;
    let (front, between, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let gunicorn = workload::gunicorn(&scene, &between, &end, 2, forward)?;
    let nginx = workload::nginx(&scene, &front, &between, Upstream::PerRequest)?;
    let load = Load { connections: 8, contexts, ..Load::new(&front, "r", 40) };
    record(&scene, name, &[&backend, &gunicorn, &nginx], &[load])
}

/// One event loop for requests that overlap.
fn asyncio() -> Result<()> {
    let scene = scene()?;
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let application = workload::asyncio(&scene, &front, &end, Forward::Nothing)?;
    let load = Load { connections: 8, ..Load::new(&front, "r", 40) };
    record(&scene, "asyncio", &[&backend, &application], &[load])
}

/// Threads and processes that are created while serving.
fn handoffs() -> Result<()> {
    let scene = scene()?;
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let load =
        |path: &str| Load { path: path.to_owned(), connections: 3, ..Load::new(&front, &path.replace('/', ""), 6) };
    let loads = ["/direct", "/join", "/pool", "/outlive", "/fork", "/spawn"].map(load);
    record(&scene, "threads", &[&backend, &patterns], &loads)
}

/// nginx with upstream connections that are kept for anybody.
fn pooled() -> Result<()> {
    let scene = scene()?;
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let nginx = workload::nginx(&scene, &front, &end, Upstream::KeptAlive)?;
    let load = Load { connections: 8, ..Load::new(&front, "r", 60) };
    record(&scene, "nginx-keepalive", &[&backend, &nginx], &[load])
}
