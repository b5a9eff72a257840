//! Bytes beyond the capture, lost records and shed turns.

use super::*;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn a_request_body_of_known_length_is_counted_through() {
    let mut talk = Talk::server_end();
    talk.client_cut(ask("POST /p", "Content-Length: 100000\r\n"), 50_000).count(Side::Client, 50_000);
    talk.server(OK).client(GET);
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t30", "complete @0 t30", "GET /a @100053 t40",]);
}

#[test]
fn a_response_body_of_known_length_ends_with_the_count_that_reaches_it() {
    let mut talk = Talk::client_end();
    talk.client(GET).server_cut(answer(200, "Content-Length: 9000\r\n"), 1000);
    talk.count(Side::Server, 4000).count(Side::Server, 4000).client(GET);
    let ends = talk.updates.clone();
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t40", "GET /a @28 t50"]);
    let Update::End(end) = ends[2] else { panic!("no end") };
    assert_eq!((end.response_body_bytes, end.unseen_bytes), (Some(9000), 9000));
}

#[test]
fn a_late_count_of_the_request_does_not_disturb_its_answer() {
    let mut talk = Talk::server_end();
    talk.client_cut(ask("POST /p", "Content-Length: 90000\r\n"), 10_000);
    talk.server(OK).count(Side::Client, 80_000).client(GET).server(OK);
    assert_eq!(
        talk.told(),
        [
            "POST /p @0 t10",
            "200 @0 t20",
            "complete @0 t20",
            "GET /a @90052 t40",
            "200 @90052 t50",
            "complete @90052 t50",
        ]
    );
}

#[test]
fn a_response_whose_count_never_came_ends_by_the_next_ones_offset_at_its_last_known_time() {
    let mut talk = Talk::client_end();
    talk.client(GET).server_cut(answer(200, "Content-Length: 9000\r\n"), 1000).lost(Side::Server, 8000);
    talk.client(ask("GET /b", "")).server(OK);
    assert_eq!(
        talk.told(),
        ["GET /a @0 t10", "200 @0 t20", "GET /b @28 t40", "complete @0 t20", "200 @28 t50", "complete @28 t50",]
    );
}

#[test]
fn a_cut_response_head_gives_its_status_and_ends_with_its_turn() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(b"HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 1", 5000);
    assert_eq!(talk.told(), ["GET /a @0 t10", "404 @0 t20"]);
    talk.count(Side::Server, 700).client(GET);
    let ends = talk.updates.clone();
    assert_eq!(talk.told(), ["complete @0 t30", "GET /a @28 t40"]);
    let Update::End(end) = ends[0] else { panic!("no end") };
    assert_eq!((end.response_body_bytes, end.unseen_bytes), (None, 5700));
    talk.server(OK);
    assert_eq!(talk.told(), ["200 @28 t50", "complete @28 t50"]);
}

#[test]
fn a_whole_length_in_a_cut_response_head_tells_the_body_but_not_the_end() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nServer: ", 50);
    assert_eq!(talk.http.open_exchanges(), 1);
    talk.closing(Closing::SendFin);
    let end = talk.ends()[0];
    assert_eq!((end.outcome, end.response_body_bytes), (Outcome::Complete, Some(10)));
}

#[test]
fn a_response_cut_inside_its_status_line_is_complete_without_a_status() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(b"HTTP/1.1 2", 500).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "complete @0 t20", "GET /a @28 t30", "200 @28 t40", "complete @28 t40",]);
    assert_eq!(talk.http.take_losses().unseen_heads, 1);
}

#[test]
fn a_cut_head_of_an_interim_response_may_hide_the_answer_to_a_body_that_goes_on() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 3\r\n")).server_cut(b"HTTP/1.1 103 Hints\r\nLink: ", 2000);
    talk.client(b"abc").server(OK);
    assert_eq!(talk.told(), ["POST /p @0 t10", "void @0 t30"]);
    talk.client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @51 t50", "200 @51 t60", "complete @51 t60"]);
}

#[test]
fn a_chunk_larger_than_the_capture_is_skipped_if_its_size_was_seen() {
    let mut talk = Talk::server_end();
    let head = [answer(200, CHUNKED), b"2000\r\n".to_vec()].concat();
    talk.client(GET).server_cut(head, 0x2000).server(b"\r\n0\r\n\r\n");
    let ends = talk.ends();
    assert_eq!((ends[0].outcome, ends[0].response_body_bytes), (Outcome::Complete, Some(0x2000)));
}

