//! Finished spans: what the exporters are given.

mod types;

pub use types::{Attribute, Confidence, Kind, Span, SpanLink, Status, Value};
