//! Rules of the house that neither the compiler nor clippy knows, each in a file of its own: edges between stages, what
//! every source file owes its readers, and the contracts of the probes.

mod edges;
mod hooks;
mod source;

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::{Context, Result};

/// Folders with our sources, from the root of the workspace.
const SOURCES: &[&str] = &["agent", "agent-ebpf", "tests", "xtask"];

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    file: PathBuf,
    /// Counted from 1.
    line: usize,
    rule: String,
}

impl Violation {
    fn new(file: &Path, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line, rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.rule)
    }
}

/// Reads every source file once and applies every rule.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut files = Vec::new();
    for dir in SOURCES {
        rust_files(&root.join(dir), &mut files)?;
    }
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let path = path.strip_prefix(root).unwrap_or(&path);
        source::check(path, &text, &mut found);
        edges::check(path, &text, &mut found);
        hooks::check(path, &text, &mut found);
    }
    Ok(found)
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, into)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let found: Vec<_> = check(&root).expect("readable").iter().map(Violation::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
