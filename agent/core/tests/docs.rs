//! The closed lists of the core are those of the docs: nobody reads a value that is explained nowhere.

use agent_ebpf::wire::loss;
use tracemend_core::engine::{Engine, Options};
use tracemend_core::span::{Confidence, Evidence, OrphanReason};

const SPANS: &str = include_str!("../../../docs/spans.md");
const NAMES: &str = include_str!("../src/span/names.rs");

/// Values in the first column of the tables below a heading, up to the next heading.
fn column(heading: &str) -> Vec<&'static str> {
    let (_, section) = SPANS.split_once(&format!("\n{heading}\n")).expect(heading);
    let section = section.split("\n#").next().expect("a first part");
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

/// The rest of the row that explains a value.
fn row(value: &str) -> &'static str {
    SPANS.lines().find_map(|line| line.strip_prefix(&format!("| `{value}` | "))).expect(value)
}

#[test]
fn evidence_is_listed_with_its_meaning() {
    assert_eq!(column("### Evidence"), Evidence::ALL.map(Evidence::name));
    for evidence in Evidence::ALL {
        assert!(row(evidence.name()).starts_with(evidence.meaning()), "{evidence:?}");
    }
}

#[test]
fn orphan_reasons_are_listed_with_their_meaning() {
    assert_eq!(column("### Orphan reasons"), OrphanReason::ALL.map(OrphanReason::name));
    for reason in OrphanReason::ALL {
        assert!(row(reason.name()).starts_with(reason.meaning()), "{reason:?}");
    }
}

#[test]
fn confidence_is_listed() {
    let all = [Confidence::Exact, Confidence::Strong, Confidence::Weak, Confidence::None];
    assert_eq!(column("### Confidence"), all.map(Confidence::name));
}

#[test]
fn attributes_are_listed() {
    let names: Vec<_> = NAMES.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\";")).collect();
    let mut listed = column("## Attributes");
    assert!(names.iter().all(|name| listed.contains(name)), "{names:?} {listed:?}");
    listed.retain(|name| !names.contains(name));
    assert_eq!(listed, Vec::<&str>::new(), "no attribute of that name");
}

#[test]
fn losses_are_listed() {
    let kernel = loss::ALL.iter().map(|(_, name, _)| *name);
    let mut engine = Engine::new(Options { nonce: [0; 16], excluded: Box::new(|_| false), explain: false });
    let core = engine.losses().into_iter().map(|(name, _)| name);
    let listed = column("## Losses");
    for name in kernel.chain(core) {
        assert!(listed.contains(&name), "{name}");
    }
}
