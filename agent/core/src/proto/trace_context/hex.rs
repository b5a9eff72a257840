//! Ids in hexadecimal.

use crate::ids::{SpanId, TraceId};

/// Exactly two lower-case digits a byte, as W3C Trace Context demands.
pub(super) fn lower<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let lower_case = text.iter().all(|digit| !digit.is_ascii_uppercase());
    (lower_case && text.len() == N * 2).then(|| padded(text)).flatten()
}

/// One to two digits a byte in either case, leading zeros left out or not.
pub(super) fn padded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (place, digit) in text.iter().rev().enumerate() {
        let value = char::from(*digit).to_digit(16)? as u8;
        bytes[N - 1 - place / 2] |= value << (place % 2 * 4);
    }
    Some(bytes)
}

/// A trace id, which is never all zero.
pub(super) fn trace_id(bytes: [u8; 16]) -> Option<TraceId> {
    (bytes != [0; 16]).then_some(TraceId(bytes))
}

/// A span id, which is never all zero.
pub(super) fn span_id(bytes: [u8; 8]) -> Option<SpanId> {
    (bytes != [0; 8]).then_some(SpanId(bytes))
}
