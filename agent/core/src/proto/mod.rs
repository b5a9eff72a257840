//! Messages into exchanges. A protocol is a folder with the same files as its siblings: `detect` (is it this
//! protocol?), `parse` (bytes into messages), `pair` (requests with responses), `types`.

//!
//! What names work instead of carrying it (`celery`) has no exchanges: it tells of names alone.

pub mod celery;
pub mod exchange;
pub mod http1;
pub mod trace_context;
