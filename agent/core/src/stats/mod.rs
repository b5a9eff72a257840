//! Counters of the core: every loss has a name.
