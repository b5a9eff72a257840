//! Where the workspace, its build results and its test targets are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The workspace on disk.
pub(crate) struct Tree {
    /// The folder with the top-level `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever configuration puts it.
    pub(crate) target: PathBuf,
    tests: Vec<String>,
}

impl Tree {
    /// Asks cargo, which knows the environment and every configuration file.
    pub(crate) fn find() -> Result<Self> {
        let manifest = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        };
        let mut cargo = shell::cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(manifest);
        Self::parse(&shell::output(&mut cargo)?)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
        let dir = |key: &str| {
            metadata[key].as_str().map(PathBuf::from).with_context(|| format!("no {key} in cargo metadata"))
        };
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let tests = packages
            .iter()
            .filter(|package| package["name"] == "tracemend-tests")
            .flat_map(|package| package["targets"].as_array().map(Vec::as_slice).unwrap_or_default())
            .filter(|target| target["kind"][0] == "test")
            .filter_map(|target| target["name"].as_str().map(str::to_owned))
            .collect();
        Ok(Self { root: dir("workspace_root")?, target: dir("target_directory")?, tests })
    }

    /// The integration test targets of the package `tracemend-tests`.
    pub(crate) fn test_targets(&self) -> &[String] {
        &self.tests
    }

    /// The kernel half, where `agent/build.rs` looks for it.
    pub(crate) fn ebpf_object(&self) -> PathBuf {
        self.target.join("ebpf/tracemend.bpf.o")
    }

    /// The agent as `cargo build --release` leaves it.
    pub(crate) fn agent(&self) -> PathBuf {
        self.target.join("release/tracemend")
    }

    /// A cargo command in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = shell::cargo();
        cargo.current_dir(&self.root);
        cargo
    }

    /// `path` as people say it: relative to the workspace where it lies inside.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_test_packages_targets_are_listed() {
        let metadata = r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [
            {"name": "tracemend-tests", "targets": [{"kind": ["lib"], "name": "tracemend_tests"},
                                                    {"kind": ["test"], "name": "kernel"}]},
            {"name": "xtask", "targets": [{"kind": ["test"], "name": "other"}]}]}"#;
        let tree = Tree::parse(metadata).expect("valid metadata");
        assert_eq!(tree.test_targets(), ["kernel"]);
        assert_eq!(tree.agent(), Path::new("/t/release/tracemend"));
        assert_eq!(tree.short(Path::new("/w/deploy/agent.toml")).to_string(), "deploy/agent.toml");
        assert_eq!(tree.short(Path::new("/t/ebpf")).to_string(), "/t/ebpf");
    }

    #[test]
    fn the_workspace_is_found_where_it_is() {
        let tree = Tree::find().expect("cargo metadata");
        assert!(tree.root.join("xtask/src/tree.rs").is_file());
    }
}
