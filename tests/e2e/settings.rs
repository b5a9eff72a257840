//! What variables, flags and the configuration file change.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend_tests::agent::{Builder, LIMIT};
use tracemend_tests::load::Load;
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::Target;
use tracemend_tests::{permission, wait, workload};

#[test]
fn a_configuration_file_says_what_flags_do() -> Result<()> {
    let Some(scene) = Scene::open("a_configuration_file_says_what_flags_do", &["python3"])? else {
        return Ok(());
    };
    let target = Target::ipv4()?;
    let backend = workload::backend(&scene, &target)?;
    let file = scene.path("agent.toml");
    let text = format!("[targets]\npids = [{}]\n\n[http]\nexclude_paths = [\"/out\"]\n", backend.pid());
    fs::write(&file, &text)?;
    let agent = Builder::new(&scene).argument("--config").argument(&file).start()?;
    Load::new(&target, "r", 10).run()?;
    Load { path: "/out".to_owned(), ..Load::new(&target, "o", 5) }.run()?;
    assert_eq!(agent.stop()?.spans.len(), 10);

    fs::write(&file, format!("{text}exclude_path = [\"/typo\"]\n"))?;
    let mut refused = Builder::new(&scene).argument("--config").argument(&file).start_unready()?;
    assert_eq!(refused.process.ended(LIMIT)?.code(), Some(2));
    let said = refused.process.lines().join("\n");
    assert!(said.contains("agent.toml") && said.contains("exclude_path") && said.contains("line 6"), "{said}");
    Ok(())
}

#[test]
fn sampling_keeps_or_drops_whole_traces_and_counts_what_it_drops() -> Result<()> {
    const REQUESTS: usize = 100;
    let test = "sampling_keeps_or_drops_whole_traces_and_counts_what_it_drops";
    let Some(scene) = Scene::open(test, &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let agent = Builder::new(&scene)
        .tree(&backend)
        .tree(&patterns)
        .variable("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .variable("OTEL_TRACES_SAMPLER_ARG", "0.5")
        .start()?;
    Load { path: "/direct".to_owned(), ..Load::new(&front, "r", REQUESTS) }.run()?;
    let stopped = agent.stop()?;
    let mut traces = BTreeMap::<_, usize>::new();
    for span in &stopped.spans {
        *traces.entry(&span.trace_id).or_default() += 1;
    }
    assert!(traces.values().all(|spans| *spans == 3), "parts of traces: {traces:?}");
    // Of 100 fair coins fewer than 20 or more than 80 heads come less than once in 10^9 times.
    assert!((20..=80).contains(&traces.len()), "{} of {REQUESTS} traces", traces.len());
    assert_eq!(stopped.counts["sampled_out"] as usize + stopped.spans.len(), 3 * REQUESTS, "{:?}", stopped.counts);
    assert_eq!(stopped.lost(), 0, "sampling is no loss: {:?}", stopped.losses);
    Ok(())
}

#[test]
fn a_process_says_itself_what_service_it_is() -> Result<()> {
    let Some(scene) = Scene::open("a_process_says_itself_what_service_it_is", &["python3"])? else {
        return Ok(());
    };
    let (plain, named) = (Target::ipv4()?, Target::ipv4()?);
    let first = workload::backend(&scene, &plain)?;
    let mut command = workload::python(&scene, "backend.py", &[&named.to_string()]);
    command.env("OTEL_SERVICE_NAME", "shop").env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let second = Process::serving("named", &mut command, &named)?;
    let agent = Builder::new(&scene).tree(&first).tree(&second).start()?;
    Load::new(&plain, "p", 1).run()?;
    Load::new(&named, "n", 1).run()?;
    let spans = agent.stop()?.spans;
    let of = |process: &Process| {
        let span = spans.iter().find(|span| span.pid() == Some(process.pid())).context("a span")?;
        let environment = span.resource.get("deployment.environment.name").cloned();
        anyhow::Ok((span.service().to_owned(), environment))
    };
    assert_eq!(of(&first)?, ("backend".to_owned(), None));
    assert_eq!(of(&second)?, ("shop".to_owned(), Some("test".into())));
    Ok(())
}

/// As long as nobody says where spans go.
#[test]
fn traces_are_drawn_with_their_evidence() -> Result<()> {
    let Some(scene) = Scene::open("traces_are_drawn_with_their_evidence", &["python3"])? else {
        return Ok(());
    };
    let (front, end) = (Target::ipv4()?, Target::ipv4()?);
    let backend = workload::backend(&scene, &end)?;
    let patterns = workload::patterns(&scene, &front, &end)?;
    let mut agent = Builder::drawing().tree(&backend).tree(&patterns).start()?;
    Load { path: "/join".to_owned(), ..Load::new(&front, "r", 1) }.run()?;
    let drawn = wait::until("a trace is drawn", Duration::from_secs(10), || {
        agent.process.check()?;
        let lines = agent.process.lines();
        Ok(lines.iter().any(|line| line.contains("birth")).then(|| lines.join("\n")))
    })?;
    for word in ["patterns", "backend", "birth", "peer"] {
        assert!(drawn.contains(word), "no {word} in\n{drawn}");
    }
    assert!(!drawn.contains('\u{1b}'), "colours where there is no terminal");
    agent.stop().map(drop)
}

#[test]
fn the_version_and_help_need_no_permission() -> Result<()> {
    if std::env::var_os(permission::AGENT_VARIABLE).is_none() {
        tracemend_tests::scene::skip("the_version_and_help_need_no_permission", permission::AGENT_VARIABLE);
        return Ok(());
    }
    let said = |argument: &[&str]| -> Result<String> {
        let program = std::env::var_os(permission::AGENT_VARIABLE).context("the agent")?;
        let output = Command::new(program).args(argument).output()?;
        assert!(output.status.success(), "{argument:?}: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    };
    assert_eq!(said(&["--version"])?, format!("tracemend {}\n", env!("CARGO_PKG_VERSION")));
    for (arguments, word) in [(&["--help"][..], "doctor"), (&["run", "--help"], "--exclude-path")] {
        let help = said(arguments)?;
        assert!(help.contains(word) && help.contains("Examples:"), "{help}");
    }
    Ok(())
}
