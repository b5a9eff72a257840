//! A sequence of records through the whole core: each one a length (two bytes, least significant first) and so many bytes.
//! A record of no bytes lets time pass.

use tracemend_core::decode::{Room, decode};
use tracemend_core::engine::{Engine, Options, Output};
use tracemend_core::ids::BootNanos;
use tracemend_core::span::Span;

/// How far an empty record leads: exchanges settle within a second.
const STEP_NS: u64 = 300_000_000;

pub(crate) fn run(mut bytes: &[u8]) {
    let mut engine = new();
    let (mut out, mut room) = (Output::default(), Room::default());
    let mut now = 0;
    while let [low, high, rest @ ..] = bytes {
        let (record, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
        bytes = rest;
        if record.is_empty() {
            now = u64::saturating_add(now, STEP_NS);
            engine.tick(BootNanos(now), &mut out);
            continue;
        }
        match decode(record, &mut room) {
            Ok(event) => {
                now = event.time().map_or(now, |time| time.0.max(now));
                engine.push(event, &mut out);
            }
            Err(_) => engine.bad_record(),
        }
    }
    engine.finish(BootNanos(now), &mut out);
    check(&out.spans);
}

/// A core that explains itself, so that this is run too.
pub(crate) fn new() -> Engine {
    Engine::new(Options { nonce: [7; 16], excluded: Box::new(|target| target.starts_with("/excluded")), explain: true })
}

/// What holds for all spans, whatever was told. (Ids need not differ: a connection may be told twice over.)
pub(crate) fn check(spans: &[Span]) {
    for span in spans {
        assert!(span.start <= span.end, "{span:?}");
        assert_ne!(span.parent, Some(span.span_id), "its own parent: {span:?}");
        assert_ne!(span.trace_id.0, [0; 16]);
        assert_ne!(span.span_id.0, [0; 8]);
    }
}
