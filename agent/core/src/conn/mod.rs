//! Connections: which socket, whose, and what ties it to its other end.
