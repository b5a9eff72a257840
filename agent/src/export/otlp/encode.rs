//! Spans into the bytes of an `ExportTraceServiceRequest`, without the messages that [`convert`] builds of them: those
//! own a copy of every name and text, some hundred allocations a span.
//!
//! What is written is what the messages' own encoder writes, field by field in the order of the numbers of
//! `opentelemetry/proto/{common,resource,trace}/v1`.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};
use tracemend_core::decode::Process;
use tracemend_core::span::{Attribute, Span, SpanLink, Value};

use crate::export::convert;
use crate::export::queue::Stamped;

/// How a field's bytes are read (protobuf encoding, "Message Structure").
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// Bytes of one span with its attributes, so that most requests grow no more than once.
const SPAN_BYTES: usize = 1024;

/// One request for all spans, with a resource for each process.
pub(super) fn request(spans: &[Stamped]) -> Vec<u8> {
    // A process that replaced its program has a new `Arc`, so the address tells apart what one request must.
    let mut place: HashMap<*const Process, usize> = HashMap::new();
    let mut processes: Vec<(&Process, Vec<&Stamped>)> = Vec::new();
    for stamped in spans {
        let process = &stamped.span.process;
        let at = *place.entry(Arc::as_ptr(process)).or_insert_with(|| {
            processes.push((process, Vec::new()));
            processes.len() - 1
        });
        processes[at].1.push(stamped);
    }
    let mut out = Vec::with_capacity(spans.len() * SPAN_BYTES);
    for (process, spans) in processes {
        wide_message::<3>(&mut out, 1, |out| resource_spans(out, convert::of_process(process), &spans));
    }
    out
}

/// `ResourceSpans`: the resource and the scope are once for many spans, and are left to their messages.
fn resource_spans(out: &mut Vec<u8>, mut of_process: ResourceSpans, spans: &[&Stamped]) {
    let scope_spans = of_process.scope_spans.pop().unwrap_or_default();
    out.extend(of_process.encode_to_vec());
    wide_message::<3>(out, 2, |out| {
        out.extend(scope_spans.encode_to_vec());
        for Stamped { span: one, offset_ns } in spans {
            wide_message::<2>(out, 2, |out| span(out, one, *offset_ns));
        }
    });
}

fn span(out: &mut Vec<u8>, span: &Span, offset_ns: i64) {
    let (kind, flags, code) = convert::numbers(span);
    bytes(out, 1, &span.trace_id.0);
    bytes(out, 2, &span.span_id.0);
    text(out, 3, &span.tracestate);
    if let Some(parent) = span.parent {
        bytes(out, 4, &parent.0);
    }
    text(out, 5, span.name);
    number(out, 6, kind as u64);
    fixed64(out, 7, span.start.0.saturating_add_signed(offset_ns));
    fixed64(out, 8, span.end.0.saturating_add_signed(offset_ns));
    attributes(out, 9, &span.attributes);
    for one in &span.links {
        message(out, 13, |out| link(out, one));
    }
    message(out, 15, |out| number(out, 3, code as u64));
    key(out, 16, Wire::Fixed32);
    out.extend(flags.to_le_bytes());
}

fn link(out: &mut Vec<u8>, link: &SpanLink) {
    bytes(out, 1, &link.trace_id.0);
    bytes(out, 2, &link.span_id.0);
    attributes(out, 4, &link.attributes);
}

/// `KeyValue`s.
fn attributes(out: &mut Vec<u8>, field: u32, attributes: &[Attribute]) {
    for (name, value) in attributes {
        message(out, field, |out| {
            text(out, 1, name);
            message(out, 2, |out| any(out, value));
        });
    }
}

