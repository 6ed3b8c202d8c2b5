//! The list of digests of a release, in the form that `sha256sum -c` reads.
//!
//! It follows from the manifest, but for the line of the manifest itself: so a release can be checked where there is no
//! flowlake, and where there is one, the list proves the manifest.

use crate::manifest::{ListFile, MANIFEST_FILE, Manifest};

/// The text of `SHA256SUMS` of a release whose manifest has this digest and these lists: every file but itself, ordered by path.
#[must_use]
pub fn sha256sums<'a>(
    manifest: &'a Manifest,
    lists: impl IntoIterator<Item = &'a ListFile>,
    manifest_sha256: &'a str,
) -> String {
    let data = manifest.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str()));
    let rejected = manifest.sources.iter().filter_map(|source| source.rejected_lines.as_ref());
    let rejected = rejected.map(|lines| (lines.path.as_str(), lines.sha256.as_str()));
    let documents = manifest.release.iter().flat_map(|release| &release.documents);
    let documents = documents.map(|document| (document.path.as_str(), document.sha256.as_str()));
    let lists = lists.into_iter().map(|list| (list.path.as_str(), list.sha256.as_str()));
    let mut lines: Vec<(&str, &str)> = data.chain(rejected).chain(documents).chain(lists).collect();
    lines.push((MANIFEST_FILE, manifest_sha256));
    lines.sort_unstable();
    // No path has a backslash or a line end in it, so nothing needs escaping.
    lines.into_iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect()
}
