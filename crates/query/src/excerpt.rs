//! The line of a query that an error is about.

use std::fmt;

/// A line of SQL with a mark below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    text: String,
    /// Characters before the mark and below it.
    mark: Option<(usize, usize)>,
}

/// Longest line that is shown whole, in characters; of longer ones the surroundings of the mark are.
const WIDTH: usize = 100;

impl Excerpt {
    /// The line `line` of `sql`, with a mark at `column`; both count from 1, columns in characters.
    pub(crate) fn at(sql: &str, line: usize, column: usize) -> Option<Self> {
        let text = sql.lines().nth(line.checked_sub(1)?)?;
        let before = column.checked_sub(1)?;
        let word = text.chars().skip(before).take_while(|c| c.is_alphanumeric() || *c == '_').count();
        Some(Self::cut(line, text, before, word.max(1)))
    }

    /// Where a text that ends too early ends.
    pub(crate) fn of_end(sql: &str) -> Option<Self> {
        let line = sql.trim_end().lines().count();
        let text = sql.lines().nth(line.checked_sub(1)?)?;
        Self::at(sql, line, text.trim_end().chars().count() + 1)
    }

    /// The line in which a word stands for the first time, as a word of its own. The whole text, if it is a line, when it
    /// does not.
    pub(crate) fn of_word(sql: &str, word: &str) -> Option<Self> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let found = sql.match_indices(word).find(|(at, _)| {
            let (before, after) = (&sql[..*at], &sql[at + word.len()..]);
            !word.is_empty() && !before.ends_with(is_part) && !after.starts_with(is_part)
        });
        let Some((at, _)) = found else { return Self::of_line(sql) };
        let line = sql[..at].matches('\n').count();
        let begin = sql[..at].rfind('\n').map_or(0, |end| end + 1);
        let text = sql[begin..].lines().next()?;
        Some(Self::cut(line + 1, text, sql[begin..at].chars().count(), word.chars().count()))
    }

    /// The whole text without a mark, if it is a line.
    pub(crate) fn of_line(sql: &str) -> Option<Self> {
        let line = sql.trim();
        let shown = Self { line: 1, text: line.to_owned(), mark: None };
        (!line.contains('\n') && line.chars().count() <= WIDTH).then_some(shown)
    }

    fn cut(line: usize, text: &str, before: usize, length: usize) -> Self {
        let characters = text.chars().count();
        if characters <= WIDTH {
            return Self { line, text: text.to_owned(), mark: Some((before, length)) };
        }
        let begin = before.saturating_sub(WIDTH / 2).min(characters.saturating_sub(WIDTH));
        let piece: String = text.chars().skip(begin).take(WIDTH).collect();
        let dots = if begin > 0 { "…" } else { "" };
        let more = if begin + WIDTH < characters { "…" } else { "" };
        let before = before - begin + dots.chars().count();
        Self { line, text: format!("{dots}{piece}{more}"), mark: Some((before, length.min(WIDTH))) }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        // A tab is as wide as the terminal likes; below it the mark would be elsewhere.
        let text = self.text.replace(|c: char| c.is_control(), " ");
        write!(f, "  {number} | {text}")?;
        if let Some((before, length)) = self.mark {
            write!(f, "\n  {:1$} | {2:3$}{4}", "", number.len(), "", before, "^".repeat(length))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(excerpt: Option<Excerpt>) -> String {
        excerpt.map(|excerpt| excerpt.to_string()).unwrap_or_default()
    }

    #[test]
    fn places_are_marked() {
        assert_eq!(
            shown(Excerpt::at("SELECT month\nFROM flow\tx", 2, 6)),
            "  2 | FROM flow x\n    |      ^^^^"
        );
        assert_eq!(shown(Excerpt::at("SELECT é,ü FROM", 1, 10)), "  1 | SELECT é,ü FROM\n    |          ^");
        assert_eq!(shown(Excerpt::at("SELECT", 1, 7)), "  1 | SELECT\n    |       ^");
        assert_eq!(Excerpt::at("SELECT", 2, 1), None);
        assert_eq!(Excerpt::at("SELECT", 0, 0), None);
    }

    #[test]
    fn words_are_found_as_words() {
        assert_eq!(
            shown(Excerpt::of_word("SELECT months,\n  month FROM x", "month")),
            "  2 |   month FROM x\n    |   ^^^^^"
        );
        assert_eq!(shown(Excerpt::of_word("SELECT a", "b")), "  1 | SELECT a");
        assert_eq!(Excerpt::of_word("SELECT a\nFROM x", "b"), None);
    }

    #[test]
    fn long_lines_are_shown_around_the_mark() {
        let sql = format!("SELECT {} wrong, {} FROM flows", "a, ".repeat(100), "b, ".repeat(100));
        let text = shown(Excerpt::of_word(&sql, "wrong"));
        let [line, mark] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let at = line.chars().position(|c| c == 'w').expect("it is shown");
        assert_eq!(mark.chars().position(|c| c == '^'), Some(at));
        assert!(line.chars().count() < 120, "{line}");
    }
}
