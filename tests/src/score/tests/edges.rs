//! Calls of one cause, several and none.

use super::*;
use crate::score::EdgeFate as Fate;

fn edges(truth: Vec<Sighting>, spans: &[Span]) -> Edges {
    Truth::new(truth).edges(spans).expect("edges")
}

/// Right, orphan, wrong, unseen, whole requests.
fn counts(edges: &Edges) -> (usize, usize, usize, usize, usize) {
    (edges.count(Fate::Right), edges.count(Fate::Orphan), edges.wrong(), edges.count(Fate::Unseen), edges.complete)
}

/// The place of the span that a request's call is: `spans` are in reverse order.
fn call(count: usize, number: usize) -> usize {
    3 * (count - number) - 2
}

fn say_exact(span: &mut Span) {
    span.attributes.insert("tracemend.link.confidence".to_owned(), "exact".into());
}

fn ids_of(span: &Span) -> (String, String) {
    (span.trace_id.clone(), span.span_id.clone())
}

#[test]
fn what_is_claimed_as_it_was_is_right() {
    let edges = edges(truth(10), &spans(10));
    assert_eq!((edges.requests, counts(&edges)), (10, (10, 0, 0, 0, 10)));
    assert!(edges.wrong.is_empty() && edges.extra.is_empty());
}

#[test]
fn orphans_and_missing_spans_are_not_wrong_and_break_their_request_alone() {
    let mut all = spans(10);
    all[call(10, 3)].parent = None;
    assert_eq!(counts(&edges(truth(10), &all)), (9, 1, 0, 0, 9));
    // The callee below nothing: the edge is no better.
    let mut all = spans(10);
    all[call(10, 3) - 1].parent = None;
    assert_eq!(counts(&edges(truth(10), &all)), (9, 1, 0, 0, 9));
    for gone in 0..3 {
        let mut all = spans(10);
        all.remove(call(10, 3) - 1 + gone);
        assert_eq!(counts(&edges(truth(10), &all)), (9, 0, 0, 1, 9), "{gone}");
    }
}

#[test]
fn wrong_links_are_told_one_by_one() {
    let mut all = spans(10);
    let (one, other) = (call(10, 3), call(10, 4));
    all[one].parent = all[other].parent.clone();
    all[one].trace_id = all[other].trace_id.clone();
    all[one - 1].trace_id = all[other].trace_id.clone();
    say_exact(&mut all[one]);
    let edges = edges(truth(10), &all);
    assert_eq!(counts(&edges), (9, 0, 1, 0, 9));
    assert_eq!((edges.edges[3].fate, edges.exact_wrong()), (Fate::WrongRequest, 1));
    assert_eq!(edges.wrong[0].span_id, all[one].span_id);
}

#[test]
fn a_wrong_parent_in_the_right_trace_is_told_apart() {
    let mut all = spans(10);
    let own = all[call(10, 3)].span_id.clone();
    all[call(10, 3)].parent = Some(own);
    let edges = edges(truth(10), &all);
    assert_eq!((edges.edges[3].fate, edges.exact_wrong()), (Fate::WrongParent, 0));
}

#[test]
fn a_link_to_another_request_beside_the_right_parent_is_wrong() {
    let mut all = spans(10);
    let other = ids_of(&all[call(10, 4) + 1]);
    all[call(10, 3)].links.push(other);
    assert_eq!(counts(&edges(truth(10), &all)), (9, 0, 1, 0, 9));
}

/// The call of the fourth request was made for the third too.
#[test]
fn a_call_of_several_causes_links_to_all_of_them_and_has_no_parent() {
    let mut told = truth(10);
    told.iter_mut().filter(|one| one.id == "r3.1").for_each(|one| one.id = "r2+r3.1".to_owned());
    let mut all = spans(10);
    let (both, at) = ([ids_of(&all[call(10, 2) + 1]), ids_of(&all[call(10, 3) + 1])], call(10, 3));
    // One of them as the parent: it is not the cause.
    assert_eq!(counts(&edges(told.clone(), &all)), (9, 0, 1, 0, 8));
    all[at].parent = None;
    assert_eq!(counts(&edges(told.clone(), &all)), (9, 1, 0, 0, 8));
    all[at].links = both[..1].to_vec();
    assert_eq!(counts(&edges(told.clone(), &all)), (9, 1, 0, 0, 8));
    all[at].links = both.to_vec();
    assert_eq!(counts(&edges(told.clone(), &all)), (10, 0, 0, 0, 10));
    let third = ids_of(&all[call(10, 7) + 1]);
    all[at].links.push(third);
    assert_eq!(counts(&edges(told, &all)), (9, 0, 1, 0, 8));
}

#[test]
fn a_call_that_nothing_caused_has_neither_parent_nor_link() {
    let mut told = truth(10);
    told.iter_mut().filter(|one| one.id == "r3.1").for_each(|one| one.id = "-.1".to_owned());
    let mut all = spans(10);
    assert_eq!(counts(&edges(told.clone(), &all)), (9, 0, 1, 0, 10));
    all[call(10, 3)].parent = None;
    assert_eq!(counts(&edges(told, &all)), (10, 0, 0, 0, 10));
}

#[test]
fn a_request_of_the_driver_that_claims_a_cause_is_wrong() {
    let mut all = spans(10);
    let root = call(10, 3) + 1;
    all[root].parent = Some("00000000000000ff".to_owned());
    say_exact(&mut all[root]);
    let edges = edges(truth(10), &all);
    assert_eq!((counts(&edges), edges.exact_wrong()), ((10, 0, 0, 0, 9), 1));
}

#[test]
fn a_shuffled_truth_leaves_nothing_but_chance() {
    let shuffled = Truth::new(truth(500)).shuffled(1);
    let edges = shuffled.edges(&spans(500)).expect("edges");
    assert_eq!((edges.edges.len(), edges.requests), (500, 500));
    assert!(edges.count(Fate::Right) < 8 && edges.wrong() > 492, "{:?}", counts(&edges));
}
