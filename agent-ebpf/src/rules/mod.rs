//! Pure decisions of the kernel half: no helpers, no memory, tested on the host.

pub mod deques;
pub mod head;
pub mod name;
pub mod policy;
pub mod syscall;
