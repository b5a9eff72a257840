//! How exchanges end with their connection.

use super::*;

/// What is told of an exchange after its request.
fn rest(mut talk: Talk, what: Closing) -> Vec<String> {
    talk.told();
    talk.closing(what).closing(Closing::Closed);
    assert_eq!(talk.http.open_exchanges(), 0);
    talk.told()
}

fn asked(mut talk: Talk) -> Talk {
    talk.client(GET);
    talk
}

#[test]
fn an_unanswered_request_is_closed_when_no_answer_can_come() {
    assert_eq!(rest(asked(Talk::client_end()), Closing::RecvEof), ["closed @0 t20"]);
    assert_eq!(rest(asked(Talk::server_end()), Closing::SendFin), ["closed @0 t20"]);
    assert_eq!(rest(asked(Talk::server_end()), Closing::Closed), ["closed @0 t20"]);
    assert_eq!(rest(asked(Talk::client_end()), Closing::Error(104)), ["error 104 @0 t20"]);
}

#[test]
fn an_end_of_the_request_direction_leaves_the_answer_time() {
    for (mut talk, what) in
        [(asked(Talk::server_end()), Closing::RecvEof), (asked(Talk::client_end()), Closing::SendFin)]
    {
        talk.closing(what).server(OK);
        assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t30", "complete @0 t30"]);
    }
}

#[test]
fn a_body_ended_by_the_connection_is_complete_by_a_clean_end_at_its_last_byte() {
    let streaming = |mut talk: Talk| {
        talk.client(GET).server(answer(200, "")).server(b"abc");
        talk
    };
    assert_eq!(rest(streaming(Talk::client_end()), Closing::RecvEof), ["complete @0 t30"]);
    assert_eq!(rest(streaming(Talk::server_end()), Closing::SendFin), ["complete @0 t30"]);
    // A server may close a unix socket without a word; a client that did not read the end gave up before it.
    assert_eq!(rest(streaming(Talk::server_end()), Closing::Closed), ["complete @0 t30"]);
    assert_eq!(rest(streaming(Talk::client_end()), Closing::Closed), ["closed @0 t40"]);
    assert_eq!(rest(streaming(Talk::client_end()), Closing::Error(104)), ["error 104 @0 t40"]);
}

#[test]
fn a_framed_body_that_is_not_over_is_closed() {
    for fields in ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut talk = Talk::client_end();
        talk.client(GET).server(answer(200, fields)).server(b"9\r\nabc");
        assert_eq!(rest(talk, Closing::RecvEof), ["closed @0 t40"], "{fields}");
    }
}

#[test]
fn a_response_head_that_is_not_over_tells_its_status_and_is_closed() {
    let mut talk = asked(Talk::client_end());
    talk.server(b"HTTP/1.1 500 Oops\r\nServ");
    assert_eq!(rest(talk, Closing::RecvEof), ["500 @0 t20", "closed @0 t30"]);
    let mut talk = asked(Talk::client_end());
    talk.server(b"HTTP/1.1 5");
    assert_eq!(rest(talk, Closing::RecvEof), ["closed @0 t30"]);
}

#[test]
fn an_interim_response_is_no_answer() {
    let mut talk = asked(Talk::client_end());
    talk.server(answer(100, ""));
    assert_eq!(rest(talk, Closing::RecvEof), ["closed @0 t30"]);
}

#[test]
fn all_open_exchanges_end_in_order() {
    let mut talk = Talk::client_end();
    talk.client([GET, GET, GET].concat()).server([OK, &answer(200, "")].concat());
    let told = rest(talk, Closing::RecvEof);
    assert_eq!(told, ["complete @28 t20", "closed @56 t30"]);
}

#[test]
fn an_answer_that_was_only_counted_is_complete_at_a_clean_end_and_void_with_an_error() {
    let counted = || {
        let mut talk = asked(Talk::server_end());
        talk.server_cut(b"", 300);
        talk
    };
    assert_eq!(rest(counted(), Closing::SendFin), ["complete @0 t20"]);
    // Whether it was whole by then is not known.
    assert_eq!(rest(counted(), Closing::Error(32)), ["void @0 t30"]);
}

