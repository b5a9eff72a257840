//! Rules of runtimes and programs whose discipline is known.

pub mod nginx;
mod units;
