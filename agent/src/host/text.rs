//! Text that other processes chose, made safe to show.

/// Text of at most `chars_max` characters without control characters, without those that reorder what stands around
/// them, and without blanks at its ends; none if nothing is left. What is not UTF-8 is replaced.
pub(super) fn clean(bytes: &[u8], chars_max: usize) -> Option<String> {
    // Four bytes a character at most: the rest cannot count.
    let bytes = &bytes[..bytes.len().min(chars_max.saturating_mul(8))];
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|character| !character.is_control() && !is_reordering(*character))
        .collect();
    let text: String = text.trim().chars().take(chars_max).collect();
    (!text.is_empty()).then_some(text)
}

/// Bidirectional marks (Unicode standard annex 9) and line separators.
fn is_reordering(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows the last slash.
pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_go() {
        assert_eq!(clean(b"\x1b[31mshop\x07\r\n", 128).as_deref(), Some("[31mshop"));
        assert_eq!(clean("a\u{202e}b\u{2067}c".as_bytes(), 128).as_deref(), Some("abc"));
    }

    #[test]
    fn invalid_utf8_is_replaced_and_length_is_capped() {
        assert_eq!(clean(b"caf\xe9", 128).as_deref(), Some("caf\u{fffd}"));
        assert_eq!(clean(&vec![b'x'; 1 << 20], 5).as_deref(), Some("xxxxx"));
        assert_eq!(clean("日本語日本語".as_bytes(), 3).as_deref(), Some("日本語"));
    }

    #[test]
    fn nothing_left_is_none() {
        assert_eq!(clean(b"", 10), None);
        assert_eq!(clean(b" \0\x01\t ", 10), None);
    }

    #[test]
    fn base_names() {
        assert_eq!(base_name("/usr/sbin/nginx"), "nginx");
        assert_eq!(base_name("nginx"), "nginx");
        assert_eq!(base_name("/srv/app/"), "app");
        assert_eq!(base_name("/"), "");
    }
}
