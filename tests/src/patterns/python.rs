//! Python: Debian's interpreter, which is stripped, and another build where there is one. What is not in Python's own
//! library is in a virtual environment of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::build::{answer, built, directory, installed, step};
use super::{Pattern, Start, Variant};
use crate::permission;
use crate::process::Process;
use crate::target::Target;
use crate::workload::{self, Forward, PYTHON};

/// A pattern of the standard library.
const PLAIN: Pattern = Pattern {
    id: "",
    calls: 1,
    shared: 1,
    leaves: false,
    pipelined: 1,
    path: "/",
    variants: interpreters,
    start: |with| script(with, "asyncio_app.py"),
};
/// One that needs packages.
const PACKAGED: Pattern = Pattern { variants: environments, ..PLAIN };
const THREADS: Pattern = Pattern { start: |with| script(with, "patterns.py"), ..PLAIN };
const GEVENT: Pattern = Pattern { start: |with| script(with, "gevent_app.py"), ..PACKAGED };
const FLASK: Pattern = Pattern { calls: 2, start: flask, ..PACKAGED };
const FASTAPI: Pattern = Pattern { start: |with| script(with, "fastapi_app.py"), ..PACKAGED };
const AIOHTTP: Pattern = Pattern { start: |with| script(with, "aiohttp_app.py"), ..PACKAGED };

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern { id: "python/asyncio-direct", ..PLAIN },
    Pattern { id: "python/asyncio-task", path: "/task", ..PLAIN },
    Pattern { id: "python/asyncio-gather", path: "/gather", calls: 3, ..PLAIN },
    Pattern { id: "python/asyncio-fire-and-forget", path: "/fire-and-forget", ..PLAIN },
    Pattern { id: "python/asyncio-background-exporter", path: "/background-exporter", ..PLAIN },
    Pattern { id: "python/asyncio-timeout-retry", path: "/timeout-retry", calls: 2, ..PLAIN },
    Pattern { id: "python/to-thread", path: "/to-thread", ..PLAIN },
    Pattern { id: "python/run-in-executor", path: "/run-in-executor", ..PLAIN },
    Pattern { id: "python/asyncio-queue", path: "/queue", ..PLAIN },
    Pattern { id: "python/uvloop-task", path: "/task", start: uvloop, ..PACKAGED },
    Pattern { id: "python/thread-pool", path: "/thread-pool", ..THREADS },
    Pattern { id: "python/thread-pool-lazy", path: "/pool", ..THREADS },
    Pattern { id: "python/queue-threads", path: "/queue", ..THREADS },
    Pattern { id: "python/thread-per-request", path: "/join", ..THREADS },
    Pattern { id: "python/multiprocessing-pool", start: |with| script(with, "multiprocessing_app.py"), ..PLAIN },
    Pattern { id: "python/aiohttp", ..AIOHTTP },
    Pattern { id: "python/sse-stream", path: "/sse", calls: 2, leaves: true, ..AIOHTTP },
    Pattern { id: "python/fastapi-httpx", ..FASTAPI },
    Pattern { id: "python/httpx-pool-wait", path: "/pool-wait", ..FASTAPI },
    Pattern { id: "python/gevent-direct", path: "/direct", ..GEVENT },
    Pattern { id: "python/gevent-spawn", path: "/spawn", ..GEVENT },
    Pattern { id: "python/gevent-pool", path: "/pool", ..GEVENT },
    Pattern { id: "python/gunicorn-sync", variants: gunicorns, start: gunicorn_sync, ..PACKAGED },
    Pattern {
        id: "python/gunicorn-gthread",
        start: |with| gunicorn(with, &["--worker-class", "gthread", "--threads", "16"], 2),
        ..PACKAGED
    },
    Pattern {
        id: "python/gunicorn-gevent",
        start: |with| gunicorn(with, &["--worker-class", "gevent"], 2),
        ..PACKAGED
    },
    Pattern { id: "python/flask-gevent-threads", path: "/threads", ..FLASK },
    Pattern { id: "python/flask-gevent-stream", path: "/stream", ..FLASK },
    CELERY,
];

const CELERY: Pattern = Pattern { id: "python/celery-redis", variants: celeries, start: celery, ..PACKAGED };

/// Not scored: what else Celery does with tasks, and a pool that is not read.
pub(super) const UNSCORED: [Pattern; 4] = [
    Pattern { id: "python/celery-chain", path: "/chain", calls: 2, ..CELERY },
    Pattern { id: "python/celery-countdown", path: "/later", ..CELERY },
    Pattern { id: "python/celery-retry", path: "/retry", calls: 2, ..CELERY },
    Pattern { id: "python/process-pool-executor", start: |with| script(with, "process_pool_app.py"), ..PLAIN },
];

/// Sync workers serve one request at a time: so many are served at once.
const SYNC_WORKERS: usize = 8;

/// The version and the file of an interpreter.
const ASK: &[&str] = &["-c", "import platform, sys; print(platform.python_version(), sys.executable)"];

/// An interpreter, where its virtual environment is, and what it is called.
struct Interpreter {
    name: String,
    program: PathBuf,
    environment: &'static str,
}

