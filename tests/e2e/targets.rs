//! Which processes and requests are traced.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::{Agent, Builder, Stopped};
use tracemend_tests::load::Load;
use tracemend_tests::otlp::Kind;
use tracemend_tests::process::Process;
use tracemend_tests::scene::{Scene, skip};
use tracemend_tests::score::Truth;
use tracemend_tests::session::Session;
use tracemend_tests::target::Target;
use tracemend_tests::wait;
use tracemend_tests::workload::{self, PYTHON};

/// Calls to each program.
const CALLS: usize = 10;
const CALLS_LIMIT: Duration = Duration::from_secs(30);

/// Calls each server, and stops the agent; how many spans each one's process has.
fn calls_traced(agent: Agent, servers: &[(&Process, &Target)]) -> Result<Vec<usize>> {
    for (_, target) in servers {
        Load::new(target, "r", CALLS).run()?;
    }
    let Stopped { spans, .. } = agent.stop()?;
    let of = |process: &Process| spans.iter().filter(|span| span.pid() == Some(process.pid())).count();
    let counts: Vec<_> = servers.iter().map(|(process, _)| of(process)).collect();
    assert_eq!(spans.len(), counts.iter().sum::<usize>(), "spans of others");
    Ok(counts)
}

/// Whatever else runs on this host is traced too, and not looked at.
#[test]
fn without_targets_every_process_is_traced_but_the_agent() -> Result<()> {
    let Some(scene) = Scene::open("without_targets_every_process_is_traced_but_the_agent", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let agent = Builder::new(&scene).start()?;
    let backend = workload::backend(&scene, &target)?;
    let mut client = workload::client(&scene, &target, CALLS, "c")?;
    client.tell("go")?;
    client.says("done", CALLS_LIMIT)?;
    let agent_pid = agent.process.pid();
    let mut spans = agent.stop()?.spans;
    assert!(spans.iter().all(|span| span.pid() != Some(agent_pid)), "the agent traced itself");
    spans.retain(|span| [Some(backend.pid()), Some(client.pid())].contains(&span.pid()));
    let score = Truth::new(scene.truth()?).driver_traced().judge(&spans)?;
    score.all_right()?;
    assert_eq!(score.halves.right, CALLS, "{score}");
    Ok(())
}

#[test]
fn a_port_names_the_server_that_listens_on_it_now_or_later() -> Result<()> {
    let Some(scene) = Scene::open("a_port_names_the_server_that_listens_on_it_now_or_later", &["python3"])? else {
        return Ok(());
    };
    let (now, later, other) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let port = |target: &Target| target.to_string().rsplit(':').next().map(ToOwned::to_owned).context("a port");
    let first = workload::backend(&scene, &now)?;
    let ports = ["--port".to_owned(), port(&now)?, "--port".to_owned(), port(&later)?];
    let agent = ports.iter().fold(Builder::new(&scene), Builder::argument).start()?;
    let second = workload::backend(&scene, &later)?;
    let third = workload::backend(&scene, &other)?;
    let counts = calls_traced(agent, &[(&first, &now), (&second, &later), (&third, &other)])?;
    assert_eq!(counts, [CALLS, CALLS, 0]);
    Ok(())
}

#[test]
fn an_executable_names_what_runs_it_now_or_later() -> Result<()> {
    let Some(scene) = Scene::open("an_executable_names_what_runs_it_now_or_later", &["python3"])? else {
        return Ok(());
    };
    // The same program under a name of its own.
    let named = scene.path("tracemend-named-python");
    fs::copy(PYTHON, &named)?;
    let start = |target: &Target| {
        let script = workload::directory("python").join("backend.py");
        let mut command = Command::new(&named);
        command.arg(script).arg(target.to_string()).env("PYTHONPYCACHEPREFIX", scene.path("pycache"));
        Process::serving("named", &mut command, target)
    };
    let (now, later, other) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let first = start(&now)?;
    let agent = Builder::new(&scene).argument("--executable").argument("tracemend-named-*").start()?;
    let second = start(&later)?;
    let third = workload::backend(&scene, &other)?;
    let counts = calls_traced(agent, &[(&first, &now), (&second, &later), (&third, &other)])?;
    assert_eq!(counts, [CALLS, CALLS, 0]);
    Ok(())
}

/// A control group of the test's own, gone with it.
struct Group(PathBuf);

impl Group {
    fn make(name: &str) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?;
            (words.next()? == "cgroup2").then(|| PathBuf::from(place))
        });
        let directory = root.ok_or("no control groups of version 2 are mounted")?.join(name);
        fs::create_dir(&directory).map_err(|error| format!("cannot make a control group: {error}"))?;
        Ok(Self(directory))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_control_group_names_what_is_in_it_now_or_later() -> Result<()> {
    let test = "a_control_group_names_what_is_in_it_now_or_later";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let name = format!("tracemend-test-{}", std::process::id());
    let group = match Group::make(&name) {
        Ok(group) => group,
        Err(reason) => {
            skip(test, reason);
            return Ok(());
        }
    };
    let start = |target: &Target| {
        let script = workload::directory("python").join("backend.py");
        let line = format!("echo $$ > {}/cgroup.procs; exec {PYTHON} {} {target}", group.0.display(), script.display());
        let mut command = Command::new("sh");
        command.args(["-ec", &line]).env("PYTHONPYCACHEPREFIX", scene.path("pycache"));
        Process::serving("grouped", &mut command, target)
    };
    let (now, later, other) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let first = start(&now)?;
    let agent = Builder::new(&scene).argument("--cgroup").argument(format!("/{name}")).start()?;
    let second = start(&later)?;
    let third = workload::backend(&scene, &other)?;
    let counts = calls_traced(agent, &[(&first, &now), (&second, &later), (&third, &other)])?;
    assert_eq!(counts, [CALLS, CALLS, 0]);
    Ok(())
}

