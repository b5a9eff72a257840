//! Programs in namespaces of their own.

use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::netns::Netns;
use tracemend_tests::otlp::Kind;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::free_port;
use tracemend_tests::workload::{self, PYTHON};

const COUNT: usize = 20;
const CALLS_LIMIT: Duration = Duration::from_secs(30);

/// Neither an address nor a port agrees between the two ends: what they share are TCP's sequence numbers.
#[test]
fn the_halves_of_an_exchange_meet_through_address_translation() -> Result<()> {
    let test = "the_halves_of_an_exchange_meet_through_address_translation";
    let Some(scene) = Scene::open(test, &["python3", "ip", "iptables"])? else {
        return Ok(());
    };
    let (here, between, there) = (Netns::new()?, Netns::new()?, Netns::new()?);
    here.wire("tmh", "10.77.1.2/24", &between, "tmbh", "10.77.1.1/24")?;
    between.wire("tmbt", "10.77.2.1/24", &there, "tmt", "10.77.2.2/24")?;
    between.run("echo 1 > /proc/sys/net/ipv4/ip_forward")?;
    between.run("iptables -t nat -A PREROUTING -i tmbh -p tcp --dport 80 -j DNAT --to-destination 10.77.2.2:8080")?;
    between.run("iptables -t nat -A POSTROUTING -o tmbt -p tcp -j SNAT --to-source 10.77.2.1:40000-40999")?;

    let backend = workload::python(&scene, "backend.py", &["10.77.2.2:8080"]);
    let mut backend = Process::start("backend", &mut there.with(&backend))?;
    backend.says("listening", CALLS_LIMIT)?;
    let client = workload::python(&scene, "client.py", &["10.77.1.1:80", &COUNT.to_string(), "c"]);
    let mut client = Process::start("client", &mut here.with(&client))?;
    let agent = Builder::new(&scene).tree(&backend).tree(&client).start()?;
    client.tell("go")?;
    client.says("done", CALLS_LIMIT)?;
    let stopped = agent.stop()?;

    let score = Truth::new(scene.truth()?).driver_traced().judge(&stopped.spans)?;
    score.all_right()?;
    assert_eq!((score.exchanges, score.halves.right), (COUNT, COUNT), "{score}");
    for span in &stopped.spans {
        match span.kind {
            Kind::Client => assert_eq!(span.peer(), "10.77.1.1:80"),
            Kind::Server => assert!(span.peer().starts_with("10.77.2.1:40"), "{}", span.peer()),
        }
    }
    Ok(())
}

#[test]
fn a_program_in_namespaces_of_its_own_is_traced_under_the_hosts_pid() -> Result<()> {
    let test = "a_program_in_namespaces_of_its_own_is_traced_under_the_hosts_pid";
    let Some(scene) = Scene::open(test, &["python3", "ip", "unshare"])? else {
        return Ok(());
    };
    let port = free_port()?;
    let here = workload::directory("python");
    let script = format!(
        "ip link set lo up; {PYTHON} {0}/backend.py 127.0.0.1:{port} & exec {PYTHON} {0}/client.py 127.0.0.1:{port} {COUNT} c",
        here.display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--fork", "--pid", "--mount-proc", "--net", "sh", "-ec", &script]);
    command.env("TRUTH_LOG", scene.truth_log()).env("PYTHONPYCACHEPREFIX", scene.path("pycache"));
    let mut program = Process::start("namespaced", &mut command)?;
    program.says("listening", CALLS_LIMIT)?;
    let host_pids = program.tree();
    let agent = Builder::new(&scene).tree(&program).start()?;
    program.tell("go")?;
    program.says("done", CALLS_LIMIT)?;
    let stopped = agent.stop()?;

    let told = scene.truth()?;
    let score = Truth::new(told.clone()).driver_traced().judge(&stopped.spans)?;
    score.all_right()?;
    assert_eq!(score.halves.right, COUNT, "{score}");
    assert!(told.iter().all(|one| one.pid < 100), "the program knows pids of its own");
    let pid_of = |kind| {
        let mut pids: Vec<_> =
            stopped.spans.iter().filter(|span| span.kind == kind).filter_map(|span| span.pid()).collect();
        pids.dedup();
        pids
    };
    let (clients, servers) = (pid_of(Kind::Client), pid_of(Kind::Server));
    assert_eq!((clients.len(), servers.len()), (1, 1), "{clients:?} {servers:?}");
    // unshare, then the client in place of the shell, then the backend that the shell had started.
    assert_eq!(host_pids[1..], [clients[0], servers[0]]);
    Ok(())
}
