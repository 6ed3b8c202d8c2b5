//! Text of others, shown as it is and not as a terminal would obey it.
//!
//! Names in SQL, cells, paths and manifests may hold escape sequences, which move the cursor or change colours, and letters
//! that turn the direction of what stands around them.

use std::io::{self, Write};

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

/// Longest line of a message, in letters: errors quote what they are about, and that may be a megabyte of something.
const LONGEST_LINE: usize = 2000;

/// Most lines of a message.
const MOST_LINES: usize = 100;

/// As [`printable_lines`], of an error or a hint. What is longer than anybody reads is cut.
pub(crate) fn message(text: &str) -> String {
    let mut shown = text.split('\n').take(MOST_LINES).map(line).collect::<Vec<_>>().join("\n");
    let more = text.split('\n').skip(MOST_LINES).count();
    if more > 0 {
        shown.push_str(&format!("\n… ({more} lines more)"));
    }
    shown
}

/// As [`message`], of what has no more than a line, such as a warning.
pub(crate) fn line(text: &str) -> String {
    match text.char_indices().nth(LONGEST_LINE) {
        None => printable(text),
        Some((end, _)) => format!("{} … ({} bytes more)", printable(&text[..end]), text.len() - end),
    }
}

/// Where what is written is [`printable_lines`]: for what is said to people of manifests, recipes and names that others wrote.
pub(crate) struct ForPeople<W>(pub(crate) W);

impl<W: Write> Write for ForPeople<W> {
    /// Takes all of it. What formatting writes comes in whole texts, so no letter is cut.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(printable_lines(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// As [`ForPeople`], of what is written in any pieces.
pub(crate) struct ForTerminal<W: Write> {
    out: W,
    /// A line that has no end yet.
    begun: Vec<u8>,
}

impl<W: Write> ForTerminal<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }

    fn write_lines(&mut self, end: usize) -> io::Result<()> {
        let lines: Vec<u8> = self.begun.drain(..end).collect();
        self.out.write_all(printable_lines(&String::from_utf8_lossy(&lines)).as_bytes())
    }
}

impl<W: Write> Write for ForTerminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(last) = bytes.iter().rposition(|&byte| byte == b'\n') {
            self.write_lines(self.begun.len() - (bytes.len() - last) + 1)?;
        }
        Ok(bytes.len())
    }

    /// Also of a line without an end: nothing is flushed amid a letter.
    fn flush(&mut self) -> io::Result<()> {
        self.write_lines(self.begun.len())?;
        self.out.flush()
    }
}

impl<W: Write> Drop for ForTerminal<W> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
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
    fn messages_have_an_end() {
        let line = "é".repeat(LONGEST_LINE);
        assert_eq!(message(&line), line);
        assert_eq!(message(&format!("a\n{line}\u{1b}b\nc")), format!("a\n{line} … (2 bytes more)\nc"));
        let lines = "x\n".repeat(MOST_LINES - 1);
        assert_eq!(message(&format!("{lines}y")), format!("{lines}y"));
        assert_eq!(message(&format!("{lines}y\nz\n")), format!("{lines}y\n… (2 lines more)"));
    }

    #[test]
    fn pieces_of_any_size_are_spelled_out_alike() {
        let text = "é\u{1b}[2J,日本\n\u{9b}b\n\nno end\u{7}";
        for size in 1..=text.len() {
            let mut shown = Vec::new();
            let mut terminal = ForTerminal::new(&mut shown);
            for piece in text.as_bytes().chunks(size) {
                terminal.write_all(piece).expect("memory");
            }
            drop(terminal);
            assert_eq!(String::from_utf8(shown).expect("text"), printable_lines(text));
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable_lines("a\u{1b}b\r\n  1 | c\n"), "a\\u{1b}b\\r\n  1 | c\n");
    }
}
