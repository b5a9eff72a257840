//! B3 propagation (openzipkin/b3-propagation), as one header field or as several.

use super::{Once, WireParent, hex};

/// The fields of one head.
#[derive(Default)]
pub(super) struct Fields<'a> {
    single: Once<'a>,
    trace_id: Once<'a>,
    span_id: Once<'a>,
    sampled: Once<'a>,
    flags: Once<'a>,
}

impl<'a> Fields<'a> {
    /// Takes a field, if it is one of B3.
    pub(super) fn note(&mut self, name: &str, value: &'a [u8]) {
        let slot = if name.eq_ignore_ascii_case("b3") {
            &mut self.single
        } else if name.eq_ignore_ascii_case("x-b3-traceid") {
            &mut self.trace_id
        } else if name.eq_ignore_ascii_case("x-b3-spanid") {
            &mut self.span_id
        } else if name.eq_ignore_ascii_case("x-b3-sampled") {
            &mut self.sampled
        } else if name.eq_ignore_ascii_case("x-b3-flags") {
            &mut self.flags
        } else {
            return;
        };
        slot.note(value);
    }

    /// The parent they name. The single field goes before the several ones, if it is valid.
    pub(super) fn parent(&self) -> Option<WireParent> {
        self.single.get().and_then(single).or_else(|| {
            let debug = self.flags.get() == Some(b"1");
            parent(self.trace_id.get()?, self.span_id.get()?, debug || sampled(self.sampled.get())?)
        })
    }
}

/// `{trace id}-{span id}[-{sampling state}[-{parent span id}]]`. A sampling state alone names no parent.
fn single(value: &[u8]) -> Option<WireParent> {
    let mut parts = value.split(|byte| *byte == b'-');
    let trace_id = parts.next()?;
    let span_id = parts.next()?;
    let sampled = sampled(parts.next())?;
    if let Some(grandparent) = parts.next() {
        hex::padded::<8>(grandparent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    parent(trace_id, span_id, sampled)
}

fn parent(trace_id: &[u8], span_id: &[u8], sampled: bool) -> Option<WireParent> {
    if !matches!(trace_id.len(), 16 | 32) || span_id.len() != 16 {
        return None;
    }
    Some(WireParent {
        trace_id: hex::trace_id(hex::padded(trace_id)?)?,
        span_id: hex::span_id(hex::padded(span_id)?)?,
        sampled,
    })
}

/// The sampling state. An absent one leaves the decision to the receiver, which has no reason to drop.
fn sampled(state: Option<&[u8]>) -> Option<bool> {
    match state {
        None | Some(b"1" | b"d" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) => None,
    }
}
