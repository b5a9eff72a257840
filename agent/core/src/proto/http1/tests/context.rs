//! Ids on the wire are fields of a request's head, and nothing else.

use super::*;
use crate::proto::trace_context::WireContext;

const PARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const IDS: &str = "tracestate: a=1\r\nb3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n\
                   uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1\r\nx-request-id: r\r\n\
                   x-trace-id: t\r\n";

fn context(bytes: impl AsRef<[u8]>) -> WireContext {
    let mut talk = Talk::server_end();
    talk.client(bytes).server(OK);
    let mut requests = talk.requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0).context
}

#[test]
fn ids_in_the_body_are_none() {
    let text = format!("{PARENT}{IDS}\r\n");
    let post = ask("POST /p", &format!("Content-Length: {}\r\n", text.len()));
    assert_eq!(context([&post[..], text.as_bytes()].concat()), WireContext::default());
}

#[test]
fn ids_in_a_trailer_are_none() {
    let post = ask("POST /p", "Transfer-Encoding: chunked\r\nTrailer: traceparent\r\n");
    let body = format!("2\r\nok\r\n0\r\n{PARENT}{IDS}\r\n");
    assert_eq!(context([&post[..], body.as_bytes()].concat()), WireContext::default());
}

#[test]
fn ids_in_the_target_or_in_another_fields_value_are_none() {
    let head = "GET /a?traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 HTTP/1.1\r\n\
                X-Note: traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                Old: x\r\n traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
                x-traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    assert_eq!(context(head), WireContext::default());
}

#[test]
fn a_name_counts_in_any_case_and_its_value_without_white_space_round_it() {
    let sent =
        "TRACEparent: \t00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 \t\r\nTraceState:\ta=1 , b=2\t\r\n";
    let read = context(ask("GET /a", sent));
    assert_eq!(read.parent, context(ask("GET /a", PARENT)).parent);
    assert!(read.parent.is_some());
    assert_eq!(read.tracestate.as_deref(), Some("a=1,b=2"));
}

#[test]
fn a_name_with_white_space_before_its_colon_is_none() {
    assert_eq!(context(ask("GET /a", &PARENT.replace(": ", " : "))), WireContext::default());
}

#[test]
fn a_parent_whose_line_was_cut_or_folded_is_none() {
    let cut = &ask("GET /a", PARENT)[..80];
    let mut talk = Talk::server_end();
    talk.client_cut(cut, 500);
    assert_eq!(talk.requests()[0].context, WireContext::default());
    let folded = PARENT.replace("-01\r\n", "-01\r\n -x\r\n");
    assert_eq!(context(ask("GET /a", &folded)), WireContext::default());
}

#[test]
fn an_id_whose_line_may_go_on_behind_the_cut_is_none() {
    let id = |head: &str, behind: u32| {
        let mut talk = Talk::server_end();
        talk.client_cut(head, behind);
        talk.requests()[0].context.request_id.clone()
    };
    let head = "GET /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n";
    assert_eq!(id(head, 9), None);
    assert_eq!(id(&format!("{head} "), 9), None);
    assert_eq!(id(&format!("{head}C"), 9).as_deref(), Some("r1"));
}

#[test]
fn tracestate_is_combined_from_fields_with_others_between_them() {
    let sent = format!("TraceState: a=1\r\n{PARENT}X: y\r\ntracestate: b=2,c=3\r\n");
    assert_eq!(context(ask("GET /a", &sent)).tracestate.as_deref(), Some("a=1,b=2,c=3"));
}

#[test]
fn the_sampled_flag_is_kept_as_it_was_sent() {
    let sampled = |fields: &str| context(ask("GET /a", fields)).parent.map(|parent| parent.sampled);
    assert_eq!(sampled(PARENT), Some(true));
    assert_eq!(sampled(&PARENT.replace("-01\r", "-00\r")), Some(false));
    assert_eq!(sampled("b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\r\n"), Some(false));
    assert_eq!(sampled("uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:0\r\n"), Some(false));
}

/// The ids on the answer to a request without any.
fn answer_ids(answer: impl AsRef<[u8]>, behind: u32) -> crate::proto::trace_context::AnswerIds {
    let mut talk = Talk::client_end();
    talk.client(GET).server_cut(answer, behind);
    let ids = talk.updates.drain(..).find_map(|update| match update {
        Update::Response { response, .. } => Some(response.ids),
        Update::Request(_) | Update::End(_) => None,
    });
    ids.expect("an answer")
}

#[test]
fn correlation_ids_of_an_answer_are_those_of_its_final_head() {
    let fields = format!("{PARENT}X-Request-ID: \t r-2 \r\nx-trace-id: t-2\r\nContent-Length: 17\r\n");
    let bytes =
        [answer(103, "X-Request-Id: early\r\n"), answer(200, &fields), b"x-request-id: r\r\n".to_vec()].concat();
    let ids = answer_ids(bytes, 0);
    assert_eq!((ids.request_id.as_deref(), ids.x_trace_id.as_deref()), (Some("r-2"), Some("t-2")));
    let twice = answer_ids(answer(200, "X-Request-Id: r\r\nX-Request-Id: r\r\n"), 0);
    assert_eq!(twice.request_id, None);
}

#[test]
fn of_an_answers_head_that_was_cut_only_whole_fields_count() {
    let ids = answer_ids(b"HTTP/1.1 200 OK\r\nX-Trace-Id: t-2\r\nX-Request-Id: half-of-an", 500);
    assert_eq!((ids.request_id, ids.x_trace_id.as_deref()), (None, Some("t-2")));
}

#[test]
fn both_ends_read_the_same_ids() {
    let [server, client] = [Role::Server, Role::Client].map(|role| {
        let mut talk = Talk::new(role, false);
        talk.client(ask("GET /a", &format!("{PARENT}{IDS}"))).requests().remove(0).context
    });
    assert_eq!(server, client);
    assert_eq!((server.request_id.as_deref(), server.x_trace_id.as_deref()), (Some("r"), Some("t")));
}

#[test]
fn of_a_head_whose_rest_was_lost_no_id_counts_as_it_may_come_again() {
    let id = "X-Request-Id: r-1\r\nX-Trace-Id: t-1\r\n";
    let asked = format!("GET /a HTTP/1.1\r\nHost: h\r\n{PARENT}{id}C");
    let mut talk = Talk::server_end();
    talk.client(&asked).lost(Side::Client, 40).server(format!("HTTP/1.1 200 OK\r\n{id}C")).lost(Side::Server, 40);
    talk.client(GET).server(OK);
    assert_eq!(talk.updates.len(), 6, "{:?}", talk.updates);
    for update in &talk.updates {
        match update {
            Update::Request(request) => assert_eq!(request.context, WireContext::default()),
            Update::Response { response, .. } => assert_eq!(response.ids, Default::default()),
            Update::End(_) => {}
        }
    }
}
