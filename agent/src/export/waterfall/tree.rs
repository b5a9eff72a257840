//! Rows in the order of their tree, with the branches drawn before them.

use std::collections::HashMap;

use super::row::Row;

/// Deeper rows are drawn at this depth: labels end before it, and a chain of any length stays cheap to draw.
const DEPTH_MAX: usize = 16;

/// A row at its place.
pub(super) struct Line<'a> {
    branches: String,
    pub(super) row: &'a Row,
}

impl Line<'_> {
    pub(super) fn label(&self) -> String {
        format!("{}{}", self.branches, self.row.label())
    }
}

/// Every row once: below its parent if that is there, siblings in order of their start. Ids come from anywhere, so a
/// row may name itself, a cycle or a parent that is there twice; what no root leads to is drawn as a root.
pub(super) fn lines<'a>(rows: &[&'a Row]) -> Vec<Line<'a>> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| row.start_ns);
    let mut place: HashMap<&str, usize> = HashMap::new();
    for (at, row) in sorted.iter().enumerate() {
        place.entry(&row.span_id).or_insert(at);
    }
    let mut roots = Vec::new();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); sorted.len()];
    for (at, row) in sorted.iter().enumerate() {
        match row.parent.as_deref().and_then(|parent| place.get(parent)) {
            Some(parent) => children[*parent].push(at),
            None => roots.push(at),
        }
    }
    let mut walk = Walk { sorted, children, seen: vec![false; rows.len()], lines: Vec::new() };
    for at in roots.into_iter().chain(0..rows.len()) {
        walk.below(at);
    }
    walk.lines
}

struct Walk<'a> {
    sorted: Vec<&'a Row>,
    children: Vec<Vec<usize>>,
    seen: Vec<bool>,
    lines: Vec<Line<'a>>,
}

impl Walk<'_> {
    fn below(&mut self, root: usize) {
        // (row, branches before its parent's children, its own branch), the next one last.
        let mut stack = vec![(root, String::new(), "")];
        while let Some((at, before, branch)) = stack.pop() {
            if std::mem::replace(&mut self.seen[at], true) {
                continue;
            }
            self.lines.push(Line { branches: format!("{before}{branch}"), row: self.sorted[at] });
            let deep = before.chars().count() / 2 >= DEPTH_MAX;
            let inner = match branch {
                _ if deep => before,
                "├ " => before + "│ ",
                "└ " => before + "  ",
                _ => before,
            };
            for (n, child) in self.children[at].iter().rev().enumerate() {
                stack.push((*child, inner.clone(), if n == 0 { "└ " } else { "├ " }));
            }
        }
    }
}
