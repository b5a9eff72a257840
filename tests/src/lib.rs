//! The language the tests of the whole agent are written in.
//!
//! A test opens a [`scene`], starts real programs in it ([`workload`], [`process`]), an agent beside them ([`agent`]), talks
//! to the programs ([`load`], [`dialogue`]), and judges what the agent wrote ([`otlp`]) by what really happened ([`truth`],
//! [`score`]). The agent never sees the truth: it travels in a header and in files that nothing in the agent looks at.

pub mod agent;
pub mod clock;
pub mod collector;
pub mod dialogue;
pub mod jaeger;
pub mod load;
pub mod netns;
pub mod otlp;
pub mod permission;
pub mod process;
pub mod scene;
pub mod score;
pub mod session;
pub mod target;
pub mod truth;
pub mod wait;
pub mod workload;
