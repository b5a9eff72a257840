//! Connections older than the agent.

use super::*;

#[test]
fn the_first_turn_of_an_old_connection_is_skipped_and_the_next_is_whole() {
    let mut talk = Talk::old();
    talk.client(GET).server(OK).client(ask("GET /b", "")).server(OK);
    assert_eq!(talk.told(), ["GET /b @28 t30", "200 @28 t40", "complete @28 t40"]);
    assert_eq!(talk.http.verdict(), Verdict::Http1(Role::Server));
}

#[test]
fn a_body_that_holds_a_request_line_invents_nothing() {
    let mut talk = Talk::old();
    talk.client(b"rest of a body\r\n\r\n").client(GET).client_cut(GET, 9000).count(Side::Client, 700);
    talk.server(OK).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @9774 t60", "200 @9774 t70", "complete @9774 t70"]);
}

#[test]
fn a_body_resumed_after_an_interim_response_is_no_turn_to_begin_with() {
    let mut talk = Talk::old();
    talk.client(b"Expect: 100-continue\r\n\r\n").server(answer(100, "")).client(GET).server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
    talk.client(GET);
    assert_eq!(talk.told(), ["GET /a @52 t50"]);
}

#[test]
fn an_interim_response_followed_by_a_final_one_lets_a_request_begin() {
    let mut talk = Talk::old();
    talk.client(b"body").server(answer(100, "x: y\r\n")).server(OK).client(GET);
    assert_eq!(talk.requests().len(), 1);
}

#[test]
fn a_request_after_the_rest_of_a_response_is_skipped_and_the_next_is_found_at_both_ends() {
    for role in [Role::Client, Role::Server] {
        let mut talk = Talk::new(role, true);
        talk.server_cut(b"</p> rest of a page", 500).count(Side::Server, 900).client(GET).server(OK);
        talk.client(GET).server(OK);
        assert_eq!(talk.told(), ["GET /a @28 t50", "200 @28 t60", "complete @28 t60"]);
        assert_eq!(talk.http.verdict(), Verdict::Http1(role));
    }
}

#[test]
fn a_request_line_inside_a_turn_is_not_believed() {
    let mut talk = Talk::old();
    talk.server(OK).client(b"rest\r\n").client(GET).server(OK);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn an_answer_that_is_none_lets_no_request_begin() {
    let mut talk = Talk::old();
    talk.client(b"DATA\r\n").server(b"354 go ahead\r\n").client(GET).server(b"250 ok\r\n");
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn the_side_that_answers_is_never_taken_for_the_one_that_asks() {
    let mut talk = Talk::old();
    talk.client(b"body").server(OK).client(b"body").server(GET);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn a_response_still_in_flight_is_not_taken_for_the_next_answer() {
    let mut talk = Talk::old();
    talk.server(answer(200, "Content-Length: 900\r\n")).client(GET).server(b"the page goes on").server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t20"]);
    talk.client(ask("GET /b", "")).server(OK).client(ask("GET /c", "")).server(OK);
    assert_eq!(
        talk.told(),
        [
            "complete @0 t40",
            "GET /b @28 t50",
            "200 @28 t60",
            "complete @28 t60",
            "GET /c @56 t70",
            "200 @56 t80",
            "complete @56 t80"
        ]
    );
}

#[test]
fn a_new_connection_whose_first_records_were_lost_is_read_like_an_old_one() {
    let mut talk = Talk::server_end();
    talk.lost(Side::Client, 200).client(GET).server(OK).client(ask("GET /b", "")).server(OK);
    assert_eq!(talk.told(), ["GET /b @228 t40", "200 @228 t50", "complete @228 t50"]);
}

#[test]
fn the_preface_of_http_2_ends_the_reading() {
    let mut talk = Talk::old();
    talk.client(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00").server(OK).client(GET);
    assert_eq!(talk.told(), Vec::<String>::new());
    assert_eq!(talk.http.verdict(), Verdict::Other);
}

#[test]
fn records_that_overtook_the_first_request_do_not_change_who_spoke_first() {
    let mut talk = Talk::server_end();
    let mut asked = talk.record(Side::Client, GET);
    talk.moved(Side::Client, GET.len() as u64);
    talk.server(OK);
    asked.time = BootNanos(5);
    talk.http.data(&asked, &mut talk.updates);
    let next = ask("GET /c", "");
    talk.client(ask("GET /b", "")).counted(Side::Server, OK.len() as u64);
    let asked = talk.record(Side::Client, &next);
    talk.moved(Side::Client, next.len() as u64);
    talk.server(answer(201, ""));
    talk.http.data(&asked, &mut talk.updates);
    let told = talk.told();
    assert!(told.iter().any(|one| one.starts_with("GET /b ")), "{told:?}");
    assert!(!told.iter().any(|one| one.starts_with("201 ")), "{told:?}");
}

#[test]
fn an_answer_that_overtook_the_rest_of_the_first_head_leaves_its_body_a_body() {
    let head = ask("POST /a", "Content-Length: 28\r\n");
    // In the request line, and behind it.
    for place in [5, 30] {
        let (front, rest) = head.split_at(place);
        let mut talk = Talk::server_end();
        talk.client(front);
        let late = talk.record(Side::Client, rest);
        talk.moved(Side::Client, rest.len() as u64);
        talk.server(answer(417, "Content-Length: 0\r\n"));
        talk.http.data(&late, &mut talk.updates);
        talk.client(GET).client(ask("GET /after", "")).server(OK);
        talk.client(ask("GET /next", "")).server(OK);
        let told = talk.told();
        assert!(!told.iter().any(|one| one.starts_with("GET /a ")), "{told:?}");
        assert!(told.iter().any(|one| one.starts_with("GET /next ")), "{told:?}");
    }
}

#[test]
fn a_first_request_is_believed_though_its_lost_answer_overtook_it() {
    let asks = |request: &[u8]| {
        let mut talk = Talk::server_end();
        let late = talk.record(Side::Client, request);
        talk.moved(Side::Client, request.len() as u64);
        talk.counted(Side::Server, 42);
        talk.http.data(&late, &mut talk.updates);
        talk.client(GET).server(OK).client(ask("GET /b", "")).server(OK);
        talk
    };
    let mut tunnel = asks(b"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example\r\n\r\n");
    let told = tunnel.told();
    assert!(!told.iter().any(|one| one.starts_with("GET ")), "{told:?}");
    assert!(tunnel.http.is_over());
    let told = asks(&ask("GET /first", "")).told();
    assert!(told.iter().any(|one| one.starts_with("GET /first ")), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("200 ")), "{told:?}");
}

#[test]
fn a_first_answer_that_is_no_http_counts_though_a_later_request_overtook_it() {
    let mut talk = Talk::client_end();
    talk.client(GET);
    let late = talk.record(Side::Server, b"220 smtp ready\r\n");
    talk.moved(Side::Server, 16);
    talk.client(ask("GET /b", ""));
    talk.http.data(&late, &mut talk.updates);
    talk.server(OK);
    let told = talk.told();
    assert!(!told.iter().any(|one| one.starts_with("200")), "{told:?}");
    assert!(talk.http.is_over());
}