impl Interpreter {
    /// Debian's, and the first one on the search path that is not Debian's.
    fn all() -> Vec<Self> {
        let debian = version(Path::new(PYTHON)).map(|(version, _)| Self {
            name: format!("Python {version} (Debian, stripped)"),
            program: PYTHON.into(),
            environment: "python-debian",
        });
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut names = std::env::split_paths(&path).map(|directory| directory.join("python3"));
        let other = names.find_map(|name| {
            let (version, program) = version(&name)?;
            let debians = ["/usr/bin", "/bin"].map(Path::new).contains(&program.parent()?);
            (!debians).then(|| Self {
                name: format!("Python {version} (not Debian's)"),
                program,
                environment: "python-other",
            })
        });
        debian.into_iter().chain(other).collect()
    }

    /// The virtual environment's interpreter: the same file by another name.
    fn packaged(&self) -> String {
        format!("{}/bin/python", self.environment)
    }
}

fn version(interpreter: &Path) -> Option<(String, PathBuf)> {
    let told = interpreter.is_file().then(|| answer(interpreter, ASK))??;
    let (version, program) = told.split_once(' ')?;
    Some((version.to_owned(), program.into()))
}

pub(super) fn prepare() -> Result<()> {
    let list = workload::directory("python").join("requirements.txt");
    for interpreter in Interpreter::all() {
        let environment = directory().join(interpreter.environment);
        let done = environment.join("requirements.txt");
        if fs::read(&done).ok() == fs::read(&list).ok() {
            continue;
        }
        step(Command::new(&interpreter.program).args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/python"));
        step(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list))?;
        fs::copy(&list, done)?;
    }
    Ok(())
}

fn interpreters() -> Vec<Variant> {
    let mut variants: Vec<_> =
        Interpreter::all().into_iter().map(|one| Variant { name: one.name, program: Ok(one.program) }).collect();
    if variants.is_empty() {
        variants.push(installed("Python".to_owned(), "python3"));
    }
    variants
}

fn environments() -> Vec<Variant> {
    let all = Interpreter::all();
    if all.is_empty() {
        return interpreters();
    }
    all.iter().map(|one| built(one.name.clone(), &one.packaged())).collect()
}

/// Debian's own gunicorn under Debian's interpreter, and the environment's under the other one.
fn gunicorns() -> Vec<Variant> {
    let mut variants = environments();
    let ask = ["-c", "import gunicorn; print(gunicorn.__version__)"];
    let debians = answer(PYTHON, &ask).unwrap_or_default();
    if let Some(debian) = variants.first_mut() {
        *debian = installed(format!("gunicorn {debians}, {}", debian.name), "gunicorn");
    }
    variants
}

fn celeries() -> Vec<Variant> {
    let redis = installed(String::new(), "redis-server").program;
    let with = |one: Variant| Variant { program: redis.clone().and(one.program), ..one };
    environments().into_iter().map(with).collect()
}

fn command(start: &Start<'_>, name: &str) -> Command {
    let (front, backend) = (start.front.to_string(), start.backend.to_string());
    workload::python_of(start.scene, start.program, name, &[&front, &backend])
}

fn script(start: &Start<'_>, name: &str) -> Result<Vec<Process>> {
    Ok(vec![Process::serving("pattern", &mut command(start, name), start.front)?])
}

fn uvloop(start: &Start<'_>) -> Result<Vec<Process>> {
    let mut command = command(start, "asyncio_app.py");
    Ok(vec![Process::serving("pattern", command.env("LOOP", "uvloop"), start.front)?])
}

fn gunicorn_sync(start: &Start<'_>) -> Result<Vec<Process>> {
    if start.program.ends_with("gunicorn") {
        return Ok(vec![workload::gunicorn(start.scene, start.front, start.backend, SYNC_WORKERS, Forward::Nothing)?]);
    }
    gunicorn(start, &["--worker-class", "sync"], SYNC_WORKERS)
}

fn gunicorn(start: &Start<'_>, class: &[&str], workers: usize) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.args(["-m", "gunicorn"]).args(class);
    Ok(vec![workload::gunicorn_of(&mut command, "app:app", start.front, start.backend, workers)?])
}

fn flask(start: &Start<'_>) -> Result<Vec<Process>> {
    let mut command = workload::program(start.scene, start.program);
    command.args(["-m", "gunicorn", "--worker-class", "gevent"]);
    Ok(vec![workload::gunicorn_of(&mut command, "flask_app:app", start.front, start.backend, 2)?])
}

/// Redis, a worker with a pool of processes, and a server that sends it work.
fn celery(start: &Start<'_>) -> Result<Vec<Process>> {
    const PROCESSES: usize = 8;
    let redis = Target::ipv4()?;
    let Target::Tcp(address) = &redis else { unreachable!("asked for IPv4") };
    let mut server = Command::new(permission::program("redis-server").unwrap_or_default());
    server.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", "", "--appendonly", "no"]);
    let server = Process::serving("redis", server.current_dir(start.scene.directory()), &redis)?;
    let mut worker = workload::program(start.scene, start.program);
    worker
        .args(["-m", "celery", "--app", "celery_app", "worker", "--pool", "prefork", "--loglevel", "info"])
        .args(["--concurrency", &PROCESSES.to_string()])
        .current_dir(workload::directory("python"))
        .env("REDIS", redis.to_string())
        .env("BACKEND", start.backend.to_string());
    let mut worker = Process::start("worker", &mut worker)?.forked(PROCESSES + 1)?;
    worker.says(" ready.", crate::agent::LIMIT)?;
    let mut web = command(start, "celery_app.py");
    let web = web.env("REDIS", redis.to_string()).env("BACKEND", start.backend.to_string());
    Ok(vec![server, worker, Process::serving("pattern", web, start.front)?])
}
