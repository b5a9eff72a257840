//! bpf-linker, which turns LLVM bitcode into the BPF object.

use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Its name, also of the package.
pub(super) const NAME: &str = "bpf-linker";
/// Newer ones need a newer LLVM than Debian's rustc-web has.
const VERSION: &str = "0.13.0";
/// Debian's LLVM 22; the default `llvm-config` on the search path is an older one.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The wanted version.
    Ready,
    /// Another version, or one that does not start.
    Unfit,
    /// Nothing.
    Missing,
}

impl State {
    /// For the report.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ok",
            Self::Unfit => "unfit",
            Self::Missing => "missing",
        }
    }
}

/// Looks at the linker a build would find.
pub(super) fn state() -> State {
    let Some(linker) = shell::find(NAME) else {
        return State::Missing;
    };
    let version = shell::output(Command::new(linker).arg("--version"));
    if version.is_ok_and(|text| is_wanted(&text)) { State::Ready } else { State::Unfit }
}

fn is_wanted(version: &str) -> bool {
    version.split_whitespace().nth(1) == Some(VERSION)
}

/// Builds and installs it; one to four minutes.
pub(super) fn install() -> Result<()> {
    // Its default features want an LLVM of another version.
    let features = ["--no-default-features", "--features", "llvm-22"];
    let mut cargo = shell::cargo();
    cargo.args(["install", "--force", NAME, "--version", VERSION]).args(features).env("LLVM_PREFIX", LLVM_PREFIX);
    // A target folder of the caller would keep 200 MB of build files for nothing.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    shell::run(&mut cargo).context("bpf-linker did not build")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_the_wanted_one() {
        assert!(is_wanted("bpf-linker 0.13.0\n"));
        assert!(!is_wanted("bpf-linker 0.9.15\n"));
        assert!(!is_wanted(""));
    }
}
