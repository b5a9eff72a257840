//! A folder that is gone when the command is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The folder; removed with everything in it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new folder among the machine's temporary files.
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracemend-{}-{number}", std::process::id()));
        // An error if it is there: somebody else's.
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let scratch = Self(path);
        // nginx's worker is of another user, and passes through here to its temporary files.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))?;
        Ok(scratch)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The last `lines` of a log in it, for an error message.
    pub(crate) fn tail(&self, log: &str, lines: usize) -> String {
        let text = fs::read_to_string(self.0.join(log)).unwrap_or_default();
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind at worst, among files that are temporary anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_afterwards() {
        let scratch = Scratch::new().expect("created");
        let path = scratch.path().to_path_buf();
        fs::write(path.join("log"), "a\nb\nc\n").expect("written");
        assert_eq!(scratch.tail("log", 2), "b\nc");
        assert_eq!(scratch.tail("absent", 2), "");
        drop(scratch);
        assert!(!path.exists());
    }
}
