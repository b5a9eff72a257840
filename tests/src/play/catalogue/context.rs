//! Trace contexts on the wire, by the recommendation and by older customs.

use super::{answer, ask, get, head};
use crate::play::{Context, Link, Play, Told, exchange};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The context that all of these name.
fn known() -> Context {
    Context { trace: TRACE.to_owned(), span: SPAN.to_owned(), sampled: true, state: String::new() }
}

/// A request with these fields, and an answer.
fn asks(play: Play, path: &str, fields: &str, tell: impl FnOnce(Told) -> Told) -> Play {
    play.client(ask(&format!("GET {path}"), fields)).server(answer(200, "")).told(tell(exchange("GET", path, 200)))
}

/// One request for each of these fields, all of which name the context.
fn all_name_it(fields: &[&str]) -> Play {
    let context = known();
    let numbered = fields.iter().enumerate();
    numbered.fold(Play::over(Link::Ipv4), |play, (number, fields)| {
        asks(play, &format!("/{number}"), fields, |told| told.context(&context))
    })
}

/// The same, none of which names any.
fn none_names_any(fields: &[&str]) -> Play {
    let numbered = fields.iter().enumerate();
    numbered
        .fold(Play::over(Link::Ipv4), |play, (number, fields)| asks(play, &format!("/{number}"), fields, |told| told))
}

/// The field as it should be, and as it may be: names in any case, white space round the value, other flags.
#[must_use]
pub fn a_traceparent_names_the_parent() -> Play {
    all_name_it(&[
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "TRACEparent:\t00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 \t\r\n",
        "Traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03\r\n",
    ])
}

/// The first four parts count, whatever follows behind a dash.
#[must_use]
pub fn a_traceparent_of_a_future_version_is_read() -> Play {
    all_name_it(&[
        "traceparent: cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "traceparent: cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future\r\n",
    ])
}

/// Zero ids, wrong lengths, upper case, version ff, a future version without its dash, trailing parts of version 00.
#[must_use]
pub fn a_malformed_traceparent_names_nothing() -> Play {
    none_names_any(&[
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n",
        "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01\r\n",
        "traceparent: ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "traceparent: cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n \r\n  x\r\n",
        "traceparent : 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
    ])
}

/// Even if both agree.
#[must_use]
pub fn a_traceparent_that_comes_twice_names_nothing() -> Play {
    none_names_any(&[
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
         Traceparent: 00-6bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
    ])
}

/// In the body, a trailer, the target, another field, or an answer.
#[must_use]
pub fn names_that_are_no_fields_of_the_head_name_nothing() -> Play {
    let field = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    let length = format!("Content-Length: {}\r\n", field.len());
    let chunked = "Transfer-Encoding: chunked\r\nTrailer: traceparent\r\n";
    Play::over(Link::Ipv4)
        .client(ask("POST /body", &length) + &field)
        .server(head(200, &(field.clone() + &length)) + &field)
        .told(exchange("POST", "/body", 200).bodies(field.len() as u64, field.len() as u64))
        .client(ask("POST /trailer", chunked) + "2\r\nok\r\n0\r\n" + &field + "\r\n")
        .server(answer(200, ""))
        .told(exchange("POST", "/trailer", 200).bodies(2, 0))
        .client(ask(&format!("GET /target?traceparent=00-{TRACE}-{SPAN}-01"), &format!("X-Note: {field}")))
        .server(answer(200, ""))
        .told(exchange("GET", "/target", 200))
}

/// From several fields, with others between them.
#[must_use]
pub fn a_tracestate_is_combined_from_its_fields() -> Play {
    let parent = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    let state = |state: &str| known().with_state(state);
    let fields = format!("TraceState: a=1 , \tb=2,\r\n{parent}X: y\r\ntracestate:\r\ntracestate: c=3 4\r\n");
    let play = asks(Play::over(Link::Ipv4), "/combined", &fields, |told| told.context(&state("a=1,b=2,c=3 4")));
    let play =
        asks(play, "/bad", &format!("{parent}tracestate: a=1\r\ntracestate: B=2\r\n"), |told| told.context(&known()));
    let play = asks(play, "/twice", &format!("{parent}tracestate: a=1,a=2\r\n"), |told| told.context(&known()));
    asks(play, "/alone", "tracestate: a=1\r\n", |told| told)
}

