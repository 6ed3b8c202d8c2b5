//! What several documents of a release say, each in its own form: who made the data set, what its licence is called, what
//! was done to a column, what may not be done with the whole.

use flowlake_partition::manifest::{Column, Treatment};

use crate::Facts;

/// Somebody who made the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creator<'a> {
    /// A person, of whom both names are known.
    Person {
        /// What the family is called.
        family: &'a str,
        /// What the person is called.
        given: &'a str,
    },
    /// An organisation, or a person of whom nobody says which name is which.
    Organisation(&'a str),
}

impl<'a> Creator<'a> {
    /// The creators of the data set in their order, each once: the formats take a creator that comes twice for an error.
    pub(crate) fn all(facts: &Facts<'a>) -> Vec<Self> {
        let mut creators = Vec::new();
        for creator in facts.creators.iter().filter_map(|text| Self::read(text)) {
            if !creators.contains(&creator) {
                creators.push(creator);
            }
        }
        creators
    }

    /// `Family, Given`, or the name of an organisation. One with two commas is no person: `University, Faculty, Town`.
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let names = text.split_once(',').map(|(family, given)| (family.trim(), given.trim()));
        match names {
            _ if text.is_empty() => None,
            Some((family, given)) if !family.is_empty() && !given.is_empty() && !given.contains(',') => {
                Some(Self::Person { family, given })
            }
            _ => Some(Self::Organisation(text)),
        }
    }

    /// The name as it is spoken.
    pub(crate) fn full_name(&self) -> String {
        match self {
            Self::Person { family, given } => format!("{given} {family}"),
            Self::Organisation(name) => (*name).to_owned(),
        }
    }
}

/// Identifiers of SPDX for licences that data sets have. Those that the schema of citation files does not know are left out,
/// as if they were free text.
const SPDX_IDS: [&str; 24] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-3.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-3.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Sharing-1.0",
    "EUPL-1.2",
    "MIT",
    "ODC-By-1.0",
    "ODbL-1.0",
    "PDDL-1.0",
    "Unlicense",
];

/// The licence, when it is an identifier of SPDX and not a sentence about a licence.
pub(crate) fn spdx_id<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let licence = facts.manifest.dataset.licence.trim();
    SPDX_IDS.contains(&licence).then_some(licence)
}

/// Where the text of the licence is on the web: where the catalogue says, else where SPDX has it.
pub(crate) fn licence_address(facts: &Facts<'_>) -> Option<String> {
    let said = facts.licence_url.and_then(web_address).map(str::to_owned);
    said.or_else(|| spdx_id(facts).map(|id| format!("https://spdx.org/licenses/{id}.html")))
}

/// The text, when it is an address of the web as all formats want one. What a catalogue has instead of one, a note or
/// nothing, would make a document invalid.
pub(crate) fn web_address(text: &str) -> Option<&str> {
    let text = text.trim();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    (!host.is_empty() && host.chars().all(plain)).then_some(text)
}

/// What the data set is, in sentences, and what else whoever reads only this must know.
pub(crate) fn description(facts: &Facts<'_>) -> String {
    let said = facts.description.map(str::trim).filter(|text| !text.is_empty());
    let mut sentences = vec![sentence(said.unwrap_or(&facts.manifest.dataset.title))];
    sentences.extend(redistribution(facts).map(str::to_owned));
    sentences.extend(left_out(facts));
    sentences.join(" ")
}

/// What may not be done with a release that its licence does not let be handed on.
pub(crate) fn redistribution(facts: &Facts<'_>) -> Option<&'static str> {
    (!facts.release.redistribution).then_some("Not to be redistributed: the licence does not allow it.")
}

/// Which columns the release leaves out on purpose; they are in no schema, so nothing else would say so.
pub(crate) fn left_out(facts: &Facts<'_>) -> Option<String> {
    let columns = &facts.release.privacy.as_ref()?.columns;
    let dropped = columns.iter().filter(|column| column.treatment == Treatment::Dropped);
    let names: Vec<&str> = dropped.map(|column| column.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("Left out for privacy: {}.", names.join(", ")))
}

/// What a column holds, for people: with its unit, and with what was done to its values.
pub(crate) fn column_description(facts: &Facts<'_>, column: &Column) -> String {
    let mut text = sentence(&column.description);
    if let Some(unit) = &column.unit {
        text.push_str(&format!(" Unit: {unit}."));
    }
    if let Some(treatment) = treatment(facts, column) {
        text.push(' ');
        text.push_str(&treatment);
    }
    text
}

fn treatment(facts: &Facts<'_>, column: &Column) -> Option<String> {
    let columns = &facts.release.privacy.as_ref()?.columns;
    match columns.iter().find(|treated| treated.name == column.name)?.treatment {
        Treatment::Dropped => None,
        treatment => Some(format!("Pseudonymised: {}.", what_was_done(treatment))),
    }
}

/// What was done to a column.
pub(crate) fn what_was_done(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Dropped => "left out",
        Treatment::HmacSha256 => {
            "each value is a keyed digest of what it was (HMAC-SHA-256, its first 16 bytes in hexadecimal)"
        }
        Treatment::IpcryptPfx => {
            "each address is another address of the same family, and two addresses share as long a prefix as they did \
             (ipcrypt-pfx)"
        }
    }
}

/// Text in one line.
pub(crate) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of somebody else's as it is, and nothing that Markdown could take for more.
pub(crate) fn block(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

/// The text with an end, so that another sentence can follow.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let ended = text.is_empty() || text.ends_with(['.', '!', '?', '…', ':', ')', '。']);
    if ended { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creators_are_persons_only_when_both_names_are_there() {
        let person = Creator::Person { family: "de la Cruz", given: "Ana María" };
        assert_eq!(Creator::read(" de la Cruz, Ana María "), Some(person));
        assert_eq!(person.full_name(), "Ana María de la Cruz");
        for text in ["KDDI Research, Inc., Tokyo", "Cisco", "Cruz,", ", Ana"] {
            assert_eq!(Creator::read(text), Some(Creator::Organisation(text)));
        }
        assert_eq!(Creator::read("  "), None);
    }

    #[test]
    fn web_addresses_are_told_from_notes() {
        for text in ["https://example.org/a?b=c#d", "http://[::1]:80/%20", " https://example.org/ "] {
            assert_eq!(web_address(text), Some(text.trim()));
        }
        for text in
            ["", "https://", "see the paper", "https://example.org/a b", "https://例え.jp/", "javascript:1"]
        {
            assert_eq!(web_address(text), None, "{text}");
        }
    }

    #[test]
    fn sentences_end_once() {
        assert_eq!(sentence(" Ports "), "Ports.");
        assert_eq!(sentence("Ports."), "Ports.");
        assert_eq!(sentence(""), "");
    }
}
