//! One file per hook family. Each states the prototype it relies on and why it is this hook.

pub mod payload;
pub mod pipes;
pub mod process;
mod proof;
pub mod runtime_go;
pub mod runtime_go_channels;
pub mod runtime_greenlet;
pub mod runtime_python;
pub mod state;
