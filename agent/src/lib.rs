//! The user half of Tracemend: attaches the kernel half, feeds the core, exports its spans.

pub mod attach;
pub mod export;
pub mod object;
pub mod ring;
pub mod telemetry;
