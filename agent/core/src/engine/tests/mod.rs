//! Which call was caused by which request, and how that is known.

mod answers;
mod batches;
mod births;
mod bounds;
mod clocks;
mod contexts;
mod ends;
mod items;
mod nginx;
mod pipes;
mod schedules;
mod tasks;
mod threads;
mod units;
mod wire;
mod world;

use crate::decode::{Closing, Direction};
use crate::span::{Kind, Span};
use world::{Actors, OK, Wire, World, get, known, span};

/// A caller that nobody calls.
const CALLER: Actors = (1, 1);
/// Threads of a server.
const A: Actors = (10, 10);
const B: Actors = (10, 11);
const C: Actors = (10, 12);

const CONTEXT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
const OTHER: &str = "traceparent: 00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01\r\n";

/// A request that a server thread reads and has not answered.
fn open(world: &mut World, by: Actors, path: &str, fields: &str) -> Wire {
    let wire = world.connect(CALLER);
    world.ask(wire, CALLER, &get(path, fields)).read(wire, by, &get(path, fields));
    wire
}

fn open_nonblocking(world: &mut World, by: Actors, path: &str, fields: &str) -> Wire {
    let wire = world.connect(CALLER);
    world.ask(wire, CALLER, &get(path, fields)).read_nonblocking(wire, by, &get(path, fields));
    wire
}

fn close(world: &mut World, wire: Wire, by: Actors) {
    world.answer(wire, by).hear(wire, CALLER);
}

fn caused(spans: &[Span], call: &str, request: &str) -> bool {
    let (call, request) = (span(spans, Kind::Client, call), span(spans, Kind::Server, request));
    call.parent == Some(request.span_id) && call.trace_id == request.trace_id
}
