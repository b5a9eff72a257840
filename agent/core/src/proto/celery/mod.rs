//! Celery's names of its tasks: where they are put, and where a process of a pool is given one.
//!
//! Who asks for a task makes up a UUID for it, and puts it with the task's other headers into a list of Redis (message
//! protocol 2, <https://docs.celeryq.dev/en/stable/internals/protocol.html>, in the envelope of kombu's virtual transports).
//! A worker takes it from there, and hands it to one of its processes through a pipe.
//!
//! - `push`: what a client sends to Redis, as far as it puts something into a list
//! - `message`: what was put there: the task's name, out of JSON
//! - `uuid`: how that is written
//! - `job`: what a process of a pool is given: the same name, out of a pickle
//!
//! All of it is untrusted and may be cut anywhere. It is read byte by byte, so how it was split into calls does not matter, and
//! nothing of it is kept but the name. Each reader tells of each byte whether it needed it: what is recorded is masked by that.

mod job;
mod message;
mod push;
#[cfg(test)]
mod tests;
mod uuid;

pub use job::{mask_job, task_of_job};
pub use push::Pushes;

/// What stands for a byte that no reader needed.
const MASK: u8 = b'x';
