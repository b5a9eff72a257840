//! The `tracemend` command.

fn main() {}
