//! Rules of runtimes and programs whose discipline is known.

mod items;
pub mod nginx;
mod units;
