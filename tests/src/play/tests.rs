use super::act::Side::{Client, Server};
use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn conversation() -> Play {
    Play::over(Link::Ipv4).client("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").server(ANSWER)
}

/// The faults that are found where this is expected of the conversation.
fn faults(told: Told) -> Vec<String> {
    events::play(&conversation().told(told))
}

#[test]
fn what_is_expected_and_told_has_no_faults() {
    assert_eq!(faults(exchange("GET", "/a", 200).bodies(0, 2)), Vec::<String>::new());
}

#[test]
fn every_difference_is_a_fault_at_each_end() {
    let right = || exchange("GET", "/a", 200).bodies(0, 2);
    for (wrong, name) in [
        (exchange("GET", "/a", 204).bodies(0, 2), "status"),
        (exchange("GET", "/a", 200).bodies(0, 3), "answer body"),
        (exchange("GET", "/a", 200).bodies(1, 2), "request body"),
        (right().unseen(1, 1), "unseen bytes"),
        (right().has("server.address", "other"), "server.address"),
        (right().has_no("server.address"), "server.address"),
        (right().failed("closed"), "error.type"),
    ] {
        let found = faults(wrong);
        let named = found.iter().filter(|fault| fault.contains(&format!("{name} is"))).count();
        assert_eq!(named, 2, "{name}: {found:?}");
    }
    let found = faults(right().context(&Context::number(7)));
    assert!(found.iter().any(|fault| fault.contains("Client half of GET /a: parent is None")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("trace is")), "{found:?}");
    let found = faults(right().caused(Cause::Orphan("lossy")));
    assert!(found.iter().any(|fault| fault.contains("evidence is")), "{found:?}");
}

#[test]
fn times_that_are_off_are_a_fault() {
    let play = conversation().pause(500).told(exchange("GET", "/a", 200).bodies(0, 2).at_client(Half::until_now));
    let found = events::play(&play);
    assert!(found.len() == 1 && found[0].contains("Client half of GET /a: end is"), "{found:?}");
}

#[test]
fn what_is_not_told_and_what_is_told_too_much_is_a_fault() {
    let found = faults(exchange("GET", "/b", 200).bodies(0, 2));
    assert_eq!(found.iter().filter(|fault| fault.ends_with("not told")).count(), 2, "{found:?}");
    assert_eq!(found.iter().filter(|fault| fault.starts_with("extra: ")).count(), 2, "{found:?}");
    let found = faults(exchange("GET", "/a", 200).bodies(0, 2).by_server_alone());
    assert!(found.iter().any(|fault| fault.starts_with("extra: Client GET /a 200")), "{found:?}");
}

#[test]
fn losses_are_held_to_their_names_and_counts() {
    let play = conversation().told(exchange("GET", "/a", 200).bodies(0, 2)).loses("cut_heads", 1);
    let found = events::play(&play);
    assert_eq!(found, ["lost {}, had to lose {\"cut_heads\": 1}"]);
}

#[test]
fn exchanges_that_have_nothing_in_common_must_not_share_a_trace() {
    let context = Context::number(9);
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nTraceparent: {}\r\n\r\n", context.traceparent());
    let right = |told: Told| told.bodies(0, 2).context(&context);
    let play = Play::over(Link::Ipv4).client(ask("/a")).server(ANSWER).told(right(exchange("GET", "/a", 200)));
    assert_eq!(events::play(&play), Vec::<String>::new());
    let play = Play::over(Link::Ipv4).client(ask("/a")).server(ANSWER).told(exchange("GET", "/a", 200).bodies(0, 2));
    assert!(events::play(&play).iter().any(|fault| fault.contains("evidence is \"wire (exact)\"")));
}

#[test]
fn an_act_is_of_the_end_and_the_direction_it_moves_bytes_in() {
    let play = conversation();
    let moving =
        |side, out| (0..play.acts.len()).filter(|place| play.acts[*place].moves(0, side, out)).collect::<Vec<_>>();
    assert_eq!((moving(Client, true), moving(Server, false)), (vec![1], vec![2]));
    assert_eq!((moving(Server, true), moving(Client, false)), (vec![3], vec![4]));
}
