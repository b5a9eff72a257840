//! nginx (1.18 to 1.26): one thread a worker, one callback a turn.
//!
//! A worker reads a request and, in the same callback, either opens an upstream connection or writes to an idle one of
//! its pool. A new connection is written to in a later turn, when it has become writable, so the request is the one
//! whose turn called `connect()`. The turn of an upstream answer belongs to the request that call was made for.
//! Nothing else is observable without probes: a turn in which something unseen was received (the answer of a
//! resolver) proves nothing. Called strong, since the discipline is nginx's, not the kernel's.

use crate::causal::half::Half;
use crate::decode::Tag;
use crate::span::OrphanReason;

/// Base name of the executable.
pub const EXECUTABLE: &str = "nginx";

/// The turn that a call of nginx was made in.
///
/// # Errors
/// The reason why there is none.
pub fn turn(half: &Half) -> Result<Tag, OrphanReason> {
    let (turn, stale) = match half.connect {
        Some(connect) if connect.tid == half.request.actor.thread.tid => (connect.turn, connect.stale),
        Some(_) => return Err(OrphanReason::AmbiguousBatch),
        None => (half.request.actor.turn, half.request.stale),
    };
    match turn {
        Some(turn) if !stale => Ok(turn),
        Some(_) => Err(OrphanReason::OpaqueHop),
        None => Err(OrphanReason::NoLineage),
    }
}
