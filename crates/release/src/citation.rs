//! `CITATION.cff`: how to cite the release, in the Citation File Format 1.2.0 (<https://citation-file-format.github.io>),
//! which code hosts, archives and reference managers read.

use std::fmt::Write as _;

use crate::Facts;
use crate::terms::{self, Creator};

/// The citation file of a release.
#[must_use]
pub fn citation(facts: &Facts<'_>) -> String {
    let dataset = &facts.manifest.dataset;
    // The format wants a title, and a slug is better than none.
    let title = Some(dataset.title.trim()).filter(|title| !title.is_empty()).unwrap_or(&dataset.name);
    let message = match dataset.citation.trim() {
        "" => "If you use this data set, please cite it with these metadata.".to_owned(),
        citation => format!("If you use this data set, please cite it: {citation}"),
    };

    let mut lines = Lines::default();
    lines.add("cff-version", "1.2.0");
    lines.add("type", "dataset");
    lines.add("message", &message);
    lines.add("title", title);
    lines.add("version", &facts.release.version);
    if let Some(date) = &facts.release.date {
        lines.add("date-released", date);
    }
    lines.authors(&Creator::all(facts), title);
    if let Some(url) = terms::web_address(&dataset.url) {
        lines.add("url", url);
    }
    if let Some(id) = terms::spdx_id(facts) {
        lines.add("license", id);
    } else if let Some(url) = facts.licence_url.and_then(terms::web_address) {
        lines.add("license-url", url);
    }
    lines.add("abstract", &terms::description(facts));
    lines.0
}

/// Lines of YAML.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push_str(": ");
        self.quote(value);
        self.0.push('\n');
    }

    /// The authors; without any the data set speaks for itself, because the format wants one.
    fn authors(&mut self, creators: &[Creator<'_>], title: &str) {
        let alone = [Creator::Organisation(title)];
        self.0.push_str("authors:\n");
        for creator in if creators.is_empty() { &alone } else { creators } {
            match creator {
                Creator::Person { family, given } => {
                    self.add("  - family-names", family);
                    self.add("    given-names", given);
                }
                Creator::Organisation(name) => self.add("  - name", name),
            }
        }
    }

    /// In double quotes, where YAML means nothing but text: no date, no number, no comment. Characters that YAML does not let
    /// stand as they are, or takes for the end of a line, are escaped.
    fn quote(&mut self, text: &str) {
        self.0.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.0.extend(['\\', character]),
                '\n' => self.0.push_str("\\n"),
                '\t' => self.0.push_str("\\t"),
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => self.escape(character),
                _ if character.is_control() => self.escape(character),
                _ => self.0.push(character),
            }
        }
        self.0.push('"');
    }

    fn escape(&mut self, character: char) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "\\u{:04x}", u32::from(character));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_facts::SampleFacts;

    #[test]
    fn everything_that_is_known_is_said() {
        let mut sample = SampleFacts::new();
        sample.creators =
            vec!["Doe, Jane".to_owned(), "Example Institute".to_owned(), "Doe, Jane".to_owned()];
        sample.release.date = Some("2024-02-29".to_owned());
        let expected = concat!(
            "cff-version: \"1.2.0\"\n",
            "type: \"dataset\"\n",
            "message: \"If you use this data set, please cite it: Doe (2024), Flows\"\n",
            "title: \"Flows of things\"\n",
            "version: \"1.0.0\"\n",
            "date-released: \"2024-02-29\"\n",
            "authors:\n",
            "  - family-names: \"Doe\"\n",
            "    given-names: \"Jane\"\n",
            "  - name: \"Example Institute\"\n",
            "url: \"https://example.org/flows\"\n",
            "license: \"CC-BY-4.0\"\n",
            "abstract: \"Flows of two devices.\"\n",
        );
        assert_eq!(sample.with(citation), expected);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut sample = SampleFacts::new();
        sample.manifest.dataset.licence = "see the paper".to_owned();
        sample.manifest.dataset.url = "none".to_owned();
        sample.manifest.dataset.citation.clear();
        sample.description = None;
        let text = sample.with(citation);
        for key in ["date-released", "url", "license", "license-url"] {
            assert!(!text.contains(&format!("\n{key}: ")), "{key}: {text}");
        }
        assert!(text.contains("authors:\n  - name: \"Flows of things\"\n"), "{text}");
        assert!(text.contains("\nabstract: \"Flows of things.\"\n"), "{text}");

        sample.licence_url = Some("https://example.org/licence".to_owned());
        assert!(sample.with(citation).contains("\nlicense-url: \"https://example.org/licence\"\n"));
    }

    #[test]
    fn any_text_stays_one_line_of_text() {
        let mut sample = SampleFacts::new();
        sample.manifest.dataset.title = "a: \"b\" # c\\d\r\ne\u{7f}\u{85}\u{2028}\u{feff}é🦀".to_owned();
        let text = sample.with(citation);
        let title = r#"title: "a: \"b\" # c\\d\u000d\ne\u007f\u0085\u2028\ufeffé🦀""#;
        assert!(text.lines().any(|line| line == title), "{text}");
    }

    #[test]
    fn a_release_that_must_stay_says_so() {
        let mut sample = SampleFacts::new();
        sample.release.redistribution = false;
        assert!(sample.with(citation).contains("Not to be redistributed"));
    }
}