#[test]
fn a_chunked_response_whose_framing_is_in_a_gap_ends_when_the_next_turn_begins() {
    let mut talk = Talk::server_end();
    let head = [answer(200, CHUNKED), b"10\r\n".to_vec()].concat();
    talk.client(GET).server_cut(head, 400).count(Side::Server, 600);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20"]);
    talk.client(b"GET /a HTTP/1.1\r\n");
    assert_eq!(talk.told(), ["complete @0 t30"]);
    talk.client(b"\r\n").server(OK);
    assert_eq!(talk.told(), ["GET /a @28 t40", "200 @28 t60", "complete @28 t60"]);
}

#[test]
fn a_chunked_response_whose_framing_is_in_a_gap_ends_with_its_connection() {
    for (mut talk, what) in [
        (Talk::server_end(), Closing::SendFin),
        (Talk::server_end(), Closing::Closed),
        (Talk::client_end(), Closing::RecvEof),
        (Talk::client_end(), Closing::Closed),
    ] {
        talk.client(GET).server_cut(answer(200, CHUNKED), 400).closing(what);
        assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"], "{what:?}");
    }
}

#[test]
fn a_response_without_a_length_ends_with_its_turn_too() {
    let mut talk = Talk::client_end();
    talk.client(GET).server_cut(answer(200, ""), 400).count(Side::Server, 600).client(GET);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t30", "GET /a @28 t40"]);
}

#[test]
fn a_chunked_request_whose_framing_is_in_a_gap_hides_what_follows_until_the_next_turn() {
    let mut talk = Talk::server_end();
    talk.client_cut(ask("POST /p", CHUNKED), 20_000).client(GET).server(OK).client(GET);
    let told = talk.updates.clone();
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t30", "complete @0 t30", "GET /a @20085 t40"]);
    let Update::End(end) = told[2] else { panic!("no end") };
    assert_eq!((end.request_body_bytes, end.request_end), (None, 1000 + 20_085));
}

#[test]
fn a_chunked_request_resumed_after_100_continue_in_a_gap_hides_its_request_line() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", CHUNKED)).client_cut(b"", 9000).server(answer(100, ""));
    talk.client(GET).server(OK).client(ask("GET /n", ""));
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t50", "complete @0 t50", "GET /n @9085 t60"]);
}

#[test]
fn a_cut_request_head_has_the_fields_seen_and_is_answered() {
    let mut talk = Talk::server_end();
    talk.client_cut(b"GET /big HTTP/1.1\r\nX-Request-Id: r\r\nx-trace-id: cu", 4000);
    talk.server(OK).client(GET).server(OK);
    let request = match &talk.updates[0] {
        Update::Request(request) => request.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(request.context.request_id.as_deref(), Some("r"));
    assert_eq!(request.context.x_trace_id, None);
    assert_eq!(
        talk.told(),
        ["GET /big @0 t10", "200 @0 t20", "complete @0 t20", "GET /a @4050 t30", "200 @4050 t40", "complete @4050 t40",]
    );
}

#[test]
fn a_pipelined_request_behind_a_gap_is_unseen_and_its_response_unasked() {
    let mut talk = Talk::server_end();
    talk.client_cut([GET, &ask("GET /b", "")].concat(), 100).client(GET);
    talk.server([OK, OK, OK].concat()).client(ask("GET /d", "")).server(OK);
    assert_eq!(
        talk.told(),
        [
            "GET /a @0 t10",
            "GET /b @28 t10",
            "200 @0 t30",
            "complete @0 t30",
            "200 @28 t30",
            "complete @28 t30",
            "GET /d @184 t40",
            "200 @184 t50",
            "complete @184 t50",
        ]
    );
    let losses = talk.http.take_losses();
    assert_eq!((losses.unseen_heads, losses.malformed_heads), (1, 0));
}

#[test]
fn pipelined_responses_in_a_gap_end_when_the_next_turn_begins() {
    let mut talk = Talk::client_end();
    talk.client([GET, &ask("GET /b", ""), &ask("GET /c", "")].concat());
    talk.server_cut(answer(200, "Content-Length: 500\r\n"), 2000).client(GET).server(OK);
    assert_eq!(
        talk.told(),
        [
            "GET /a @0 t10",
            "GET /b @28 t10",
            "GET /c @56 t10",
            "200 @0 t20",
            "complete @0 t20",
            "complete @28 t20",
            "void @56 t10",
            "GET /a @84 t30",
            "200 @84 t40",
            "complete @84 t40",
        ]
    );
}

#[test]
fn a_lost_response_record_does_not_give_its_request_the_next_answer() {
    let mut talk = Talk::client_end();
    talk.client(GET).lost(Side::Server, 300).client(ask("GET /b", "")).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "void @0 t10", "GET /b @28 t30", "200 @28 t40", "complete @28 t40",]);
}