/// The kernel half counts on, where it could not tell: an answer that is missing is not one that never came.
#[test]
fn an_answer_whose_record_was_lost_and_whose_bytes_were_counted_is_complete_at_a_clean_end() {
    for (mut talk, what) in [(Talk::client_end(), Closing::RecvEof), (Talk::server_end(), Closing::SendFin)] {
        talk.client(GET).counted(Side::Server, 41).closing(what);
        assert_eq!(talk.told(), ["GET /a @0 t10", "complete @0 t20"]);
        assert_eq!(talk.http.take_losses().unseen_heads, 1);
    }
}

#[test]
fn nothing_is_told_after_the_end_or_before_a_request() {
    let mut talk = asked(Talk::server_end());
    talk.closing(Closing::Closed).told();
    talk.server(OK).client(GET).closing(Closing::Closed);
    assert_eq!(talk.told(), Vec::<String>::new());
    let mut talk = Talk::server_end();
    talk.client(b"GET /a HTT").closing(Closing::RecvEof).closing(Closing::Closed);
    assert_eq!(talk.told(), Vec::<String>::new());
}

#[test]
fn a_failure_after_a_whole_answer_changes_nothing() {
    let mut talk = asked(Talk::client_end());
    talk.server(OK).closing(Closing::Error(104));
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
}

#[test]
fn an_answer_that_was_there_before_the_end_may_be_read_after_it() {
    // The client had half-closed: its socket is gone when the server's end comes, with the answer still to be read.
    for (what, fields) in [
        (Closing::Closed, "Content-Length: 3\r\n"),
        (Closing::Error(104), "Content-Length: 3\r\n"),
        (Closing::Closed, ""),
    ] {
        let mut talk = asked(Talk::client_end());
        talk.ending(Closing::SendFin).ending(what).server(answer(200, fields)).server(b"abc").ending(Closing::RecvEof);
        assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t40", "complete @0 t50"], "{what:?} {fields}");
        talk.http.gone(&mut talk.updates);
        assert_eq!(talk.told(), Vec::<String>::new());
        assert!(talk.http.is_over());
    }
}

#[test]
fn what_is_read_after_the_end_and_is_not_whole_ends_as_the_connection_did() {
    for (what, word) in [(Closing::Closed, "closed"), (Closing::Error(104), "error 104")] {
        let mut talk = asked(Talk::client_end());
        talk.ending(what).server(answer(200, "Content-Length: 9\r\n")).server(b"abc");
        assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t30"]);
        talk.http.gone(&mut talk.updates);
        assert_eq!(talk.told(), [format!("{word} @0 t40")]);
    }
    // The last read tells of the reset, or that there is nothing behind it.
    let mut talk = asked(Talk::client_end());
    talk.ending(Closing::Error(104)).server(answer(200, "")).server(b"abc").ending(Closing::RecvEof);
    assert_eq!(talk.told(), ["GET /a @0 t10", "200 @0 t30", "error 104 @0 t40"]);
}

#[test]
fn a_request_that_is_read_after_the_end_cannot_be_answered() {
    let mut talk = Talk::server_end();
    talk.client(GET).ending(Closing::Error(104)).client(GET).ending(Closing::Closed);
    assert_eq!(talk.told(), ["GET /a @0 t10", "error 104 @0 t20", "GET /a @28 t30", "error 104 @28 t40"]);
    let mut talk = Talk::server_end();
    talk.ending(Closing::Closed).client(GET);
    talk.http.gone(&mut talk.updates);
    assert_eq!(talk.told(), ["GET /a @0 t20", "closed @0 t20"]);
}

