//! Whether the digests that an object store keeps with its objects are those of the manifest: a check of content that
//! reads none.
//!
//! A digest is stored with an object when it is uploaded, and the store checks the bytes against the request then. Whoever
//! writes the object anew writes it without the digest, or with another one. A lake that other tools copied to its place
//! has no digests at all; then there is nothing to compare, and the report says how many were.

use flowlake_store::{EntryKind, ObjectStore};

use super::{DifferenceKind, Found, VerifyError, VerifyReport};
use crate::manifest::Manifest;

pub(super) fn check(
    store: &ObjectStore,
    manifest: &Manifest,
    entries: &Found,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let data = manifest.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str()));
    let rejected = manifest.sources.iter().filter_map(|source| source.rejected_lines.as_ref());
    let listed = data.chain(rejected.map(|file| (file.path.as_str(), file.sha256.as_str())));
    // What is missing is reported with the file.
    let there: Vec<(&str, &str)> = listed
        .filter(|(path, _)| entries.get(path).is_some_and(|entry| entry.kind == EntryKind::File))
        .collect();
    let paths: Vec<&str> = there.iter().map(|(path, _)| *path).collect();
    let stats = store.stat_all(&paths)?;
    let kept: Vec<Option<String>> = stats.into_iter().map(|stat| stat.and_then(|stat| stat.sha256)).collect();
    report.digests_compared = kept.iter().flatten().count() as u64;
    if report.digests_compared == 0 {
        return Ok(());
    }
    for ((path, expected), kept) in there.into_iter().zip(kept) {
        match kept {
            Some(kept) if kept == expected => {}
            Some(kept) => {
                let detail = format!("SHA-256 kept by the store: expected {expected}, found {kept}");
                report.add(path, DifferenceKind::Sha256, detail);
            }
            None => report.add(
                path,
                DifferenceKind::Sha256,
                "the store keeps no digest of it as it does of others: something else has written it",
            ),
        }
    }
    Ok(())
}
