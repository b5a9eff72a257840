use tracemend_core::span::Kind;

use super::{Row, render};

const MS: u64 = 1_000_000;

fn row(id: &str, parent: Option<&str>, service: &str, kind: Kind, detail: &str, times: (u64, u64)) -> Row {
    Row {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        span_id: id.into(),
        parent: parent.map(Into::into),
        service: service.into(),
        name: "GET".into(),
        detail: detail.into(),
        kind: Some(kind),
        start_ns: 5 * MS + times.0,
        duration_ns: times.1,
        status: "200".into(),
        ..Row::default()
    }
}

fn link(mut row: Row, evidence: &str, confidence: &str) -> Row {
    row.evidence = Some(evidence.into());
    row.confidence = Some(confidence.into());
    row
}

/// A chain of three services with a call by a thread, an orphan and a failure, in no order.
fn chain() -> Vec<Row> {
    let (client, server) = (Kind::Client, Kind::Server);
    let mut orphan = row("9", None, "app", client, "metrics:9091/push", (11 * MS, 400_000));
    orphan.orphan_reason = Some("worker without item".into());
    let mut failed = row("5", Some("4"), "backend", server, "/audit", (7 * MS, 2 * MS));
    failed.status = "503".into();
    failed.error = true;
    vec![
        link(failed, "peer", "exact"),
        link(orphan, "none", "none"),
        link(row("4", Some("3"), "app", client, "backend/audit", (6_800_000, 2_400_000)), "birth", "exact"),
        link(row("1", None, "nginx", server, "/pay", (0, 12_400_000)), "root", "exact"),
        link(row("2", Some("1"), "nginx", client, "app:8000/pay", (MS, 10 * MS)), "nginx", "strong"),
        link(row("3", Some("2"), "app", server, "/pay", (1_200_000, 9_500_000)), "peer", "exact"),
        link(
            row("6", Some("3"), "app", client, "backend/price/of/a/very/long/path", (2 * MS, 3 * MS)),
            "thread",
            "exact",
        ),
        link(
            row("7", Some("6"), "backend", server, "/price/of/a/very/long/path", (2_100_000, 2_800_000)),
            "peer",
            "exact",
        ),
    ]
}

#[test]
fn a_chain_is_drawn_as_a_tree_at_every_width() {
    assert_eq!(render(&chain(), 80, false), include_str!("golden/chain_80.txt"));
    assert_eq!(render(&chain(), 120, false), include_str!("golden/chain_120.txt"));
    assert_eq!(render(&chain(), 80, true), include_str!("golden/chain_80_colours.txt"));
}

#[test]
fn no_line_is_wider_than_asked_for() {
    for (asked, width) in [(0, 80), (80, 80), (97, 97), (200, 200), (1000, 200)] {
        let text = render(&chain(), asked, false);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{asked}: {widest:?}");
    }
}

#[test]
fn traces_are_drawn_one_after_the_other() {
    let mut rows = chain();
    rows[1].trace_id = "00000000000000000000000000000001".into();
    let text = render(&rows, 80, false);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("trace ")).collect();
    assert_eq!(
        heads,
        [
            "trace 4bf92f3577b34da6a3ce929d0e0e4736  7 spans  3 services  12.4 ms",
            "trace 00000000000000000000000000000001  1 span  1 service  400 µs",
        ]
    );
}

#[test]
fn every_row_is_drawn_once_whatever_the_ids_say() {
    let server = Kind::Server;
    let at = |id: &str, parent: &str| row(id, Some(parent), "s", server, "/x", (0, 1));
    let rows = [at("a", "b"), at("b", "a"), at("c", "c"), at("d", "gone"), at("d", "d"), at("e", "d")];
    assert_eq!(render(&rows, 80, false).lines().count(), 1 + rows.len());
}

#[test]
fn a_long_chain_is_drawn_without_growing_sideways() {
    let rows: Vec<Row> = (0..5_000_u32)
        .map(|n| row(&n.to_string(), Some(&(n.wrapping_sub(1)).to_string()), "s", Kind::Server, "", (n.into(), 1)))
        .collect();
    let text = render(&rows, 80, false);
    assert_eq!(text.lines().count(), 5_001);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn control_characters_do_not_come_through() {
    let mut rows = chain();
    for row in &mut rows {
        for text in [&mut row.service, &mut row.name, &mut row.detail, &mut row.status, &mut row.trace_id] {
            text.insert_str(0, "\u{1b}[2J\r");
        }
        row.evidence = Some("\u{1b}[2J".into());
    }
    let text = render(&rows, 200, false);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn nothing_is_drawn_of_nothing() {
    assert_eq!(render(&[], 80, true), "");
}