/// 32 members; 512 characters, whole members at a time, long ones first.
#[must_use]
pub fn a_tracestate_is_kept_within_its_limits() -> Play {
    let parent = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    let list = |count: usize| (0..count).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
    let short = |number: usize| format!("k{number}={}", "y".repeat(97));
    let five = (1..=5).map(short).collect::<Vec<_>>().join(",");
    let long = format!("long={},{five}", "x".repeat(124));
    let state = |state: &str| known().with_state(state);
    let play = Play::over(Link::Ipv4);
    let fields = |state: &str| format!("{parent}tracestate: {state}\r\n");
    let play = asks(play, "/32", &fields(&list(32)), |told| told.context(&state(&list(32))));
    let play = asks(play, "/33", &fields(&list(33)), |told| told.context(&known()));
    let play = asks(play, "/long", &fields(&long), |told| told.context(&state(&five)));
    asks(play, "/six", &fields(&format!("{five},{}", short(6))), |told| told.context(&state(&five)))
}

/// In one field and in several; short trace ids; debug.
#[must_use]
pub fn b3_names_the_parent() -> Play {
    let play = all_name_it(&[
        "b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n",
        "B3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d-05e3ac9a4f6e3b90\r\n",
        "X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736\r\nX-B3-SpanId: 00f067aa0ba902b7\r\nX-B3-Sampled: 1\r\n",
        "x-b3-traceid: 4bf92f3577b34da6a3ce929d0e0e4736\r\nx-b3-spanid: 00f067aa0ba902b7\r\nx-b3-flags: 1\r\n",
    ]);
    let short = Context { trace: format!("{:0>32}", "a3ce929d0e0e4736"), ..known() };
    asks(play, "/short", "b3: a3ce929d0e0e4736-00f067aa0ba902b7\r\n", |told| told.context(&short))
}

/// A sampling state alone, zero and cut ids.
#[must_use]
pub fn a_malformed_b3_names_nothing() -> Play {
    none_names_any(&[
        "b3: 1\r\n",
        "b3: 4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-1\r\n",
        "b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-1\r\n",
        "b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-x\r\n",
        "X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736\r\n",
    ])
}

/// The format of Jaeger's clients.
#[must_use]
pub fn an_uber_trace_id_names_the_parent() -> Play {
    all_name_it(&[
        "uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1\r\n",
        "Uber-Trace-Id: 4bf92f3577b34da6a3ce929d0e0e4736%3A00f067aa0ba902b7%3A0%3A3\r\n",
    ])
}

/// `traceparent`, else b3, else `uber-trace-id`: the first that is valid.
#[must_use]
pub fn of_several_formats_the_first_that_is_valid_counts() -> Play {
    all_name_it(&[
        "uber-trace-id: 1:2:0:1\r\nb3: 1-2-1\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
        "uber-trace-id: 1:2:0:1\r\nb3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\ntraceparent: 00-1-2-01\r\n",
        "b3: 0\r\nuber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1\r\n",
    ])
}

/// Somebody decided that this trace is not to be told.
#[must_use]
pub fn what_is_not_sampled_is_not_told() -> Play {
    let unsampled = Context { trace: "5bf92f3577b34da6a3ce929d0e0e4736".to_owned(), ..known().unsampled() };
    [
        "traceparent: 00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n",
        "traceparent: 00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02\r\n",
        "b3: 5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\r\n",
        "uber-trace-id: 5bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:0\r\n",
    ]
    .into_iter()
    .fold(Play::over(Link::Ipv4), |play, fields| asks(play, "/unsampled", fields, |told| told.context(&unsampled)))
    .client(get("/sampled"))
    .server(answer(200, ""))
    .told(exchange("GET", "/sampled", 200))
}
