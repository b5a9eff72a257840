//! What both halves of Tracemend share: the layouts of the records that cross the ring buffers ([`wire`]) and the
//! pure decisions the kernel half makes ([`rules`]), testable on the host.
//!
//! Nothing here may depend on aya: the host builds and tests this library without a BPF toolchain.
#![no_std]
#![forbid(unsafe_code)]

pub mod rules;
pub mod wire;
