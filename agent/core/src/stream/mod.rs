//! Chunks into gap-tolerant streams, one per direction of a connection.