/// `AnyValue`: one of several, so that it is there though it be empty or nought.
fn any(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => bytes(out, 1, text.as_bytes()),
        Value::Bool(truth) => {
            key(out, 2, Wire::Varint);
            encode_varint(u64::from(*truth), out);
        }
        Value::Int(number) => {
            key(out, 3, Wire::Varint);
            encode_varint(number.cast_unsigned(), out);
        }
        Value::Strings(texts) => message(out, 5, |out| {
            for text in texts {
                message(out, 1, |out| bytes(out, 1, text.as_bytes()));
            }
        }),
    }
}

fn key(out: &mut Vec<u8>, field: u32, wire: Wire) {
    varint(out, u64::from(field << 3 | wire as u32));
}

fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    key(out, field, Wire::Bytes);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is empty is not written.
fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        bytes(out, field, text.as_bytes());
    }
}

/// Nought is not written.
fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        key(out, field, Wire::Varint);
        encode_varint(number, out);
    }
}

/// Nought is not written.
fn fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        key(out, field, Wire::Fixed64);
        out.extend(number.to_le_bytes());
    }
}

/// A message, whose length comes before it and is known behind it: one of a single byte has its place, a longer one makes
/// room.
fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    wide_message::<1>(out, field, write);
}

/// A message whose length mostly takes `WIDTH` bytes, at most ten: it is moved where it takes another number.
fn wide_message<const WIDTH: usize>(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, Wire::Bytes);
    let place = out.len();
    out.extend([0; WIDTH]);
    let begin = out.len();
    write(out);
    let end = out.len();
    let length = (end - begin) as u64;
    let bytes = encoded_len_varint(length);
    if bytes != WIDTH {
        out.resize(end + bytes.saturating_sub(WIDTH), 0);
        out.copy_within(begin..end, place + bytes);
        out.truncate(place + bytes + (end - begin));
    }
    // The lowest seven bits first; all bytes but the last have the highest bit.
    for (index, byte) in out[place..place + bytes].iter_mut().enumerate() {
        let more = if index + 1 < bytes { 0x80 } else { 0 };
        *byte = (length >> (7 * index)) as u8 & 0x7f | more;
    }
}

/// As [`encode_varint`]: nearly all keys and lengths take one byte.
fn varint(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => encode_varint(number, out),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prost::Message as _;
    use tracemend_core::decode::Process;
    use tracemend_core::ids::{SpanId, TraceId};
    use tracemend_core::span::{SpanLink, Status, Value};

    use super::request;
    use crate::export::convert;
    use crate::export::queue::Stamped;
    use crate::export::testing::stamped;

    fn same(spans: Vec<Stamped>) {
        let bytes = request(&spans);
        assert_eq!(bytes, convert::request(spans).encode_to_vec());
    }

    #[test]
    fn what_is_written_is_what_the_messages_would_be() {
        let mut spans: Vec<_> = (1..=5).map(stamped).collect();
        let process = Process { resource: vec![("process.pid".into(), "7".into())], ..Process::default() };
        spans[1].span.process = Arc::new(process);
        spans[2].span.parent = Some(SpanId([9; 8]));
        spans[2].span.status = Status::Error;
        spans[2].span.tracestate = "a=b".into();
        spans[3].span.links = vec![SpanLink {
            trace_id: TraceId([3; 16]),
            span_id: SpanId([4; 8]),
            attributes: vec![("name", Value::String("".into()))],
        }];
        spans[4].span.attributes = vec![
            ("long", Value::String("x".repeat(300).into())),
            ("longer", Value::String("y".repeat(40_000).into())),
            ("none", Value::Int(0)),
            ("negative", Value::Int(-1)),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("texts", Value::Strings(vec!["a".into(), String::new(), "z".repeat(200)])),
        ];
        same(spans);
        same(Vec::new());
    }

    #[test]
    fn lengths_of_one_byte_and_of_more_meet_at_their_border() {
        for length in [0, 1, 100, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_370, 16_383, 16_384, 16_390] {
            let mut one = stamped(1);
            one.span.attributes = vec![("n", Value::String("x".repeat(length).into()))];
            same(vec![one]);
        }
    }
}
