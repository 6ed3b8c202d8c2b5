//! Text of others, shown as it is and not as a terminal would obey it.
//!
//! Names in SQL, cells, paths and manifests may hold escape sequences, which move the cursor or change colours, and letters
//! that turn the direction of what stands around them.

/// A text on one line: nothing in it has a meaning to a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Overrides and isolates of bidirectional text, which hide what order letters have.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(c.escape_default()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// As [`printable`], of a text of several lines, which stay lines.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out() {
        assert_eq!(printable("é, \"x\\y\", 日本, 🐙"), "é, \"x\\y\", 日本, 🐙");
        assert_eq!(printable("a\u{1b}[31mb\u{7}\u{7f}\u{9b}c"), "a\\u{1b}[31mb\\u{7}\\u{7f}\\u{9b}c");
        assert_eq!(printable("a\r\n\tb"), "a\\r\\n\\tb");
        for c in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars() {
            assert_eq!(printable(&c.to_string()), format!("\\u{{{:x}}}", u32::from(c)));
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\u{1b}b\r\n  1 | c\n"), "a\\u{1b}b\\r\n  1 | c\n");
    }
}
