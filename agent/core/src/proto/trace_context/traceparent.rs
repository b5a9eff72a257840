//! `traceparent` (W3C Trace Context level 2, section 3.2).

use super::{WireParent, hex};

/// Bytes of version 00: `00-<32 digits>-<16 digits>-<2 digits>`.
const LEN: usize = 55;
/// `sampled` in the trace flags (section 3.2.2.5.1).
const SAMPLED: u8 = 1;

/// Reads a field value. Versions above 00 may go on behind their first four fields, after another dash; of them only
/// these four are read (section 3.2.4).
pub(super) fn parse(value: &[u8]) -> Option<WireParent> {
    let (known, rest) = value.split_at_checked(LEN)?;
    let [version] = hex::lower(&known[..2])?;
    let whole = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    let dashes = [known[2], known[35], known[52]];
    if !whole || dashes != *b"---" {
        return None;
    }
    let [flags] = hex::lower(&known[53..])?;
    Some(WireParent {
        trace_id: hex::trace_id(hex::lower(&known[3..35])?)?,
        span_id: hex::span_id(hex::lower(&known[36..52])?)?,
        sampled: flags & SAMPLED != 0,
    })
}
