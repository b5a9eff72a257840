//! Loads and attaches the kernel half: each hook on its own, so that an absent one only switches off what needs it.

mod btf;
mod hooks;
mod offsets;
mod parallel;
pub mod runtime;
mod session;

pub use hooks::{HookReport, State, probe};
pub use offsets::offsets_in;
pub use session::{Options, Past, Session, Targets};
