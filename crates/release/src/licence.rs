//! `LICENSE`: what may be done with a release.

use crate::facts::Facts;
use crate::terms::{line, web_address};

/// The text of the catalogue about the licence, where its whole text is, and whether the release may be handed on.
#[must_use]
pub fn licence(facts: &Facts<'_>) -> String {
    let dataset = &facts.manifest.dataset;
    let mut text = format!("{}\n\n{}\n", line(&dataset.title), dataset.licence.trim_end());
    if let Some(url) = facts.licence_url.and_then(web_address) {
        text.push_str(&format!("\nThe text of the licence: {url}\n"));
    }
    if !facts.release.redistribution {
        text.push_str(&format!("\n{}\n", NOT_TO_BE_HANDED_ON));
    }
    text
}

/// What stands in every document of a release that its licence keeps where it is.
pub const NOT_TO_BE_HANDED_ON: &str = "NOT FOR REDISTRIBUTION: the licence of this data set does not allow handing it on, as its \
                                       catalogue says (redistribution = false).";
