//! A server in the middle that calls: what caused the call, and whether a context on the wire may say otherwise.
//!
//! Party 0 asks party 1, which asks party 2. Calls are told before what caused them, and numbered so.

use super::{answer, ask};
use crate::play::act::Side::{Client, Server};
use crate::play::{Cause, Context, Link, Play, Receiving, Told, exchange};

/// One thread reads, calls and answers, by sockets that block.
const THREAD: (&str, &str) = ("thread", "exact");

fn fields(context: Option<&Context>) -> String {
    context.map(|context| format!("traceparent: {}\r\n", context.traceparent())).unwrap_or_default()
}

/// A request for `/N` with these fields, read by a thread of the middle. Its connection has twice the number.
fn request(play: Play, number: usize, fields: &str, thread: usize, by: Receiving) -> Play {
    let asked = ask(&format!("GET /{number}"), fields);
    play.connect(0, 1, Link::Ipv4).thread(Client, 0).thread(Server, thread).carry(
        Client,
        asked,
        crate::play::Sending::Send,
        by,
    )
}

/// A call that the same thread makes of the last party, answered at once; `tell` says what must be told of it.
fn call(play: Play, fields: &str, thread: usize, tell: impl FnOnce(Told) -> Told) -> Play {
    play.connect(1, 2, Link::Ipv4)
        .thread(Client, thread)
        .thread(Server, 0)
        .client(ask("GET /called", fields))
        .server(answer(200, ""))
        .told(tell(exchange("GET", "/called", 200)))
}

/// The answer to a request over this connection.
fn reply(play: Play, wire: usize, number: usize, thread: usize, tell: impl FnOnce(Told) -> Told) -> Play {
    play.on(wire).thread(Server, thread).thread(Client, 0).server(answer(200, "")).told(tell(exchange(
        "GET",
        &format!("/{number}"),
        200,
    )))
}

/// A stage with a connection over which nothing is said, so that those that follow count from one.
fn stage() -> Play {
    Play::over(Link::Ipv4).alone()
}

const fn caused_by(told: Told, number: usize) -> Told {
    told.caused(Cause::Served(number, THREAD.0, THREAD.1))
}

/// Nothing on the wire: the thread says it.
#[must_use]
pub fn a_call_belongs_to_the_request_its_thread_read() -> Play {
    let play = request(stage(), 1, "", 0, Receiving::Recv);
    let play = call(play, "", 0, |told| caused_by(told, 1));
    reply(play, 1, 1, 0, |told| told)
}

/// The context goes on as it came: wire and thread agree.
#[must_use]
pub fn a_forwarded_context_agrees_with_the_thread() -> Play {
    let context = Context::number(11);
    let fields = fields(Some(&context));
    let play = request(stage(), 1, &fields, 0, Receiving::Recv);
    let play = call(play, &fields, 0, |told| caused_by(told.context(&context), 1));
    reply(play, 1, 1, 0, |told| told.context(&context))
}

/// The program made a span of its own, which is the parent.
#[must_use]
pub fn a_context_of_the_programs_own_is_the_parent() -> Play {
    let (came, made) = (Context::number(21), Context { span: format!("{:016x}", 22), ..Context::number(21) });
    let play = request(stage(), 1, &fields(Some(&came)), 0, Receiving::Recv);
    let play = call(play, &fields(Some(&made)), 0, |told| told.context(&made));
    reply(play, 1, 1, 0, |told| told.context(&came))
}

/// All requests carry the same context, and so do the calls: each belongs to the request that was open.
#[must_use]
pub fn a_constant_context_merges_no_requests() -> Play {
    let context = Context::number(31);
    let fields = fields(Some(&context));
    let play = request(stage(), 1, &fields, 0, Receiving::Recv);
    let play = call(play, &fields, 0, |told| caused_by(told.context(&context), 1));
    let play = reply(play, 1, 1, 0, |told| told.context(&context));
    let play = request(play, 2, &fields, 0, Receiving::Recv);
    let play = call(play, &fields, 0, |told| caused_by(told.context(&context), 3));
    reply(play, 3, 2, 0, |told| told.context(&context))
}

