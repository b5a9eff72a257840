//! What every source file owes its readers: a header, a size they can hold, arguments for `unsafe`, no leftovers.

use std::path::Path;

use super::Violation;

/// Longer files are read by nobody from top to bottom. Tests count.
const LINES_MAX: usize = 600;

/// How far above an `unsafe` its argument may start: a comment of some lines and an attribute.
const ARGUMENT_LINES_MAX: usize = 12;

/// Checks one file.
pub(super) fn check(path: &Path, text: &str, found: &mut Vec<Violation>) {
    let lines: Vec<_> = text.lines().collect();
    if lines.len() > LINES_MAX {
        found.push(Violation::new(path, LINES_MAX, format!("{} lines, at most {LINES_MAX}: split it", lines.len())));
    }
    if !is_tests(path) && !lines.iter().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!"))
    {
        found.push(Violation::new(path, 1, "starts without a header (`//! ...`) that says what it is for"));
    }
    for (at, line) in lines.iter().enumerate() {
        if let Some(rule) = leftover(line) {
            found.push(Violation::new(path, at + 1, rule));
        }
        if is_unsafe(line) && !is_argued(&lines, at) {
            found.push(Violation::new(path, at + 1, "unsafe without a `SAFETY` comment or a `# Safety` section"));
        }
    }
}

/// Files of tests, beside what they test (`tests.rs`, `tests/`), are named after it. Test programs owe a header.
fn is_tests(path: &Path) -> bool {
    let in_sources = path.components().skip_while(|part| part.as_os_str() != "src");
    in_sources.skip(1).any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

fn leftover(line: &str) -> Option<&'static str> {
    // Written apart so that this file does not find itself.
    if [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")].iter().any(|mark| has_word(line, mark)) {
        return Some("a note of unfinished work: do it, or file it where work is planned");
    }
    line.ends_with([' ', '\t']).then_some("trailing blanks")
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next())
    })
}

/// A block, function, trait or implementation; comments, strings and lint names do not count.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let Some(at) = code.find("unsafe") else {
        return false;
    };
    let in_string = code[..at].matches('"').count() % 2 == 1;
    let rest = code[at + "unsafe".len()..].trim_start();
    has_word(code, "unsafe")
        && !in_string
        && ["{", "fn", "impl", "trait", "extern"].iter().any(|next| rest.starts_with(next))
}

fn is_argued(lines: &[&str], at: usize) -> bool {
    let first = at.saturating_sub(ARGUMENT_LINES_MAX);
    lines[first..=at].iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(Path::new(path), text, &mut found);
        found.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_header_is_owed_by_all_but_files_of_tests() {
        assert_eq!(rules("a.rs", "fn f() {}\n").len(), 1);
        assert!(rules("a.rs", "//! What it is.\n").is_empty());
        assert!(rules("a/src/b/tests.rs", "use super::*;\n").is_empty());
        assert!(rules("a/src/b/tests/c.rs", "use super::*;\n").is_empty());
        assert_eq!(rules("tests/e2e/main.rs", "mod c;\n").len(), 1);
    }

    #[test]
    fn six_hundred_lines_pass_and_one_more_does_not() {
        let longest = format!("//! Header.\n{}", "\n".repeat(LINES_MAX - 1));
        assert!(rules("a.rs", &longest).is_empty());
        assert_eq!(rules("a.rs", &format!("{longest}\n")).len(), 1);
    }

    #[test]
    fn unsafe_needs_its_argument_nearby() {
        let block = "//! H.\nfn f() { unsafe { g() } }\n";
        assert_eq!(rules("a.rs", block).len(), 1);
        assert!(rules("a.rs", "//! H.\n// SAFETY: g has no conditions.\nfn f() { unsafe { g() } }\n").is_empty());
        assert!(rules("a.rs", "//! H.\n//! Nothing unsafe { here }.\nconst S: &str = \"unsafe { }\";\n").is_empty());
        assert!(rules("a.rs", "//! H.\n#![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn notes_of_unfinished_work_and_trailing_blanks_are_found() {
        assert_eq!(rules("a.rs", concat!("//! H.\n// TO", "DO: later\n")).len(), 1);
        assert!(rules("a.rs", concat!("//! H.\nconst MASTO", "DON: u8 = 0;\n")).is_empty());
        assert_eq!(rules("a.rs", "//! H. \n").len(), 1);
    }
}
