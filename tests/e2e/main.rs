//! The whole agent beside real programs on real sockets.

fn main() {}
