//! Upgrades offered, refused and taken (RFC 9110, section 7.8), and what an early refusal leaves of a body.

use super::*;

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";

#[test]
fn an_upgrade_that_is_offered_and_ignored_changes_nothing() {
    for offer in [WEBSOCKET, H2C] {
        let mut talk = Talk::server_end();
        talk.client(ask("GET /u", offer)).server(OK);
        let next = talk.next[0] - BASES[0];
        talk.client(GET).server(OK);
        let told = talk.told();
        assert_eq!(told[..3], ["GET /u @0 t10", "200 @0 t20", "complete @0 t20"]);
        let after = [format!("GET /a @{next} t30"), format!("200 @{next} t40"), format!("complete @{next} t40")];
        assert_eq!(told[3..], after);
    }
}

#[test]
fn an_upgrade_that_is_refused_is_an_answer_like_any_other() {
    for status in [400, 403, 426] {
        let mut talk = Talk::client_end();
        talk.client(ask("GET /u", WEBSOCKET));
        talk.server(answer(status, "Upgrade: websocket\r\nContent-Length: 0\r\n")).client(GET);
        let told = talk.told();
        assert_eq!(told[..2], ["GET /u @0 t10".to_owned(), format!("{status} @0 t20")]);
        assert_eq!(told[2..], ["complete @0 t20", "GET /a @96 t30"]);
    }
}

#[test]
fn an_upgrade_that_is_taken_ends_http_whatever_follows_in_the_same_record() {
    for offer in [WEBSOCKET, H2C] {
        let mut talk = Talk::server_end();
        let frames = [&answer(101, "Connection: Upgrade\r\n")[..], OK, b"\x81\x02hi"].concat();
        talk.client(ask("GET /u", offer)).server(frames).client(GET).server(OK).closing(Closing::Error(104));
        assert_eq!(talk.told(), ["GET /u @0 t10", "101 @0 t20", "upgraded @0 t20"]);
        assert!(talk.http.is_over());
        assert_eq!(talk.http.take_losses(), Losses::default());
    }
}

#[test]
fn an_upgrade_behind_100_continue_is_taken() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /u", &format!("{H2C}Expect: 100-continue\r\nContent-Length: 2\r\n")));
    talk.server(answer(100, "")).client(b"ab").server(answer(101, "Upgrade: h2c\r\n"));
    assert_eq!(talk.told(), ["POST /u @0 t10", "101 @0 t40", "upgraded @0 t40"]);
}

#[test]
fn an_offer_whose_answer_was_lost_may_have_been_taken() {
    for lost in [41, 5000] {
        let mut talk = Talk::server_end();
        talk.client(ask("GET /u", WEBSOCKET)).lost(Side::Server, lost).client(GET).server(OK).client(GET).server(OK);
        assert_eq!(talk.told(), ["GET /u @0 t10", "void @0 t10"]);
    }
    let mut talk = Talk::server_end();
    talk.client(ask("GET /u", WEBSOCKET)).counted(Side::Server, 41).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /u @0 t10", "void @0 t20"]);
}

#[test]
fn an_upgrade_of_a_request_that_was_not_seen_ends_the_reading() {
    let mut talk = Talk::server_end();
    talk.lost(Side::Client, 90).server(answer(101, "Upgrade: h2c\r\n")).client(GET).server(OK).client(GET);
    assert_eq!(talk.told(), Vec::<String>::new());
    assert_eq!(talk.http.verdict(), Verdict::Other);
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).lost(Side::Client, 90).server(answer(101, "Upgrade: h2c\r\n"));
    talk.client(GET).server(OK).client(GET).server(OK);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    assert!(talk.http.is_over());
}

#[test]
fn a_refused_expectation_leaves_the_body_that_was_announced() {
    let mut talk = Talk::server_end();
    talk.client(ask("POST /p", "Expect: 100-continue\r\nContent-Length: 28\r\n"));
    talk.server(answer(417, "Content-Length: 0\r\n")).client(GET).client(ask("GET /n", ""));
    assert_eq!(talk.told(), ["POST /p @0 t10", "417 @0 t20", "complete @0 t20", "GET /n @99 t40"]);
}

#[test]
fn a_head_request_has_no_body_whatever_its_answer_announces() {
    for fields in ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let mut talk = Talk::server_end();
        talk.client(ask("HEAD /h", "")).server(answer(200, fields)).client(GET).server(OK);
        assert_eq!(
            talk.told(),
            ["HEAD /h @0 t10", "200 @0 t20", "complete @0 t20", "GET /a @29 t30", "200 @29 t40", "complete @29 t40"]
        );
    }
}

#[test]
fn a_server_that_times_an_idle_connection_out_answers_no_request() {
    let mut talk = Talk::server_end();
    talk.client(GET).server(OK).server(answer(408, "Content-Length: 0\r\nConnection: close\r\n"));
    talk.closing(Closing::SendFin);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    assert_eq!(talk.http.take_losses(), Losses { unasked_responses: 1, ..Losses::default() });
}

#[test]
fn an_answer_before_any_request_belongs_to_none() {
    let mut talk = Talk::client_end();
    talk.server(answer(408, "Content-Length: 0\r\n")).client(GET).server(OK).client(GET).server(OK);
    assert_eq!(
        talk.told(),
        ["GET /a @0 t20", "200 @0 t30", "complete @0 t30", "GET /a @28 t40", "200 @28 t50", "complete @28 t50"]
    );
}
