//! Which Python interpreters are on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::patterns;

/// The file behind an interpreter, which may be reached by many names.
const ASK: &str = "import os, sys; print(os.path.realpath(sys.executable))";

/// Every interpreter of CPython 3.`minor`: on the search path, and of each release that pyenv has built.
#[must_use]
pub fn installed(minor: u8) -> Vec<PathBuf> {
    let name = format!("python3.{minor}");
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|directory| directory.join(&name));
    let pyenv = env::home_dir().unwrap_or_default().join(".pyenv/versions");
    let releases = fs::read_dir(pyenv).into_iter().flatten().flatten();
    let built = releases.map(|release| release.path().join("bin").join(&name));
    on_path
        .chain(built)
        .filter_map(|name| Some((answer(&name)?, name)))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect()
}

/// Every interpreter of the scored patterns' virtual environments that has a package.
#[must_use]
pub fn with(package: &str) -> Vec<PathBuf> {
    let environments = fs::read_dir(patterns::directory()).into_iter().flatten().flatten();
    let all = environments.map(|environment| environment.path().join("bin/python"));
    let has = |interpreter: &PathBuf| {
        let import = Command::new(interpreter).args(["-c", &format!("import {package}")]).output();
        import.is_ok_and(|output| output.status.success())
    };
    all.filter(has).collect()
}

/// What it says; nothing if it stands for an interpreter that is not there.
fn answer(interpreter: &Path) -> Option<Vec<u8>> {
    if !interpreter.is_file() {
        return None;
    }
    let output = Command::new(interpreter).args(["-c", ASK]).output().ok()?;
    Some(output.stdout).filter(|said| output.status.success() && !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_an_interpreter() {
        assert_eq!(answer(Path::new("/bin/false")), None);
        assert_eq!(answer(Path::new("/nowhere/python3.11")), None);
        assert_eq!(installed(0), Vec::<PathBuf>::new());
    }
}
