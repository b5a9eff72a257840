//! The language the tests of the whole agent are written in.
//!
//! A test opens a [`scene`], starts real programs in it ([`workload`], [`process`]), an agent beside them ([`agent`]), talks
//! to the programs ([`load`], [`dialogue`]), and judges what the agent wrote ([`otlp`]) by what really happened ([`truth`],
//! [`score`]). Where every byte and every call matters, the whole is a [`play`]. [`patterns`] are programs that hand work
//! over in all the ways there are, and [`audit`] doubts their score. The agent never sees the truth: it travels in a header
//! and in files that nothing in the agent looks at.
//!
//! `cargo xtask test` runs everything. By hand, with an agent that is built:
//! ```text
//! cargo test -p tracemend-tests --lib --test workloads                                    # scorer and workloads, no agent
//! TRACEMEND_BIN=$PWD/target/release/tracemend cargo test -p tracemend-tests --test e2e [NAME]            # as root
//! cargo test -p tracemend-tests --test kernel [NAME]                                           # as root, after build-ebpf
//! TRACEMEND_BIN=... TRACEMEND_JAEGER=/path/to/jaeger cargo test -p tracemend-tests --test jaeger         # as root
//! ```
//! A test that cannot run here says so on standard error, on a line `skipped: TEST: REASON`, and passes.

pub mod actor;
pub mod agent;
pub mod applications;
pub mod audit;
pub mod baseline;
pub mod bpf;
pub mod clock;
pub mod collector;
pub mod dialogue;
pub mod jaeger;
pub mod load;
pub mod netns;
pub mod otlp;
pub mod patterns;
pub mod permission;
pub mod play;
pub mod process;
pub mod pythons;
pub mod scene;
pub mod score;
pub mod session;
pub mod target;
pub mod truth;
pub mod wait;
pub mod workload;