#[test]
fn a_command_is_traced_from_its_first_byte_and_lends_its_status() -> Result<()> {
    let Some(scene) = Scene::open("a_command_is_traced_from_its_first_byte_and_lends_its_status", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let _backend = workload::backend(&scene, &target)?;
    let script = workload::directory("python").join("client.py");
    let line = format!("{PYTHON} {} {target} {CALLS} c; exit 7", script.display());
    let mut agent = ["--", "sh", "-c", &line]
        .iter()
        .fold(Builder::new(&scene), Builder::argument)
        .variable("TRUTH_LOG", &scene.truth_log().display().to_string())
        .start()?;
    agent.process.tell("go")?;
    agent.process.says("done", CALLS_LIMIT)?;
    agent.process.hush();
    assert_eq!(agent.process.ended(Duration::from_secs(10))?.code(), Some(7));
    let spans = agent.spans()?;
    assert_eq!(spans.len(), CALLS, "the calls, and not what serves them");
    assert!(spans.iter().all(|span| span.server_end() == target.to_string()));
    Ok(())
}

/// They live for a few milliseconds, and are gone before anybody can look at them.
#[test]
fn programs_that_are_gone_at_once_have_their_name() -> Result<()> {
    const COUNT: usize = 20;
    let Some(scene) = Scene::open("programs_that_are_gone_at_once_have_their_name", &["python3", "bash"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let _backend = workload::backend(&scene, &target)?;
    let place = target.to_string().replace(':', "/");
    let agent = Builder::new(&scene).start()?;
    let call = format!(
        "exec 3<>/dev/tcp/{place}; printf 'GET /brief HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n' >&3; \
         while read -r line <&3; do [ \"$line\" = backend ] && exit; done"
    );
    let mut unnoticed = Vec::new();
    for number in 0..COUNT {
        let mut program = Command::new("bash").args(["-c", &call]).spawn()?;
        // Of some their end is noticed by nobody for a while.
        match number % 2 {
            0 => assert!(program.wait()?.success()),
            _ => unnoticed.push(program),
        }
    }
    for program in &unnoticed {
        wait::until("a program ends", CALLS_LIMIT, || {
            Ok(fs::read_to_string(format!("/proc/{}/stat", program.id()))?.contains(") Z ").then_some(()))
        })?;
    }
    let mut spans = agent.stop()?.spans;
    spans.retain(|span| span.path() == "/brief" && span.kind == Kind::Client);
    assert_eq!(spans.len(), COUNT);
    let services: Vec<_> = spans.iter().map(|span| span.service()).collect();
    assert_eq!(services, ["bash"; COUNT]);
    unnoticed.into_iter().try_for_each(|mut program| program.wait().map(drop))?;
    Ok(())
}

#[test]
fn excluded_paths_leave_no_span() -> Result<()> {
    let Some(scene) = Scene::open("excluded_paths_leave_no_span", &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let agent = Builder::new(&scene)
        .tree(&backend)
        .tree(&patterns)
        .argument("--exclude-path")
        .argument("/healthz")
        .argument("--exclude-path")
        .argument("/static/**")
        .argument("--exclude-path")
        .argument("/join")
        .start()?;
    let mut session = Session::connect(&end)?;
    for path in ["/healthz", "/static/a/b.css", "/healthz/more", "/staticks", "/healthz?x=1"] {
        session.get(path, "r", None)?;
    }
    // What an excluded request causes is left out with it.
    let mut session = Session::connect(&front)?;
    session.get("/join", "j", None)?;
    session.get("/direct", "d", None)?;
    let stopped = agent.stop()?;
    let mut paths: Vec<_> = stopped.spans.iter().map(|span| (span.path(), span.kind)).collect();
    paths.sort_by_key(|(path, kind)| (*path, format!("{kind:?}")));
    let (client, server) = (Kind::Client, Kind::Server);
    let expected =
        [("/direct", server), ("/healthz/more", server), ("/staticks", server), ("/work", client), ("/work", server)];
    assert_eq!(paths, expected);
    assert_eq!(stopped.counts["excluded"], 3 + 3, "{:?}", stopped.counts);
    Ok(())
}
