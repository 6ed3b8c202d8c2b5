//! What changed in catalogue and recipe: digests, and the lines themselves.

use std::io::{self, Write};
use std::iter;

use flowlake_partition::diff::{ConfigurationChange, ConfigurationSide, Hunk, HunkPart};

use super::{digest_line, line, more, section};

/// Lines of changed texts that are shown of each.
const SHOWN_CHANGES: usize = 40;

/// Characters of such a line: one that is longer goes on in the next.
const SHOWN_WIDTH: usize = 116;

/// The catalogue, of which nothing else is told.
pub(super) fn print_catalogue(out: &mut impl Write, change: Option<&ConfigurationChange>) -> io::Result<()> {
    let Some(change) = change else { return Ok(()) };
    section(out, "Catalogue", &["what", "A", "B"], 3, digests(change).into_iter().chain(kept(change)))?;
    print_lines(out, "Catalogue", change)
}

/// The lines that changed in a text, if both are known.
pub(super) fn print_lines(out: &mut impl Write, title: &str, change: &ConfigurationChange) -> io::Result<()> {
    let mut lines = change.hunks.iter().flatten().flat_map(written);
    let shown: Vec<String> = lines.by_ref().take(SHOWN_CHANGES).collect();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}: lines that changed\n --- A\n +++ B")?;
    for line in shown {
        // No space where nothing follows it.
        writeln!(out, "{}", format!(" {line}").trim_end())?;
    }
    more(out, lines.count())
}

/// The digests of both, where they differ.
pub(super) fn digests(change: &ConfigurationChange) -> Option<Vec<String>> {
    let [a, b] = [&change.a, &change.b].map(|side| side.as_ref().and_then(|side| side.sha256.as_deref()));
    (a != b).then(|| digest_line("digest", a, b))
}

/// Whether the texts are in the manifests, where these are not alike in it.
pub(super) fn kept(change: &ConfigurationChange) -> Option<Vec<String>> {
    let kept = |side: &ConfigurationSide| if side.withheld { "withheld" } else { "in the manifest" };
    let [a, b] = [&change.a, &change.b].map(|side| side.as_ref().map(kept));
    (a != b).then(|| line("text", a, b))
}

/// A hunk in the form of `diff -u`.
fn written(hunk: &Hunk) -> impl Iterator<Item = String> {
    let number = |of: fn(&HunkPart) -> &Vec<String>| -> usize {
        hunk.parts.iter().map(|part| part.both.len() + of(part).len()).sum()
    };
    let header =
        format!("@@ -{},{} +{},{} @@", hunk.a, number(|part| &part.a), hunk.b, number(|part| &part.b));
    let lines = hunk.parts.iter().flat_map(|HunkPart { both, a, b }| {
        let marked = [(' ', both), ('-', a), ('+', b)];
        marked
            .into_iter()
            .flat_map(|(mark, lines)| lines.iter().flat_map(move |line| marked_lines(mark, line)))
    });
    iter::once(header).chain(lines)
}

/// A line of a text, as one on the screen or several. What cannot be seen is written out, as are spaces at its end if it
/// changed: they may be all that did. A manifest may come from anywhere, so nothing of it may steer a terminal.
fn marked_lines(mark: char, line: &str) -> Vec<String> {
    let ink = line.trim_end_matches(' ');
    let mut shown: Vec<char> = ink
        .chars()
        .flat_map(|letter| {
            match letter {
                '"' | '\'' | '\\' => letter.to_string(),
                _ => letter.escape_debug().to_string(),
            }
            .chars()
            .collect::<Vec<_>>()
        })
        .collect();
    if mark != ' ' {
        shown.extend(iter::repeat_n('·', line.len() - ink.len()));
    }
    if shown.is_empty() {
        return vec![mark.to_string().trim_end().to_owned()];
    }
    let pieces = shown.chunks(SHOWN_WIDTH).enumerate().map(|(number, piece)| {
        let goes_on = if number == 0 { "" } else { "…" };
        format!("{mark}{goes_on}{}", piece.iter().collect::<String>()).trim_end().to_owned()
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_so_that_every_change_is_seen() {
        assert_eq!(marked_lines('+', "a = \"b\\c\"  "), ["+a = \"b\\c\"··"]);
        assert_eq!(marked_lines(' ', "a  "), [" a"]);
        assert_eq!(marked_lines(' ', ""), [""]);
        assert_eq!(marked_lines('-', ""), ["-"]);
        assert_eq!(marked_lines('-', "\ta\r"), ["-\\ta\\r"]);
        assert_eq!(marked_lines('+', "\u{1b}[2J 家"), ["+\\u{1b}[2J 家"]);
        let long = marked_lines('+', &"0123456789".repeat(24));
        assert_eq!(long.iter().map(|line| line.chars().count()).collect::<Vec<_>>(), [117, 118, 10]);
        assert!(long[1].starts_with("+…6789"));
    }
}
