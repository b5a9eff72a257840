//! Pure decisions of the kernel half: no helpers, no memory, tested on the host.

pub mod head;
pub mod name;
pub mod policy;
pub mod syscall;
pub mod watches;
