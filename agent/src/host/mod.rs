//! Facts about the host and its processes, read through `/proc`.
//!
//! Processes are not trusted. What one of them controls (its command line, environment, title, names of its files) is
//! capped, cleaned and used to name that process alone; its files are never mapped; reads that touch its memory are
//! given up after a while. So a hostile process can misname itself, and nothing else.

mod address;
mod capability;
mod cgroup;
mod declared;
mod identity;
mod instance;
mod kernel;
mod limits;
mod listeners;
mod memory;
mod proc;
mod processes;
pub mod readers;
mod resource;
mod service;
mod targets;
mod text;
mod unix_sockets;

pub use capability::{Capabilities, Capability};
pub use identity::Identity;
pub use instance::{Holder, Instance, Refused};
pub use kernel::{CgroupMode, Kernel};
pub use listeners::Listener;
pub use processes::{Counters, Host, same_start};
