//! Finished spans: what the exporters are given.

mod build;
mod decision;
mod errno;
pub mod names;
mod target;
mod types;

pub use build::{Half, build};
pub use decision::{Decision, Evidence, OrphanReason};
pub use types::{Attribute, Confidence, Kind, Span, SpanLink, Status, Value};

#[cfg(test)]
mod tests;
