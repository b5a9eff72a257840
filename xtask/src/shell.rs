//! Running other programs, and saying which.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The cargo that started this program (so that `cargo +TOOLCHAIN xtask` stays on that toolchain), with the folder
/// where `cargo install` puts programs on the search path.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let bin = cargo_bin();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An entry with a colon cannot be put on a search path; then the programs must be on it already.
    if let Ok(path) = std::env::join_paths(std::env::split_paths(&path).chain([bin])) {
        cargo.env("PATH", path);
    }
    // What cargo told this program about its own package: build scripts that watch these variables (ring's does) would
    // run again whenever a build is started from here and not from a shell, and everything above them be built again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

/// Where `cargo install` puts programs.
pub(crate) fn cargo_bin() -> PathBuf {
    match (std::env::var_os("CARGO_HOME"), std::env::var_os("HOME")) {
        (Some(home), _) => PathBuf::from(home).join("bin"),
        (None, Some(home)) => PathBuf::from(home).join(".cargo/bin"),
        (None, None) => PathBuf::from(".cargo/bin"),
    }
}

/// Prints the command and runs it; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("+ {}", line(command));
    let status = command.status().with_context(|| format!("cannot start {}", program(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", program(command));
    }
    Ok(())
}

/// Runs the command without saying so and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", program(command)))?;
    if !output.status.success() {
        bail!("`{}` failed ({}): {}", line(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// This program again. Not by its path: a build may have put another file there since this one started.
pub(crate) fn this() -> Command {
    Command::new("/proc/self/exe")
}

/// Where `name` is on the search path or among cargo's installed programs.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([cargo_bin()]).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs one named part and prints how long it took.
pub(crate) fn timed<T>(part: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {part}");
    let start = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "failed" };
    println!("== {part}: {verdict} in {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// The command as one could type it, with the variables it sets.
pub(crate) fn line(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter(|(key, _)| *key != "PATH")
        .filter_map(|(key, value)| Some(format!("{}={}", key.to_string_lossy(), quoted(value?))));
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(quoted);
    set.chain(words).collect::<Vec<_>>().join(" ")
}

fn program(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("apt-get");
        command
            .args(["install", "a b"])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("PATH", "/bin")
            .env_remove("HOME");
        assert_eq!(line(&command), "DEBIAN_FRONTEND=noninteractive apt-get install 'a b'");
    }

    #[test]
    fn a_build_started_from_here_is_like_one_from_a_shell() {
        assert!(is_of_package("CARGO_PKG_VERSION_MAJOR") && is_of_package("CARGO_MANIFEST_DIR"));
        assert!(
            !is_of_package("CARGO_TARGET_DIR") && !is_of_package("CARGO_HOME") && !is_of_package("CARGO_NET_OFFLINE")
        );
        let cargo = cargo();
        let removed: Vec<_> = cargo.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        // `cargo test` tells this test program of its package too.
        assert!(removed.iter().any(|name| *name == "CARGO_PKG_NAME"), "{removed:?}");
    }

    #[test]
    fn failure_and_absence_are_errors_that_name_the_program() {
        let failed = run(&mut Command::new("false")).expect_err("false fails");
        assert!(failed.to_string().starts_with("false failed"), "{failed}");
        let absent = output(&mut Command::new("/nonexistent/program")).expect_err("absent");
        assert_eq!(absent.to_string(), "cannot start program");
    }

    #[test]
    fn programs_are_found_and_folders_are_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-here").is_none());
        assert!(find("..").is_none());
    }
}
