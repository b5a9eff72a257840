//! `cargo xtask setup`: what a fresh Debian 12 machine needs beyond git, a Rust toolchain and Go.
//!
//! Running it twice changes nothing. It starts no service: Debian's packages ask `policy-rc.d` before they do, and for
//! the time of the installation the answer is no.

mod apt;
mod linker;
mod policy;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only report what is missing (exit 1 if anything is)
    #[arg(long)]
    check: bool,
}

/// The command.
pub(crate) fn command(args: &Args) -> Result<ExitCode> {
    let missing = Missing::find()?;
    report(&missing);
    if args.check {
        return Ok(if missing.is_nothing() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    install(&missing)?;
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing, saying only what is done: the first step of other commands.
pub(crate) fn ensure() -> Result<()> {
    let missing = Missing::find()?;
    if missing.is_nothing() {
        println!("set-up: complete");
        return Ok(());
    }
    report(&missing);
    install(&missing)
}

struct Missing {
    packages: Vec<&'static apt::Package>,
    linker: linker::State,
}

impl Missing {
    fn find() -> Result<Self> {
        Ok(Self { packages: apt::missing()?, linker: linker::state() })
    }

    fn is_nothing(&self) -> bool {
        self.packages.is_empty() && self.linker == linker::State::Ready
    }
}

fn report(missing: &Missing) {
    println!("Debian packages:");
    for package in apt::PACKAGES {
        let state = if missing.packages.iter().any(|p| p.name == package.name) { "missing" } else { "ok" };
        println!("  {state:<8} {:<24} {}", package.name, package.why);
    }
    println!("cargo programs:");
    println!(
        "  {:<8} {:<24} links the kernel half (of LLVM 22, as Debian's rustc-web)",
        missing.linker.word(),
        linker::NAME
    );
    println!("mounts:");
    println!("  {:<8} {:<24} BTF tracepoints need no tracefs, and nothing is pinned in a bpffs", "ok", "none needed");
}

fn install(missing: &Missing) -> Result<()> {
    if !missing.packages.is_empty() {
        let packages: Vec<_> = missing.packages.iter().map(|package| package.name).collect();
        if !rustix::process::geteuid().is_root() {
            bail!(
                "installing packages needs root: run `sudo apt-get update && sudo apt-get install --no-install-recommends {}`, \
                 then this command again",
                packages.join(" ")
            );
        }
        apt::install(&packages)?;
    }
    if missing.linker != linker::State::Ready {
        linker::install()?;
    }
    let left = Missing::find()?;
    if !left.is_nothing() {
        report(&left);
        bail!("still missing after the installation, see the list above");
    }
    Ok(())
}