#[test]
fn an_answer_that_was_only_counted_completes_its_exchange_without_a_status() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(b"", 300).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "complete @0 t20", "GET /a @28 t30", "200 @28 t40", "complete @28 t40",]);
}

#[test]
fn a_lost_request_record_is_found_out_and_its_answer_given_to_nobody() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).lost(Side::Client, 28).server(OK).client(ask("GET /c", "")).server(OK);
    assert_eq!(
        talk.told(),
        [
            "GET /a @0 t10",
            "200 @0 t20",
            "complete @0 t20",
            // The turn after a loss begins behind a jump: the request line at it is believed.
            "GET /c @56 t50",
            "200 @56 t60",
            "complete @56 t60",
        ]
    );
}

#[test]
fn a_lost_request_record_ends_a_body_that_waited_for_the_next_turn() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(answer(200, CHUNKED), 400).lost(Side::Client, 28).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    assert_eq!(talk.http.take_losses().unseen_heads, 1);
}

#[test]
fn repeated_records_tell_nothing_twice() {
    let mut talk = Talk::server_end();
    let request = talk.record(Side::Client, GET);
    talk.http.data(&request, &mut talk.updates);
    talk.http.data(&request, &mut talk.updates);
    talk.next[0] += GET.len() as u64;
    talk.last = Some(Side::Client);
    talk.server(OK);
    talk.http.data(&request, &mut talk.updates);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    assert_eq!(talk.http.take_losses().overlapped_bytes, 56);
}

#[test]
fn a_shed_turn_tells_nothing_and_what_follows_is_read_behind_the_next_answer() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).shed(Side::Client, 500).lost(Side::Server, 900).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    talk.client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @556 t70", "200 @556 t80", "complete @556 t80"]);
    assert_eq!(talk.http.take_losses().shed_turns, 1);
}

#[test]
fn a_shed_turn_in_an_exchange_voids_it() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 500\r\n")).server(answer(100, ""));
    talk.shed(Side::Client, 500).shed(Side::Server, 40).client(GET).server(OK);
    assert_eq!(talk.told(), ["POST /p @0 t10", "void @0 t30", "GET /a @550 t50", "200 @550 t60", "complete @550 t60",]);
}

#[test]
fn a_shed_turn_ends_what_the_turn_before_left_open() {
    let mut talk = Talk::server_end();
    talk.client(GET).server_cut(answer(200, CHUNKED), 400).shed(Side::Client, 500);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
}

#[test]
fn a_response_in_flight_when_a_turn_is_shed_is_counted_to_its_end() {
    let mut talk = Talk::client_end();
    talk.client(GET).server_cut(answer(200, "Content-Length: 900\r\n"), 100).lost(Side::Server, 800);
    talk.shed(Side::Client, 500).lost(Side::Server, 40).client(GET).server(OK).client(GET);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20", "GET /a @556 t80"]);
}

#[test]
fn a_loss_inside_a_framed_body_costs_nothing() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 60\r\n")).lost(Side::Client, 60).client(ask("GET /b", ""));
    talk.server([OK, OK].concat());
    assert_eq!(
        talk.told(),
        ["POST /p @0 t10", "GET /b @109 t30", "200 @0 t40", "complete @0 t40", "200 @109 t40", "complete @109 t40"]
    );
}

#[test]
fn a_turn_whose_first_record_was_lost_takes_no_answer_to_the_turn_before() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(ask("GET /b", "")).lost(Side::Server, 9).server(b"rest");
    talk.lost(Side::Client, 9).client(b"GET /c").server(answer(404, "Content-Length: 0\r\n"));
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20", "GET /b @28 t30", "void @28 t50"]);
}

#[test]
fn an_unfinished_head_is_ended_by_its_answer_behind_another_answer() {
    let mut talk = Talk::server_end();
    talk.client([GET, b"GET /slow HTTP/1.1\r\nHos"].concat());
    talk.server([OK, &answer(408, "Content-Length: 0\r\n")].concat());
    assert_eq!(
        talk.told(),
        ["GET /a @0 t10", "200 @0 t20", "complete @0 t20", "GET /slow @28 t10", "408 @28 t20", "complete @28 t20"]
    );
}

#[test]
fn an_interim_response_cut_by_a_loss_may_hide_the_answer() {
    let mut talk = Talk::server_end();
    talk.client_cut(b"POST /p HTTP/1.1\r\nHo", 400).server(b"HTTP/1.1 103 Hints\r\n").lost(Side::Server, 90);
    talk.client(ask("GET /b", "")).server(OK).client(GET);
    assert_eq!(talk.told(), ["POST /p @0 t10", "void @0 t40", "GET /a @448 t60"]);
}

