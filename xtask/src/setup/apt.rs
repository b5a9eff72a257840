//! The Debian packages, each with its reason.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::policy;
use crate::shell;

/// A Debian package and what it is for.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
}

/// Everything, in the order of use.
#[rustfmt::skip]
pub(super) const PACKAGES: &[Package] = &[
    Package { name: "rustc-web", why: "compiles the kernel half: its LLVM 22 is the linker's" },
    Package { name: "libstd-rust-web-dev-bpf", why: "a ready `core` for the BPF target: no nightly, no build-std" },
    Package { name: "rust-web-clippy", why: "lints the kernel half: the host's clippy cannot read that `core`" },
    Package { name: "g++", why: "links programs, and LLVM's C++ into bpf-linker" },
    Package { name: "llvm-22-dev", why: "bpf-linker is built against it" },
    Package { name: "libpolly-22-dev", why: "a part of LLVM 22 that bpf-linker names when it links" },
    Package { name: "nginx", why: "first hop of the demo and of end-to-end tests" },
    Package { name: "python3", why: "the demo's and the tests' servers" },
    Package { name: "gunicorn", why: "runs them, one request at a time per worker" },
    Package { name: "python3-venv", why: "score: servers of packages that Debian does not have, or has of old" },
    Package { name: "redis-server", why: "score: what Celery hands work over by" },
    Package { name: "nodejs", why: "score: servers in JavaScript" },
    Package { name: "openjdk-17-jdk-headless", why: "score: servers in Java" },
    Package { name: "php8.2-fpm", why: "score: what nginx hands work to over FastCGI" },
    Package { name: "iproute2", why: "tests: network namespaces" },
    Package { name: "iptables", why: "tests: address translation between them" },
];

/// The packages that are not installed.
pub(super) fn missing() -> Result<Vec<&'static Package>> {
    if shell::find("dpkg-query").is_none() || shell::find("apt-get").is_none() {
        bail!("this is not a Debian machine: install what `xtask/src/setup/apt.rs` lists by other means");
    }
    // One line per known package; an unknown one is a complaint on standard error and the exit code 1.
    let known = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .args(PACKAGES.iter().map(|package| package.name))
        .output()
        .context("cannot start dpkg-query")?;
    Ok(not_installed(&String::from_utf8_lossy(&known.stdout)))
}

fn not_installed(known: &str) -> Vec<&'static Package> {
    let installed: Vec<_> = known.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    PACKAGES.iter().filter(|package| !installed.contains(&package.name)).collect()
}

/// Installs `packages` without their recommendations and without starting a service.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    shell::run(apt_get().args(["update", "-qq"]))?;
    let before = policy::listening()?;
    let guard = policy::NoServices::enforce()?;
    shell::run(apt_get().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))?;
    drop(guard);
    for address in policy::listening()?.difference(&before) {
        println!("warning: something now listens on {address} that did not before the installation");
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_packages_with_configuration_left_are_missing() {
        let known: String = PACKAGES
            .iter()
            .map(|p| format!("{} {}\n", if p.name == "nginx" { "config-files" } else { "installed" }, p.name))
            .collect();
        assert_eq!(not_installed(&known).iter().map(|p| p.name).collect::<Vec<_>>(), ["nginx"]);
        assert_eq!(not_installed("").len(), PACKAGES.len());
    }
}
