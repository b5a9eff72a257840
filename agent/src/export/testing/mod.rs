//! Spans and a collector for tests.

pub(crate) mod collector;

use std::sync::{Arc, LazyLock};

use tracemend_core::decode::Process;
use tracemend_core::ids::{BootNanos, SpanId, TraceId};
use tracemend_core::span::{Kind, Span, SpanLink, Status, Value, names};

use super::Stamped;

/// Server span number `n` of trace `n`, one process for all.
pub(crate) fn span(n: u8) -> Span {
    static PROCESS: LazyLock<Arc<Process>> = LazyLock::new(|| process("api", "17"));
    Span {
        trace_id: TraceId([n.max(1); 16]),
        span_id: SpanId([0xA0, 0, 0, 0, 0, 0, 0, n]),
        parent: None,
        tracestate: "".into(),
        sampled: None,
        kind: Kind::Server,
        name: "GET",
        start: BootNanos(1_000),
        end: BootNanos(2_000),
        status: Status::Unset,
        attributes: vec![(names::STATUS_CODE, Value::Int(200))],
        links: Vec::new(),
        process: Arc::clone(&PROCESS),
    }
}

/// The same, stamped with the offset 7.
pub(crate) fn stamped(n: u8) -> Stamped {
    Stamped { span: span(n), offset_ns: 7 }
}

/// A trace over two processes that uses every field.
pub(crate) fn two_processes() -> Vec<Stamped> {
    let (front, back) = (process("front", "17"), process("back", "18"));
    let trace_id = TraceId([0xAB; 16]);
    let server = Span {
        trace_id,
        parent: Some(SpanId([1; 8])),
        tracestate: "a=b".into(),
        process: Arc::clone(&front),
        ..span(2)
    };
    let client = Span {
        trace_id,
        parent: Some(server.span_id),
        kind: Kind::Client,
        status: Status::Error,
        attributes: vec![
            (names::REQUEST_ID, Value::Strings(vec!["r-1".into()])),
            (names::CONFLICT, Value::Bool(true)),
            (names::UNSEEN_BYTES, Value::Int(i64::MAX)),
        ],
        links: vec![SpanLink {
            trace_id: TraceId([0xCD; 16]),
            span_id: SpanId([9; 8]),
            attributes: vec![(names::CONFIDENCE, Value::String("weak".into()))],
        }],
        process: front,
        ..span(3)
    };
    let peer = Span { trace_id, parent: Some(client.span_id), process: back, ..span(4) };
    let stamp = |span| Stamped { span, offset_ns: 1_700_000_000_000_000_000 };
    [server, peer, client].map(stamp).into()
}

fn process(service: &str, pid: &str) -> Arc<Process> {
    let resource = [("process.pid", pid), ("service.name", service)];
    Arc::new(Process {
        resource: resource.map(|(name, value)| (name.into(), value.into())).into(),
        ..Process::default()
    })
}
