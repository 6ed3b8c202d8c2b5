//! What changed between releases, or between a release and the lake it was made of.

use std::io::{self, Write};

use flowlake_partition::diff::ReleaseDiff;
use flowlake_partition::manifest::Treatment;

use super::{digest_line, line, section};

pub(super) fn print(out: &mut impl Write, release: &ReleaseDiff) -> io::Result<()> {
    let ReleaseDiff { reference, treatments, documents } = release;
    let lines = reference.iter().map(|change| {
        let sides = [&change.a, &change.b].map(|side| side.as_deref());
        let (what, [a, b]) = match change.what {
            "privacy.mac" => ("MAC addresses", sides),
            "privacy.ip" => ("IP addresses", sides),
            "privacy.drop" => ("columns to drop", sides),
            "privacy.keyCheck" => ("key check", sides),
            "privacy.rejectedLinesWithheld" => {
                ("rejected lines", sides.map(|side| Some(rejected_lines(side))))
            }
            what => (what, sides),
        };
        line(what, a, b)
    });
    section(out, "Release", &["what", "A", "B"], 3, lines)?;
    let lines = treatments.iter().map(|change| {
        let [a, b] = [change.a, change.b].map(|treatment| Some(treatment.map_or("as read", Treatment::name)));
        line(&change.column, a, b)
    });
    section(out, "Release: what was done to columns", &["column", "A", "B"], 3, lines)?;
    let lines = documents.iter().map(|change| {
        let [a, b] =
            [&change.a, &change.b].map(|side| side.as_ref().map(|document| document.sha256.as_str()));
        digest_line(&change.path, a, b)
    });
    section(out, "Release: documents", &["path", "A", "B"], 3, lines)
}

/// What became of rejected lines. They are raw flows, so a release that hides anything leaves them out.
fn rejected_lines(withheld: Option<&str>) -> &'static str {
    if withheld == Some("true") { "withheld" } else { "kept" }
}
