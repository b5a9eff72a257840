//! Adapters of runtimes: which processes run one, where its probes go, and whether it is what it seems.
//!
//! - `maps`: which files a process has mapped
//! - `elf`: symbols and bytes of such a file, which nobody vouches for
//! - `code`: a function's instructions, and which of them probes may go on
//! - `python`: CPython; `go`: Go; `pipes`: what processes hand on through pipes
//! - `site`: a place for a probe; `probes`: what is attached; `reaper`: takes that away
//! - `watches`: which of the probes that are passed often are there
//! - `kept`: what the kernel half keeps, swept
//! - `selftest`: whether return probes are safe on this kernel
//! - `finder`: looks at processes on a thread of its own
//!
//! A process that cannot be adapted is traced as before, and the reason is told.

mod code;
mod elf;
mod finder;
mod go;
mod kept;
mod maps;
mod pipes;
mod probes;
mod python;
mod reaper;
pub mod selftest;
mod site;
mod watches;

pub use finder::{Finder, Seen};
pub(in crate::attach) use probes::{Probes, load_all as load_probes};
pub use python::{Images, Unused};

use std::fs::File;
use std::sync::Arc;

use agent_ebpf::wire::config::{Go, Python};
use site::{Reach, Site};

/// What each reader of files makes of one, whoever made that: where probes would go, or why nowhere. They are asked for what
/// the files of processes hold, so this is how to find out what bytes do to them.
#[must_use]
pub fn read(file: &Arc<File>) -> Vec<Result<Vec<Site>, Refusal>> {
    let mut outcomes = python::read(file);
    outcomes.push(go::read(file));
    outcomes.push(pipes::read(file));
    outcomes
}

/// A runtime that there is an adapter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// CPython.
    Python,
    /// Go.
    Go,
}

/// A process whose runtime was found, and where the probes of that go.
#[derive(Clone, Debug)]
pub struct Found {
    /// Process id.
    pub tgid: u32,
    /// What it runs.
    pub kind: Kind,
    /// The version, in words.
    pub version: String,
    /// Where probes go, in the order they are attached in.
    pub sites: Vec<Site>,
    /// Whether its greenlets are known, or why not.
    pub greenlets: Result<(), Refusal>,
    /// Where it shows that it uses no queues, if it does.
    pub unused: Option<Unused>,
    /// What the kernel half is told; none if the runtime has not started yet: then it is looked at again.
    pub layout: Option<Layout>,
}

impl Found {
    /// True if its pipes are watched, which its children have too.
    #[must_use]
    pub fn watches_pipes(&self) -> bool {
        self.sites.iter().any(|site| site.reach == Reach::Process)
    }

    /// What a child has of it that it has just forked; none if that needs no probe of its own.
    #[must_use]
    pub fn forked(&self, child: u32) -> Option<Self> {
        let sites: Vec<_> = self.sites.iter().filter(|site| site.reach == Reach::Process).cloned().collect();
        (!sites.is_empty()).then(|| Self { tgid: child, sites, ..self.clone() })
    }
}

/// Where a runtime keeps things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Of CPython.
    Python(Python),
    /// Of Go.
    Go(Go),
}

/// A process that is not adapted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// What it seems to run; meaningless where that is no runtime.
    pub kind: Kind,
    /// Why.
    pub why: Refusal,
}

/// Looks at a process.
///
/// # Errors
/// The reason why it is not adapted.
pub fn find(tgid: u32, images: &mut Images) -> Result<Found, Refused> {
    match python::find(tgid, images) {
        Err(Refusal::NoRuntime) => go::find(tgid, images).map_err(|why| Refused { kind: Kind::Go, why }),
        outcome => outcome.map_err(|why| Refused { kind: Kind::Python, why }),
    }
}

impl Kind {
    /// All of them.
    pub(in crate::attach) const ALL: [Self; 2] = [Self::Python, Self::Go];

    /// Its name, as metrics have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Go => "go",
        }
    }
}

/// Why a process is not adapted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It runs no runtime that there is an adapter for.
    #[error("no runtime that there is an adapter for")]
    NoRuntime,
    /// Its runtime has not started yet: it is looked at again.
    #[error("its runtime has not started")]
    NotStarted,
    /// Too many others are to be looked at first.
    #[error("too many processes are to be looked at")]
    TooMany,
    /// The adapter does not know this version.
    #[error("unsupported version {0}")]
    Version(String),
    /// The file does not have what the adapter needs.
    #[error("symbols missing: {0}")]
    Symbols(&'static str),
    /// What was found is not what a runtime looks like.
    #[error("the self-check failed: {0}")]
    Check(&'static str),
    /// Something could not be read.
    #[error("cannot read {0}")]
    Unreadable(&'static str),
}

impl Refusal {
    /// What kind of reason it is: a closed list, for counters.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoRuntime => "no runtime",
            Self::NotStarted => "not started",
            Self::TooMany => "too many",
            Self::Version(_) => "unsupported version",
            Self::Symbols(_) => "symbols missing",
            Self::Check(_) => "self-check failed",
            Self::Unreadable(_) => "unreadable",
        }
    }
}
