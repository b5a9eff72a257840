//! The programs of `workloads/`: real, unchanged servers from Debian packages, and small ones that tell the truth.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::Process;
use crate::scene::Scene;
use crate::target::Target;

/// Debian's interpreter: what runs under it is what users run, and two programs share one executable.
pub const PYTHON: &str = "/usr/bin/python3";

/// A Python program of `workloads/python` with its arguments, telling the scene's truth.
#[must_use]
pub fn python(scene: &Scene, script: &str, arguments: &[&str]) -> Command {
    python_of(scene, Path::new(PYTHON), script, arguments)
}

/// The same under another interpreter.
#[must_use]
pub fn python_of(scene: &Scene, interpreter: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut command = program(scene, interpreter);
    command.arg(directory("python").join(script)).args(arguments);
    command
}

/// A program with what the scene gives its workloads.
#[must_use]
pub fn program(scene: &Scene, program: &Path) -> Command {
    let mut command = Command::new(program);
    surroundings(&mut command, scene);
    command
}

/// The end of a chain.
///
/// # Errors
/// It does not start.
pub fn backend(scene: &Scene, target: &Target) -> Result<Process> {
    let mut command = python(scene, "backend.py", &[&target.to_string()]);
    Process::serving("backend", &mut command, target)
}

/// A client that makes `count` calls with the ids `IDS1`, `IDS2`, ... when it is told to go, and says `done`.
///
/// # Errors
/// It does not start.
pub fn client(scene: &Scene, target: &Target, count: usize, ids: &str) -> Result<Process> {
    let mut command = python(scene, "client.py", &[&target.to_string(), &count.to_string(), ids]);
    Process::start("client", &mut command)
}

/// A threaded server whose path names how the work changes hands before the call to `backend`.
///
/// # Errors
/// It does not start.
pub fn patterns(scene: &Scene, target: &Target, backend: &Target) -> Result<Process> {
    let mut command = python(scene, "patterns.py", &[&target.to_string(), &backend.to_string()]);
    Process::serving("patterns", &mut command, target)
}

/// Whether a server in the middle passes a `traceparent` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// As it came.
    Traceparent,
    /// Not at all.
    Nothing,
}

/// An asyncio server that calls `backend` for each of its overlapping requests.
///
/// # Errors
/// It does not start.
pub fn asyncio(scene: &Scene, target: &Target, backend: &Target, forward: Forward) -> Result<Process> {
    let mut command = python(scene, "asyncio_app.py", &[&target.to_string(), &backend.to_string()]);
    Process::serving("asyncio", with(&mut command, forward), target)
}

/// gunicorn with sync workers, each of which calls `backend` over a kept-alive connection of its own.
///
/// # Errors
/// It does not start.
pub fn gunicorn(scene: &Scene, target: &Target, backend: &Target, workers: usize, forward: Forward) -> Result<Process> {
    gunicorn_calling(scene, target, backend, "/work", workers, forward)
}

/// The same, calling this path.
///
/// # Errors
/// It does not start.
pub fn gunicorn_calling(
    scene: &Scene,
    target: &Target,
    backend: &Target,
    path: &str,
    workers: usize,
    forward: Forward,
) -> Result<Process> {
    let mut command = program(scene, Path::new(PYTHON));
    command.arg("/usr/bin/gunicorn").args(["--worker-class", "sync"]).env("BACKEND_PATH", path);
    gunicorn_of(with(&mut command, forward), "app:app", target, backend, workers)
}

/// A gunicorn that is told all but what it serves, and where.
///
/// # Errors
/// It does not start.
pub fn gunicorn_of(
    command: &mut Command,
    application: &str,
    target: &Target,
    backend: &Target,
    workers: usize,
) -> Result<Process> {
    command
        .args(["--log-level", "warning", "--backlog", "1024"])
        .args(["--workers", &workers.to_string(), "--bind", &target.to_string()])
        .arg("--chdir")
        .arg(directory("python"))
        .arg(application)
        .env("BACKEND", backend.to_string());
    Process::serving("gunicorn", command, target)?.forked(workers + 1)
}

/// Whether nginx keeps connections to its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// HTTP/1.1 over pooled connections.
    KeptAlive,
    /// nginx's default: HTTP/1.0, a connection per request.
    PerRequest,
}

/// nginx with two workers as a reverse proxy.
///
/// # Errors
/// It does not start.
pub fn nginx(scene: &Scene, target: &Target, next: &Target, upstream: Upstream) -> Result<Process> {
    let (keepalive, reuse) = match upstream {
        Upstream::KeptAlive => ("keepalive 32;", "proxy_http_version 1.1; proxy_set_header Connection \"\";"),
        Upstream::PerRequest => ("", ""),
    };
    let settings = [("@UPSTREAM@", next.to_string()), ("@KEEPALIVE@", keepalive.into()), ("@REUSE@", reuse.into())];
    nginx_by(scene, target, "proxy.conf", &settings)
}

/// nginx with two workers in front of PHP's `fpm`, which runs `php/index.php` in eight processes, over a unix socket; both.
///
/// # Errors
/// One does not start.
pub fn nginx_and_fpm(scene: &Scene, target: &Target, fpm: &Path, backend: &Target) -> Result<Vec<Process>> {
    const CHILDREN: usize = 8;
    let home = scene.directory().display().to_string();
    let configuration = fs::read_to_string(directory("php").join("fpm.conf"))?.replace("@DIR@", &home);
    let file = scene.path("fpm.conf");
    fs::write(&file, configuration)?;
    let socket = scene.path("fpm.sock");
    let mut command = program(scene, fpm);
    command.args(["--allow-to-run-as-root", "--fpm-config"]).arg(&file).env("BACKEND", backend.to_string());
    let fpm = Process::serving("php-fpm", &mut command, &Target::Unix(socket.clone()))?.forked(CHILDREN + 1)?;
    let script = directory("php").join("index.php").display().to_string();
    let settings = [("@UPSTREAM@", socket.display().to_string()), ("@SCRIPT@", script)];
    Ok(vec![nginx_by(scene, target, "fastcgi.conf", &settings)?, fpm])
}

fn nginx_by(scene: &Scene, target: &Target, name: &str, settings: &[(&str, String)]) -> Result<Process> {
    const WORKERS: usize = 2;
    let home = scene.path(&format!("nginx-{}", target.to_string().replace(['/', ':'], "-")));
    fs::create_dir(&home)?;
    let configuration = fs::read_to_string(directory("nginx").join(name))?
        .replace("@DIR@", &home.display().to_string())
        .replace("@WORKERS@", &WORKERS.to_string())
        .replace("@LISTEN@", &target.to_string());
    let configuration = settings.iter().fold(configuration, |text, (name, value)| text.replace(name, value));
    let file = home.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(&home).arg("-c").arg(&file).arg("-e").arg("stderr");
    Process::serving("nginx", &mut command, target)?.forked(WORKERS + 1)
}

/// The directory of the workloads of one runtime.
#[must_use]
pub fn directory(runtime: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads").join(runtime)
}

fn surroundings(command: &mut Command, scene: &Scene) {
    command.env("TRUTH_LOG", scene.truth_log());
    // The scene's directory takes what Python compiles, not the source tree.
    command.env("PYTHONPYCACHEPREFIX", scene.path("pycache"));
    command.envs(scene.variables());
}

fn with(command: &mut Command, forward: Forward) -> &mut Command {
    if forward == Forward::Traceparent {
        command.env("FORWARD", "1");
    }
    command
}