#[test]
fn an_unfinished_head_takes_no_answer_to_a_turn_that_was_lost() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(b"GET /b HTTP/1.1\r\n").lost(Side::Client, 9).lost(Side::Server, 9);
    talk.server(b"rest").lost(Side::Client, 28).server(answer(404, "Content-Length: 0\r\n"));
    talk.closing(Closing::Closed);
    assert_eq!(talk.told()[3..], ["GET /b @28 t30", "void @28 t60"]);
}

#[test]
fn two_turns_that_vanish_side_by_side_leave_the_next_answer_to_nobody() {
    // The answer to /a and the request /b leave no record.
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).client(GET).lost(Side::Server, 41).lost(Side::Client, 28);
    talk.server(answer(404, "Content-Length: 0\r\n"));
    assert_eq!(talk.told()[3..], ["GET /a @28 t30", "void @28 t30"]);
    // What was asked in between is not known, so that the next answer has to be seen first.
    talk.client(ask("GET /c", "")).server(OK).client(ask("GET /d", "")).server(OK);
    assert_eq!(
        talk.told(),
        ["GET /c @84 t70", "200 @84 t80", "complete @84 t80", "GET /d @112 t90", "200 @112 t100", "complete @112 t100"]
    );
}

#[test]
fn a_lost_first_answer_of_a_connection_is_noticed_by_the_number_of_the_next() {
    let mut talk = Talk::server_end();
    talk.client(GET).lost(Side::Server, 41).lost(Side::Client, 28).server(answer(404, "Content-Length: 0\r\n"));
    assert_eq!(talk.told(), ["GET /a @0 t10", "void @0 t40"]);
}

#[test]
fn a_body_that_goes_on_behind_turns_that_vanished_is_no_request() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).lost(Side::Client, 60).lost(Side::Server, 25).client(GET).server(OK);
    assert_eq!(talk.told().len(), 3);
    talk.client(ask("GET /n", ""));
    assert_eq!(talk.told(), ["GET /n @116 t70"]);
}

#[test]
fn an_answer_behind_a_vanished_one_to_a_body_that_goes_on_is_given_to_nobody() {
    // What vanished was `100 Continue`, or the answer; then this is the pipelined request's.
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 3\r\n")).lost(Side::Server, 25);
    talk.client([b"abc", GET].concat()).server(OK);
    assert_eq!(talk.told(), ["POST /p @0 t10", "GET /a @51 t30", "void @0 t40", "void @51 t30"]);
}

#[test]
fn a_loss_inside_a_turn_is_no_lost_turn() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Content-Length: 9\r\n")).lost(Side::Client, 8).client(b"x").server(OK);
    assert_eq!(talk.told(), ["POST /p @0 t10", "200 @0 t40", "complete @0 t40"]);
    assert_eq!(talk.http.take_losses(), Losses::default());
}

#[test]
fn an_answer_whose_records_come_behind_the_next_request_is_nobodys() {
    let mut talk = Talk::client_end();
    talk.client(GET);
    let late = talk.record(Side::Server, &answer(404, "Content-Length: 0\r\n"));
    talk.moved(Side::Server, u64::from(late.len));
    talk.client(ask("GET /b", ""));
    talk.http.data(&late, &mut talk.updates);
    talk.server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "void @0 t10", "GET /b @28 t30", "200 @28 t40", "complete @28 t40"]);
    assert_eq!(talk.http.take_losses().unasked_responses, 1);
}

#[test]
fn a_request_whose_records_come_behind_its_answers_is_void() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK);
    let request = talk.record(Side::Client, GET);
    talk.moved(Side::Client, GET.len() as u64);
    talk.server([&answer(100, ""), OK].concat());
    talk.http.data(&request, &mut talk.updates);
    talk.client(ask("GET /n", "")).server(OK);
    assert_eq!(
        talk.told()[3..],
        ["GET /a @28 t30", "void @28 t30", "GET /n @56 t50", "200 @56 t60", "complete @56 t60"]
    );
    // The first of a connection too.
    let mut talk = Talk::server_end();
    let request = talk.record(Side::Client, GET);
    talk.moved(Side::Client, GET.len() as u64);
    talk.server(OK);
    talk.http.data(&request, &mut talk.updates);
    assert_eq!(talk.told(), ["GET /a @0 t10", "void @0 t10"]);
}

#[test]
fn a_body_that_goes_on_in_a_turn_whose_beginning_was_lost_may_have_been_answered_before_it() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /a", "Content-Length: 10\r\n")).server(b"HTTP/1.1 41").counted(Side::Server, 31);
    talk.counted(Side::Client, 6).client(b"body").client(ask("GET /b", "")).server(OK);
    let told = talk.told();
    assert!(!told.iter().any(|one| one.starts_with("200 @0")), "{told:?}");
}
