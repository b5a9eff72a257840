//! Every bound of the core, with its reason and what happens at the limit.