#[test]
fn each_end_tells_its_own_truth_of_one_connection() {
    // The server wrote all of its answer and closed; the client was reset before it had read the half of it.
    let page = [answer(200, "Content-Length: 6\r\n"), b"abcdef".to_vec()].concat();
    let mut server = asked(Talk::server_end());
    server.server(&page).closing(Closing::Closed);
    assert_eq!(server.told(), ["GET /a @0 t10", "200 @0 t20", "complete @0 t20"]);
    let mut client = asked(Talk::client_end());
    client.server(&page[..page.len() - 3]).closing(Closing::Error(104));
    assert_eq!(client.told(), ["GET /a @0 t10", "200 @0 t20", "error 104 @0 t30"]);
    // The client gave up waiting; the server never answered, and failed to write.
    let mut client = asked(Talk::client_end());
    client.closing(Closing::SendFin).closing(Closing::Closed);
    assert_eq!(client.told(), ["GET /a @0 t10", "closed @0 t30"]);
    let mut server = asked(Talk::server_end());
    server.closing(Closing::RecvEof).closing(Closing::Error(32));
    assert_eq!(server.told(), ["GET /a @0 t10", "error 32 @0 t30"]);
}

/// Plays a dialogue up to a byte, then ends the connection; returns what is told of its end.
fn cut_at(role: Role, place: usize, whats: &[Closing]) -> Vec<String> {
    let post = [ask("POST /p", "Content-Length: 3\r\n"), b"abc".to_vec()].concat();
    let page = [answer(200, "Transfer-Encoding: chunked\r\n"), b"2\r\nok\r\n0\r\n\r\n".to_vec()].concat();
    let mut talk = Talk::new(role, false);
    talk.client(&post[..place.min(post.len())]);
    if place > post.len() {
        talk.server(&page[..place - post.len()]);
    }
    for what in whats {
        talk.closing(*what);
    }
    assert_eq!(talk.http.open_exchanges(), 0, "{place}");
    talk.told()
}

#[test]
fn an_end_at_any_byte_is_told_as_it_was() {
    let head = ask("POST /p", "Content-Length: 3\r\n").len();
    let request = head + 3;
    let answer_head = answer(200, "Transfer-Encoding: chunked\r\n").len();
    let status_line = b"HTTP/1.1 200 Reason\r\n".len();
    let whole = request + answer_head + b"2\r\nok\r\n0\r\n\r\n".len();
    for role in [Role::Client, Role::Server] {
        for (what, word) in [
            (Closing::Error(104), "error 104"),
            (Closing::Error(110), "error 110"),
            (Closing::Error(32), "error 32"),
            (Closing::Closed, "closed"),
            (if role == Role::Client { Closing::RecvEof } else { Closing::SendFin }, "closed"),
        ] {
            for place in 1..=whole {
                let told = cut_at(role, place, &[what, Closing::Closed]);
                let asked = "POST /p @0 t10";
                let expected = match place {
                    _ if place < head => Vec::new(),
                    _ if place <= request => vec![asked.to_owned(), format!("{word} @0 t20")],
                    // A status is told once its line is whole; a chunked body ends with its last byte.
                    _ if place < request + status_line => vec![asked.to_owned(), format!("{word} @0 t30")],
                    _ if place < whole => vec![asked.to_owned(), "200 @0 t20".to_owned(), format!("{word} @0 t30")],
                    _ => vec![asked.to_owned(), "200 @0 t20".to_owned(), "complete @0 t20".to_owned()],
                };
                assert_eq!(told, expected, "{role:?} {what:?} at {place}");
            }
        }
    }
}

#[test]
fn a_request_whose_head_was_lost_in_part_is_told_if_something_answered_it() {
    for (answered, end) in [(false, "void @0"), (true, "closed @0")] {
        let mut talk = Talk::server_end();
        talk.client(b"GET /a HTTP/1.1\r\nHost: a\r\n").counted(Side::Client, 20);
        if answered {
            talk.server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        }
        talk.closing(Closing::Closed);
        let told = talk.told();
        assert!(told.last().is_some_and(|last| last.starts_with(end)), "{told:?}");
    }
}
