//! The `tracemend` command as people and scripts meet it, without privileges.

use std::process::{Child, Command, Output};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

fn tracemend(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracemend"));
    command.args(arguments).env_clear();
    command
}

fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = tracemend(arguments).output().expect("starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// Starts `tracemend hold` and waits until it has stopped itself.
fn held(command: &[&str]) -> Child {
    let child = tracemend(&["hold", "--"]).args(command).spawn().expect("starts");
    let (_, status) = waitpid(Some(Pid::from_child(&child)), WaitOptions::UNTRACED).expect("a child").expect("changed");
    assert!(status.stopped(), "{status:?}");
    child
}

#[test]
fn a_held_command_begins_when_it_is_continued_and_keeps_its_process_id() {
    let folder = tempfile::tempdir().expect("folder");
    let mark = folder.path().join("mark");
    let script = format!("echo $$ > {}; exit 7", mark.display());
    let mut child = held(&["/bin/sh", "-c", &script]);
    assert!(!mark.exists(), "it ran before it was let");
    kill_process(Pid::from_child(&child), Signal::CONT).expect("signals");
    assert_eq!(child.wait().expect("ends").code(), Some(7));
    let pid = std::fs::read_to_string(mark).expect("written");
    assert_eq!(pid.trim(), child.id().to_string());
}

#[test]
fn a_held_command_that_does_not_exist_ends_with_127() {
    let mut child = held(&["/no/such/program"]);
    kill_process(Pid::from_child(&child), Signal::CONT).expect("signals");
    assert_eq!(child.wait().expect("ends").code(), Some(127));
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_mistake() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, "[targets]\nport = [80]\n").expect("written");
    let file = file.to_str().expect("text");
    for (arguments, expected) in [
        (&["run", "--port", "http"][..], "--port"),
        (&["run", "--exporter", "otlp", "--output", "x"], "--output"),
        (&["run", "--config", file], "unknown field `port`"),
        (&["run", "--config", "/no/such/file"], "/no/such/file"),
        (&["run", "--executable", "["], "--executable"),
        (&["run", "python3"], "python3"),
    ] {
        let (code, _, stderr) = output(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_and_version_are_answered() {
    let (code, stdout, _) = output(&["--version"]);
    assert_eq!((code, stdout.as_str()), (Some(0), concat!("tracemend ", env!("CARGO_PKG_VERSION"), "\n")));
    let (code, stdout, _) = output(&["run", "--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("Examples:") && stdout.contains("Exit status:"), "{stdout}");
    assert!(!output(&["--help"]).1.contains("hold"));
}

#[test]
fn doctor_ends_with_its_verdict() {
    let (code, stdout, _) = output(&["doctor"]);
    let verdict = stdout.lines().last().expect("a verdict");
    let expected = ["full:", "reduced:", "unusable:"];
    let status = expected.iter().position(|word| verdict.starts_with(word)).expect("one of three");
    assert_eq!(code, i32::try_from(status).ok(), "{stdout}");
}

#[test]
fn show_draws_a_file_and_names_one_that_is_missing() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("spans.jsonl");
    let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
        "scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331",
        "name":"GET","kind":2,"startTimeUnixNano":"1000000","endTimeUnixNano":"3000000"}]}]}]}"#;
    std::fs::write(&file, line.replace('\n', " ")).expect("written");
    let (code, stdout, stderr) = output(&["show", file.to_str().expect("text")]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("0af7651916cd43dd8448eb211c80319c") && stdout.contains("cart GET"), "{stdout}");

    let (code, _, stderr) = output(&["show", "/no/such/file"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("/no/such/file"), "{stderr}");
}
