//! Rules of runtimes and programs whose discipline is known.

pub mod answers;
mod batches;
mod contexts;
mod items;
pub mod nginx;
mod tasks;
mod units;
