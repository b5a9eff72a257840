//! Text that fits its column and cannot act on the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub(super) fn width_of(text: &str) -> usize {
    text.width()
}

/// Replaces what moves the cursor, changes colours or turns the order of text around.
pub(super) fn clean(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if acts(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Cuts to a width, with an ellipsis where something is missing.
pub(super) fn fit(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut left = width.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else {
            break;
        };
        left = rest;
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// Fills up to a width.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// At most eight columns, three digits that count.
pub(super) fn duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    if ns >= 1_000_000_000_000 {
        return format!("{} s", ns / 1_000_000_000);
    }
    for (size, unit) in UNITS {
        let value = ns as f64 / size as f64;
        let decimals = match value {
            1.0..10.0 => 2,
            10.0..100.0 => 1,
            100.0.. => 0,
            _ => continue,
        };
        return format!("{value:.decimals$} {unit}");
    }
    format!("{ns} ns")
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// A colour for each service; red and yellow say other things.
    pub(super) fn service(self, number: usize, text: &str) -> String {
        const COLOURS: [&str; 6] = ["36", "35", "34", "32", "96", "95"];
        self.with(COLOURS[number % COLOURS.len()], text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, duration, fit};

    #[test]
    fn durations_have_three_digits_and_fit() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.50 µs"),
            (999_400, "999 µs"),
            (12_400_000, "12.4 ms"),
            (1_230_000_000, "1.23 s"),
            (999_000_000_000, "999 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(duration(u64::MAX), "18446744073 s");
    }

    #[test]
    fn cut_text_keeps_to_its_width_also_where_characters_are_wide() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 4), "日…");
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(clean("a\u{1b}[2J\u{9b}\u{202e}\nb"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b");
    }
}
