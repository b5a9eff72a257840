use serde_json::json;

use super::super::span::tests::span;
use super::*;

fn pids(pid: u32) -> BTreeSet<u32> {
    BTreeSet::from([pid])
}

/// demo (1) calls web (2), which calls back (3).
fn good() -> (Vec<Span>, Vec<Step>) {
    let mut trace = vec![
        span("root", None, Kind::Internal, 0, (0, 100)),
        span("a", Some("root"), Kind::Client, 1, (1, 90)),
        span("b", Some("a"), Kind::Server, 2, (2, 80)),
        span("c", Some("b"), Kind::Client, 2, (3, 70)),
        span("d", Some("c"), Kind::Server, 3, (4, 60)),
    ];
    for span in &mut trace[1..] {
        span.attributes.insert(EVIDENCE.into(), json!({"stringValue": "thread"}));
    }
    (trace, steps(&[("demo", pids(1)), ("web", pids(2)), ("back", pids(3))]))
}

fn connect(client: &mut Span, server: &mut Span, local: (&str, Option<u16>), peer: (&str, Option<u16>)) {
    for (span, local, peer) in [(client, local, peer), (server, peer, local)] {
        for (side, (address, port)) in [("local", local), ("peer", peer)] {
            span.attributes.insert(format!("network.{side}.address"), json!({"stringValue": address}));
            if let Some(port) = port {
                span.attributes.insert(format!("network.{side}.port"), json!({"intValue": port.to_string()}));
            }
        }
    }
}

#[test]
fn the_whole_path_has_no_problems() {
    let (trace, steps) = good();
    assert_eq!(steps.len(), 4);
    assert_eq!(problems(&trace, "root", &steps), Vec::<String>::new());
}

#[test]
fn each_defect_is_named() {
    let (good, steps) = good();
    type Damage = fn(&mut Vec<Span>);
    let defects: [(&str, Damage); 6] = [
        ("the root span is missing", |trace| drop(trace.remove(0))),
        ("0 client spans of web", |trace| drop(trace.remove(3))),
        ("is not the child of the step before", |trace| trace[4].parent = Some("a".into())),
        ("has no tracemend.link.evidence", |trace| trace[2].attributes.clear()),
        ("belongs to no step", |trace| trace.push(span("e", Some("d"), Kind::Client, 9, (5, 6)))),
        ("skewed", |trace| trace[1].warnings.push("skewed".into())),
    ];
    for (expected, damage) in defects {
        let mut trace = good.clone();
        damage(&mut trace);
        let found = problems(&trace, "root", &steps);
        assert_eq!(found.len(), 1, "{expected}: {found:?}");
        assert!(found[0].contains(expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_call_without_parent_is_an_orphan_only_while_its_process_serves() {
    let serving = span("s", None, Kind::Server, 2, (10, 20));
    let inside = span("c", None, Kind::Client, 2, (15, 30));
    let outside = span("d", None, Kind::Client, 2, (21, 30));
    let elsewhere = span("e", None, Kind::Client, 3, (15, 16));
    let spans = [serving, inside, outside, elsewhere];
    let found: Vec<_> = orphans(&spans, &BTreeSet::from([2, 3])).iter().map(|span| span.id.as_str()).collect();
    assert_eq!(found, ["c"]);
    assert!(orphans(&spans, &pids(3)).is_empty());
}

#[test]
fn a_server_span_hangs_under_the_client_span_of_its_connection() {
    let mut client = span("c", None, Kind::Client, 1, (10, 20));
    let mut server = span("s", Some("c"), Kind::Server, 2, (11, 19));
    connect(&mut client, &mut server, ("127.0.0.1", Some(5000)), ("127.0.0.1", Some(80)));
    assert!(orphans(&[client.clone(), server.clone()], &pids(2)).is_empty());
    server.parent = Some("other".into());
    assert_eq!(orphans(&[client.clone(), server.clone()], &pids(2)).len(), 1);
    // Another connection to the same server, or the same ports at another time, is not its peer.
    client.attributes.insert("network.local.port".into(), json!({"intValue": "5001"}));
    assert!(orphans(&[client.clone(), server.clone()], &pids(2)).is_empty());
    client.attributes.insert("network.local.port".into(), json!({"intValue": "5000"}));
    (client.start, client.end) = (30, 40);
    assert!(orphans(&[client, server], &pids(2)).is_empty());
}

#[test]
fn unix_sockets_are_told_by_their_path() {
    let mut client = span("c", None, Kind::Client, 1, (10, 20));
    let mut server = span("s", None, Kind::Server, 2, (11, 19));
    connect(&mut client, &mut server, ("", None), ("/run/cart.sock", None));
    assert_eq!(orphans(&[client.clone(), server.clone()], &pids(2)).len(), 1);
    server.parent = Some("c".into());
    assert!(orphans(&[client, server], &pids(2)).is_empty());
}
