//! The user half of Tracemend: attaches the kernel half, feeds the core, exports its spans.

pub mod attach;
pub mod cli;
pub mod clock;
pub mod config;
pub mod export;
mod heap;
pub mod host;
pub mod object;
pub mod pipeline;
pub mod recording;
pub mod ring;
pub mod shutdown;
pub mod telemetry;
