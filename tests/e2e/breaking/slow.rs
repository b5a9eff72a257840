//! Ten thousand clients that never finish the head of their request.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::Builder;
use tracemend_tests::load::Load;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::score::Truth;
use tracemend_tests::target::Target;
use tracemend_tests::workload;

/// Both ends are traced, so that the core has 20,000 connections with a head that does not end.
#[test]
fn ten_thousand_clients_that_never_finish_a_head_cost_bounded_memory_and_nobody_elses_trace() -> Result<()> {
    const CLIENTS: usize = 10_000;
    const ROUNDS: usize = 5;
    const REQUESTS: usize = 200;
    /// Heads 32, connections and threads some, and what the program and its rings are.
    const MEMORY_MIB_MAX: u64 = 160;
    const ROUND_LIMIT: Duration = Duration::from_secs(60);
    let test = "ten_thousand_clients_that_never_finish_a_head_cost_bounded_memory_and_nobody_elses_trace";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (slow_target, front, end) = (Target::ipv4()?, Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let quiet = workload::patterns(&scene, &front, &end)?;
    // Two programs: a process may hold 20,000 descriptors.
    let address = slow_target.to_string();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_serve"));
    let server = Process::serving("serve", serve.arg(&address), &slow_target)?;
    let mut slow = Command::new(env!("CARGO_BIN_EXE_slow"));
    let mut clients = Process::start("slow", slow.args([&address, &CLIENTS.to_string()]))?;
    let agent = Builder::new(&scene).tree(&backend).tree(&quiet).tree(&server).tree(&clients).start()?;
    let idle = agent.process.memory_mib()?;

    let mut memory = Vec::new();
    let load = Load { connections: 2, path: "/direct".to_owned(), ..Load::new(&front, "r", REQUESTS) };
    let load = Load { pause: Duration::from_millis(30), ..load }.begin();
    for round in 0..ROUNDS {
        clients.tell("more")?;
        clients.says(&format!("sent {round}"), ROUND_LIMIT)?;
        memory.push(agent.process.memory_mib()?);
    }
    let sent = load.finish()?;
    assert!(server.descriptors()? > CLIENTS, "{} descriptors", server.descriptors()?);
    // They hang up, and nothing of them is left to be held.
    clients.hush();
    clients.ended(ROUND_LIMIT)?;
    let after = Load { path: "/direct".to_owned(), ..Load::new(&front, "after", 50) }.run()?;
    let stopped = agent.stop()?;

    println!("{idle} MiB idle, then {memory:?}; losses {:?}", stopped.losses);
    let score = Truth::new(scene.truth()?).driven(&sent).driven(&after).judge(&stopped.spans)?;
    score.all_right()?;
    assert_eq!(score.exchanges, 2 * (sent.len() + after.len()));
    assert!(memory.iter().all(|mib| *mib <= MEMORY_MIB_MAX), "{memory:?} MiB");
    // Some 5 KiB for each of 20,000 ends are more than there is room for: those that found none are counted.
    let given_up = stopped.lost_by("given_up_connections");
    assert!(given_up > 0, "{:?}", stopped.losses);
    assert_eq!(stopped.lost_by("ring_full"), 0, "{:?}", stopped.losses);
    Ok(())
}
