//! `cargo xtask check`: formatting, lints of both halves, and the rules of the house.

mod tidy;

use std::process::ExitCode;

use anyhow::Result;

use crate::{ebpf, shell, tree::Tree};

/// The command: every part runs, and the first failure does not hide the others.
pub(crate) fn command(tree: &Tree) -> Result<ExitCode> {
    let failed = run(tree);
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("check failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// `cargo xtask tidy`.
pub(crate) fn tidy_command(tree: &Tree) -> Result<ExitCode> {
    rules(tree)?;
    Ok(ExitCode::SUCCESS)
}

type Part = fn(&Tree) -> Result<()>;

/// Runs the parts and returns the names of those that failed.
pub(crate) fn run(tree: &Tree) -> Vec<&'static str> {
    let parts: [(&str, Part); 4] =
        [("tidy", rules), ("fmt", fmt), ("clippy (host)", clippy_host), ("clippy (BPF target)", clippy_bpf)];
    let mut failed = Vec::new();
    for (name, part) in parts {
        if let Err(error) = shell::timed(name, || part(tree)) {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    failed
}

fn rules(tree: &Tree) -> Result<()> {
    let found = tidy::check(&tree.root)?;
    for violation in &found {
        eprintln!("{violation}");
    }
    anyhow::ensure!(found.is_empty(), "{} violations", found.len());
    println!("edges, sizes, headers, arguments for unsafe, hook contracts: ok");
    Ok(())
}

fn fmt(tree: &Tree) -> Result<()> {
    shell::run(tree.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_host(tree: &Tree) -> Result<()> {
    shell::run(tree.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The host's clippy is of another compiler than Debian's `core` for the BPF target and cannot read it. Debian's own
/// clippy can: put where `cargo clippy` puts it, it lints the kernel half. Without it the compiler's own lints are run.
fn clippy_bpf(tree: &Tree) -> Result<()> {
    let toolchain = ebpf::Toolchain::find()?;
    match toolchain.clippy_driver() {
        Some(driver) => {
            println!("lints of clippy and the compiler, by {}", driver.display());
            let mut cargo = ebpf::cargo(tree, &toolchain, "check");
            // How `cargo clippy -- -D warnings` speaks to its driver.
            cargo
                .env("RUSTC_WORKSPACE_WRAPPER", driver)
                .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
            shell::run(&mut cargo)
        }
        None => {
            println!("no clippy for {} with this toolchain: only the compiler's own lints are run", ebpf::TARGET);
            let mut cargo = ebpf::cargo(tree, &toolchain, "rustc");
            cargo.args(["--bin", "agent-ebpf", "--", "-D", "warnings"]);
            shell::run(&mut cargo)
        }
    }
}
