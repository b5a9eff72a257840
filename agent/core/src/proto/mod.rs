//! Messages into exchanges. A protocol is a folder with the same files as its siblings: `detect` (is it this
//! protocol?), `parse` (bytes into messages), `pair` (requests with responses), `types`.

pub mod exchange;
pub mod http1;
pub mod trace_context;
