//! The whole agent beside real programs on real sockets.
//!
//! Every test starts the programs, then the agent, then the traffic; stops the agent, which flushes; and judges the spans
//! by the truth that the programs told. Tests take turns, each has the machine to itself.

mod bodies;
mod breaking;
mod chain;
mod go;
mod handoff;
mod http1;
mod keep_alive;
mod late;
mod lifecycle;
mod namespaces;
mod obstacles;
mod patterns;
mod plays;
mod real;
mod settings;
mod syscalls;
mod targets;
mod timeout;
mod unscored;
