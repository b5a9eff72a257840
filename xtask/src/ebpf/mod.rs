//! `cargo xtask build-ebpf`: builds the kernel half, checks the object and puts it where `agent/build.rs` looks.

mod object;
mod stack;
mod toolchain;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

pub(crate) use toolchain::{TARGET, Toolchain};

use crate::{shell, tree::Tree};

const NAME: &str = "agent-ebpf";
const PROFILE: &str = "ebpf";

/// Builds, checks and publishes the object; returns its path.
pub(crate) fn build(tree: &Tree) -> Result<PathBuf> {
    let toolchain = Toolchain::find()?;
    println!("kernel half: {}", toolchain.describe());
    let mut cargo = cargo(tree, &toolchain, "build");
    cargo.args(["--bin", NAME]);
    shell::run(&mut cargo).context("the kernel half did not build")?;

    let built = target(tree).join(TARGET).join(PROFILE).join(NAME);
    let bytes = fs::read(&built).with_context(|| format!("cargo left no object at {}", built.display()))?;
    print!("{}", object::check(&bytes)?);
    let stable = tree.ebpf_object();
    // The same bytes keep their time stamp, so that the agent is not built again for nothing.
    if fs::read(&stable).is_ok_and(|old| old == bytes) {
        println!("{} is up to date", tree.short(&stable));
    } else {
        fs::write(&stable, &bytes).with_context(|| format!("cannot write {}", stable.display()))?;
        println!("{} written, {} KiB", tree.short(&stable), bytes.len() / 1024);
    }
    Ok(stable)
}

/// `cargo ACTION` of the kernel half with everything but the choice of what to build.
pub(crate) fn cargo(tree: &Tree, toolchain: &Toolchain, action: &str) -> Command {
    let mut cargo = toolchain.cargo(&tree.root);
    cargo.args([action, "--package", NAME, "--profile", PROFILE, "--target", TARGET]);
    cargo.args(toolchain.flags());
    // A target folder of its own: the compiler is another one, and would throw out the host's results.
    cargo.env("CARGO_TARGET_DIR", target(tree));
    cargo
}

fn target(tree: &Tree) -> PathBuf {
    tree.target.join("ebpf")
}
