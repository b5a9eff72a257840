//! Published applications at pinned versions, unmodified: what the agent makes of programs that were not written for it.
//!
//! `cargo xtask score --prepare` installs them (and so does `cargo xtask test`). The test serves what they call
//! ([`Upstream`]), asks them ([`ask_all`]), each request by a name of its own in its path, and judges by these names
//! ([`judge`]), which it alone understands.

mod benthos;
mod drive;
mod install;
mod judge;
mod run;
mod upstream;

use std::path::PathBuf;

pub use benthos::{
    BENTHOS_BATCH, benthos, benthos_at_the_end, benthos_behind_a_buffer, benthos_in_batches, benthos_in_parallel,
};
pub use drive::{Asked, Request, ask_all};
pub use install::{BENTHOS, CADDY, MITMPROXY, PROXPI, SIMPLE_REPOSITORY_SERVER, prepare};
pub use judge::{Verdict, judge};
pub use run::{caddy, mitmproxy, proxpi, simple_repository_server};
pub use upstream::{Answer, Seen, Upstream, package_index, project};

use crate::scene::skip;

/// An application.
#[derive(Clone, Copy, Debug)]
pub struct Application {
    /// Its name; its directory is called so.
    pub name: &'static str,
    /// The version that is installed.
    pub version: &'static str,
    /// The program that is run, below its directory.
    program: &'static str,
    source: Source,
}

/// Where an application comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The Python Package Index: the file of this name in `tests/applications` lists everything, with hashes.
    PyPi(&'static str),
    /// The Go module proxy: this package.
    Go(&'static str),
    /// The same, of the modules that a `go.mod` names.
    GoModule {
        /// The directory of `go.mod` and `go.sum` in `tests/applications`.
        list: &'static str,
        /// What is built.
        package: &'static str,
    },
}

impl Application {
    /// Its program, where it is installed; otherwise says, for `test`, that it is not.
    #[must_use]
    pub fn program_for(&self, test: &str) -> Option<PathBuf> {
        let program = self.directory().join(self.program);
        if program.is_file() {
            return Some(program);
        }
        skip(test, format_args!("{} is not installed (`cargo xtask score --prepare` installs it)", self.name));
        None
    }

    fn directory(&self) -> PathBuf {
        install::directory().join(format!("{}-{}", self.name, self.version))
    }
}
