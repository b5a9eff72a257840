//! The pure middle of Tracemend: kernel records in, spans out.
//!
//! A stage may use the types of earlier stages and of the leaves, never those of a later one:
//!
//! ```text
//! decode -> conn -> stream -> proto -> causal -> engine -> recording      leaves: ids, limits, map; what a span is: span, stats
//! ```
//!
//! There is no clock, file, socket or randomness here: time, ids and facts about processes are arguments, so that a
//! recording replays to identical spans on any machine.
#![forbid(unsafe_code)]

pub mod causal;
pub mod conn;
pub mod decode;
pub mod engine;
pub mod ids;
pub mod limits;
mod map;
pub mod proto;
pub mod recording;
pub mod span;
pub mod stats;
pub mod stream;
