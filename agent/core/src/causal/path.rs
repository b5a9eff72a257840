//! Paths whose exchanges are left out.

/// A pattern over a request's path: `*` stands for any text, `?` for one character, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// A pattern.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// True if the path of a request target matches; the query does not count.
    #[must_use]
    pub fn matches(&self, target: &str) -> bool {
        let path = target.split(['?', '#']).next().unwrap_or(target);
        matches(self.0.as_bytes(), path.as_bytes())
    }
}

/// Greedy with one step back: linear in practice, and never recursive on input from the wire.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(b'?') => (at, read) = (at + 1, read + 1),
            Some(byte) if *byte == text[read] => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    (at, read) = (place + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, target, expected) in [
            ("/health", "/health", true),
            ("/health", "/health?full=1", true),
            ("/health", "/healthy", false),
            ("/health*", "/healthy/x", true),
            ("*/live", "/a/b/live", true),
            ("*/live", "/a/b/lively", false),
            ("/v?/x", "/v2/x", true),
            ("*", "", true),
            ("/a*b*c", "/a-b-b-c", true),
            ("", "/", false),
        ] {
            assert_eq!(PathPattern::new(pattern).matches(target), expected, "{pattern} {target}");
        }
    }
}