/// The context of a request that was answered is sent on while another one is served: neither is believed.
#[must_use]
pub fn a_stale_context_is_a_conflict() -> Play {
    let (old, new) = (Context::number(41), Context::number(42));
    let play = request(stage(), 1, &fields(Some(&old)), 0, Receiving::Recv);
    let play = reply(play, 1, 1, 0, |told| told.context(&old));
    let play = request(play, 2, &fields(Some(&new)), 0, Receiving::Recv);
    let play = call(play, &fields(Some(&old)), 0, |told| told.context(&old).caused(Cause::Conflict(2)));
    reply(play, 2, 2, 0, |told| told.context(&new))
}

/// Two requests are open on two threads, and each one's call carries the other one's context.
#[must_use]
pub fn swapped_contexts_are_conflicts() -> Play {
    let (one, two) = (Context::number(51), Context::number(52));
    let play = request(stage(), 1, &fields(Some(&one)), 1, Receiving::Recv);
    let play = request(play, 2, &fields(Some(&two)), 2, Receiving::Recv);
    let play = call(play, &fields(Some(&two)), 1, |told| told.context(&two).caused(Cause::Conflict(2)));
    let play = call(play, &fields(Some(&one)), 2, |told| told.context(&one).caused(Cause::Conflict(3)));
    let play = reply(play, 1, 1, 1, |told| told.context(&one));
    reply(play, 2, 2, 2, |told| told.context(&two))
}

/// A context that nobody sent in, of another trace than the request's.
#[must_use]
pub fn a_context_of_another_trace_is_a_conflict() -> Play {
    let (came, made) = (Context::number(61), Context::number(62));
    let play = request(stage(), 1, &fields(Some(&came)), 0, Receiving::Recv);
    let play = call(play, &fields(Some(&made)), 0, |told| told.context(&made).caused(Cause::Conflict(1)));
    reply(play, 1, 1, 0, |told| told.context(&came))
}

/// Without blocking sockets the thread proves nothing; a request id that goes on does.
#[must_use]
pub fn a_forwarded_request_id_links_where_the_thread_cannot() -> Play {
    let id = "X-Request-Id: forwarded-71\r\n";
    let play = request(stage(), 1, id, 0, Receiving::NonBlocking);
    let play = call(play, id, 0, |told| {
        told.caused(Cause::Served(1, "wire", "exact")).has("http.request.header.x-request-id", "forwarded-71")
    });
    let play = reply(play, 1, 1, 0, |told| told.has("http.request.header.x-request-id", "forwarded-71"));
    // Without it there is no link.
    let play = request(play, 2, "", 0, Receiving::NonBlocking);
    let play = call(play, "", 0, |told| told.caused(Cause::Orphan("event loop")));
    reply(play, 3, 2, 0, |told| told)
}

/// A request id that names another request than the thread does: neither is believed.
#[must_use]
pub fn a_request_id_that_disagrees_with_the_thread_links_nothing() -> Play {
    let id = |number: usize| format!("X-Request-Id: r-{number}\r\n");
    let play = request(stage(), 1, &id(1), 1, Receiving::Recv);
    let play = request(play, 2, &id(2), 2, Receiving::Recv);
    let play = call(play, &id(2), 1, |told| told.caused(Cause::Orphan("conflict")));
    let play = call(play, &id(2), 2, |told| caused_by(told, 3));
    let play = reply(play, 1, 1, 1, |told| told);
    reply(play, 2, 2, 2, |told| told)
}

/// A trace id that goes on correlates, and links nothing by itself.
#[must_use]
pub fn a_forwarded_x_trace_id_links_nothing() -> Play {
    let id = "X-Trace-Id: t-91\r\n";
    let play = request(stage(), 1, id, 0, Receiving::NonBlocking);
    let play = call(play, id, 0, |told| {
        told.caused(Cause::Orphan("event loop")).has("http.request.header.x-trace-id", "t-91")
    });
    reply(play, 1, 1, 0, |told| told.has("http.request.header.x-trace-id", "t-91"))
}
