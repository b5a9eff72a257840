//! The compilers that know the BPF target.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// The BPF target, little-endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// Where `core` for the BPF target comes from.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// Debian's rustc-web with its ready `core`.
    Debian,
    /// rustup's nightly, which builds `core` from rust-src.
    Nightly,
}

impl Toolchain {
    /// Debian's first: what CI checks with. An error says what to run when there is neither.
    pub(crate) fn find() -> Result<Self> {
        if shell::find("bpf-linker").is_none() {
            bail!("bpf-linker is missing: run `cargo xtask setup`");
        }
        if has_core(DEBIAN_RUSTC) {
            return Ok(Self::Debian);
        }
        if nightly_has_sources() {
            return Ok(Self::Nightly);
        }
        bail!(
            "no compiler here knows the BPF target: run `cargo xtask setup` (Debian), \
             or `rustup toolchain install nightly --component rust-src`"
        )
    }

    /// For the log.
    pub(crate) const fn describe(&self) -> &'static str {
        match self {
            Self::Debian => "Debian's rustc-web and its `core`",
            Self::Nightly => "rustup's nightly, building `core` from source",
        }
    }

    /// Debian's clippy, if this toolchain has one that can read its `core`.
    pub(crate) fn clippy_driver(&self) -> Option<&'static Path> {
        match self {
            Self::Debian => Some(Path::new(DEBIAN_CLIPPY)).filter(|driver| driver.is_file()),
            Self::Nightly => None,
        }
    }

    /// Cargo with this compiler, in `root`.
    pub(super) fn cargo(&self, root: &Path) -> Command {
        let mut cargo = match self {
            Self::Debian => {
                let mut cargo = shell::cargo();
                // The bootstrap variable opens what aya-ebpf needs of the unstable language (BPF assembly).
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Self::Nightly => {
                let mut cargo = Command::new("rustup");
                let path = shell::cargo()
                    .get_envs()
                    .find(|(key, _)| *key == "PATH")
                    .and_then(|(_, path)| path.map(ToOwned::to_owned));
                cargo.args(["run", "nightly", "cargo"]).env_remove("RUSTC").envs(path.map(|path| ("PATH", path)));
                cargo
            }
        };
        // Flags from the environment would replace those of .cargo/config.toml, and with them the object's BTF.
        cargo.current_dir(root).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo
    }

    /// Flags of cargo that this compiler needs.
    pub(super) const fn flags(&self) -> &'static [&'static str] {
        match self {
            Self::Debian => &[],
            Self::Nightly => &["-Z", "build-std=core"],
        }
    }
}

fn has_core(rustc: &str) -> bool {
    let mut query = Command::new(rustc);
    query.args(["--print", "target-libdir", "--target", TARGET]);
    shell::output(&mut query).is_ok_and(|dir| Path::new(dir.trim()).is_dir())
}

fn nightly_has_sources() -> bool {
    if shell::find("rustup").is_none() {
        return false;
    }
    let sysroot = shell::output(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]));
    sysroot.is_ok_and(|dir| Path::new(dir.trim()).join("lib/rustlib/src/rust/library/core").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_environment_do_not_reach_the_object() {
        for toolchain in [Toolchain::Debian, Toolchain::Nightly] {
            let cargo = toolchain.cargo(Path::new("/"));
            let removed = |name: &str| cargo.get_envs().any(|(key, value)| key == name && value.is_none());
            assert!(removed("RUSTFLAGS") && removed("CARGO_ENCODED_RUSTFLAGS"), "{toolchain:?}");
        }
    }

    #[test]
    fn a_compiler_without_the_target_has_no_core() {
        assert!(!has_core("/nonexistent/rustc"));
    }
}
