//! Patterns of executables and of request paths.
//!
//! `*` and `?` stay within a folder, `**` crosses folders, `[…]` and `{a,b}` choose.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::error::Error;

/// Which executables are meant. A pattern with a slash is held against the whole path, one without against the base
/// name.
#[derive(Clone, Debug, Default)]
pub struct Executables {
    paths: GlobSet,
    names: GlobSet,
}

impl Executables {
    pub(super) fn new(patterns: &[String]) -> Result<Self, Error> {
        let key = "targets.executables (--executable)";
        let (paths, names): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.contains('/'));
        Ok(Self { paths: set(key, &paths)?, names: set(key, &names)? })
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.names.is_empty()
    }

    /// Whether a path is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.paths.is_match(path) || self.names.is_match(name)
    }
}

/// Which request paths are meant.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    set: GlobSet,
    patterns: Vec<String>,
}

impl Paths {
    /// Compiles patterns.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(patterns: &[String]) -> Result<Self, Error> {
        let all: Vec<&String> = patterns.iter().collect();
        Ok(Self { set: set("http.exclude_paths (--exclude-path)", &all)?, patterns: patterns.to_vec() })
    }

    /// The patterns as they were given.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Whether a path, or a request target whose path it is (`/healthz?x=1`), is meant.
    #[must_use]
    pub fn matches(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or(target);
        self.set.is_match(path)
    }
}

fn set(key: &'static str, patterns: &[&String]) -> Result<GlobSet, Error> {
    let invalid = |pattern: &str, source| Error::Pattern { key, pattern: pattern.to_owned(), source };
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.is_empty() {
            return Err(Error::EmptyPattern(key));
        }
        let glob =
            GlobBuilder::new(pattern).literal_separator(true).build().map_err(|source| invalid(pattern, source))?;
        builder.add(glob);
    }
    builder.build().map_err(|source| invalid("all together", source))
}
