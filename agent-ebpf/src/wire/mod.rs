//! The records the kernel half writes and the user half reads: fixed layouts, explicit padding, little-endian.
//!
//! A change of any layout raises [`ABI_VERSION`]; the user half refuses an object with another version. Bytes become
//! these types only through zerocopy's checked conversions.

pub mod config;
mod handed;
pub mod loss;
pub mod names;
pub mod record;

/// Raised with every change of a layout in this module.
pub const ABI_VERSION: u32 = 16;
