//! The kernel half alone, loaded and read as the agent does it: what each hook tells of real system calls.
//!
//! A program of its own makes the calls, word for word as the test says ([`tracemend_tests::actor`]), since what this
//! process does is the agent's own traffic. Every test looks at sockets and processes that it knows by name, so that
//! neighbours do not matter.

mod aside;
mod channels;
mod greenlet;
mod head;
mod order;
mod payload;
mod pipes;
mod policy;
mod process;
mod proof;
mod python;
mod pythons;
mod queues;
mod shed;
mod stage;
mod state;
mod target;
mod unix;
