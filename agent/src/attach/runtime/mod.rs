//! Adapters of runtimes: which processes run one, where its probes go, and whether it is what it seems.
//!
//! - `maps`: which files a process has mapped
//! - `elf`: symbols and bytes of such a file, which nobody vouches for
//! - `python`: CPython
//! - `site`: a place for a probe; `probes`: what is attached
//! - `selftest`: whether return probes are safe on this kernel
//! - `finder`: looks at processes on a thread of its own
//!
//! A process that cannot be adapted is traced as before, and the reason is told.

mod elf;
mod finder;
mod maps;
mod probes;
mod python;
pub mod selftest;
mod site;

pub use finder::{Finder, Seen};
pub(in crate::attach) use probes::{Probes, load as load_probes};
pub use python::{Found, Images, find};

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
