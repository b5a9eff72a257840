//! The edges between the stages of the core: which may name which.

use std::path::Path;

use super::Violation;

const CORE: &str = "agent/core/src";

/// The stages, and what each may name of the crate beside itself: only what stands before it, so the edges have no
/// circle. A new edge is a change of the architecture, not of a file: it needs its reason here.
///
/// The data ends in spans, but `causal` stands last before `engine`: it is the one that knows when a span is finished,
/// and hands its decision to the builder in `span`, which knows nothing of how it was made. `stats` counts in the words
/// of `span`. `recording` asks `proto` what a reader needs of bytes, and masks the rest. `span`, and `causal` on its way there, name the ends of a connection, which `conn` writes once for all spans.
const EDGES: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("limits", &[]),
    ("map", &[]),
    ("decode", &["ids", "limits"]),
    ("conn", &["ids", "limits", "map", "decode"]),
    ("stream", &["ids", "limits", "decode", "conn"]),
    ("proto", &["ids", "limits", "decode", "conn", "stream"]),
    ("span", &["ids", "limits", "decode", "conn", "proto"]),
    ("stats", &["span"]),
    ("causal", &["ids", "limits", "map", "decode", "conn", "proto", "span", "stats"]),
    ("engine", &["ids", "limits", "map", "decode", "conn", "stream", "proto", "span", "stats", "causal"]),
    ("recording", &["ids", "decode", "proto", "engine"]),
];

/// Applies the table to a file of the core; other files pass.
pub(super) fn check(path: &Path, text: &str, found: &mut Vec<Violation>) {
    let Some(stage) = stage_of(path) else { return };
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == stage) else {
        found.push(Violation::new(path, 1, format!("stage `{stage}` is not in the table of edges")));
        return;
    };
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
        for named in crate_paths(line) {
            if named != stage && EDGES.iter().any(|(name, _)| *name == named) && !allowed.contains(&named) {
                found.push(Violation::new(path, number, format!("`{stage}` may not use `{named}`")));
            }
        }
        if line.contains("crate::{") {
            found.push(Violation::new(path, number, "name one stage per `use`, so that edges can be read"));
        }
    }
}

/// `lib.rs` names every stage and belongs to none.
fn stage_of(path: &Path) -> Option<&str> {
    let first = path.strip_prefix(CORE).ok()?.components().next()?;
    let name = first.as_os_str().to_str()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib").then_some(name)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// What follows each `crate::` of the line.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<Violation> {
        let mut found = Vec::new();
        check(Path::new(path), text, &mut found);
        found
    }

    #[test]
    fn what_the_table_allows_may_be_named_and_nothing_else() {
        let text = "use crate::decode::Event;\nuse crate::limits;\nuse crate::span::Span;\n";
        let found = broken("agent/core/src/conn/table.rs", text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 3);
        assert!(found[0].rule.contains("`span`"));
    }

    #[test]
    fn leaves_name_no_stage_and_paths_in_code_count() {
        assert_eq!(broken("agent/core/src/ids.rs", "fn f(_: crate::decode::Event) {}\n").len(), 1);
        assert!(broken("agent/core/src/ids.rs", "//! See `crate::decode`.\n").is_empty());
    }

    #[test]
    fn grouped_imports_of_stages_and_unknown_stages_are_refused() {
        assert_eq!(broken("agent/core/src/conn/mod.rs", "use crate::{decode, span};\n").len(), 1);
        assert_eq!(broken("agent/core/src/novel/mod.rs", "").len(), 1);
    }

    #[test]
    fn other_crates_and_the_list_of_stages_pass() {
        assert!(broken("agent/src/pipeline.rs", "use crate::export::Queue;\n").is_empty());
        assert!(broken("agent/core/src/lib.rs", "pub mod span;\n").is_empty());
    }

    #[test]
    fn edges_lead_back_in_the_table_so_there_is_no_circle() {
        for (place, (stage, allowed)) in EDGES.iter().enumerate() {
            for name in *allowed {
                let at = EDGES.iter().position(|(other, _)| other == name);
                assert!(at.is_some_and(|at| at < place), "{stage} -> {name}");
            }
        }
    }
}
