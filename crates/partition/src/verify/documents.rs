//! Whether the documents of a release are those that its manifest lists, and its list of digests is right.

use std::collections::BTreeMap;

use flowlake_store::{Entry, EntryKind};

use super::data_file::sha256_of;
use super::{DifferenceKind, Place, VerifyReport};
use crate::manifest::{Document, MANIFEST_FILE, Manifest, SUMS_FILE};
use crate::sums::sha256sums;

/// Checks what a release has beside its data. `manifest_sha256` is that of the manifest as it was read.
pub(super) fn check(
    place: &Place<'_>,
    manifest: &Manifest,
    manifest_sha256: &str,
    report: &mut VerifyReport,
) {
    let Some(release) = &manifest.release else { return };
    for document in &release.documents {
        check_document(place, document, report);
    }
    let Some(entry) = find(place, SUMS_FILE, "a release has the digests of its files in it", report) else {
        return;
    };
    if place.quick {
        return;
    }
    let read = match place.lake.read(&entry.path) {
        Ok(read) => read.unwrap_or_default(),
        Err(error) => {
            return report.add(SUMS_FILE, DifferenceKind::Unreadable, format!("{error}: {}", error.source));
        }
    };
    let expected = sha256sums(manifest, manifest.lists(), manifest_sha256);
    if read == expected.as_bytes() {
        return;
    }
    // The line of the manifest is all that does not follow from the manifest: whichever of the two was changed, this names both.
    let read = String::from_utf8_lossy(&read);
    let (found, expected) = (by_path(&read), by_path(&expected));
    match found.get(MANIFEST_FILE) {
        Some(stated) if *stated != manifest_sha256 => {
            let detail = format!("SHA-256: {SUMS_FILE} says {stated}, found {manifest_sha256}");
            report.add(MANIFEST_FILE, DifferenceKind::Sha256, detail);
        }
        _ => {}
    }
    let other = found
        .keys()
        .chain(expected.keys())
        .find(|path| **path != MANIFEST_FILE && found.get(*path) != expected.get(*path));
    if let Some(path) = other {
        let detail = format!("its line of {path} is not as {MANIFEST_FILE} says");
        report.add(SUMS_FILE, DifferenceKind::Sha256, detail);
    } else if found.get(MANIFEST_FILE) == expected.get(MANIFEST_FILE) || !found.contains_key(MANIFEST_FILE) {
        report.add(SUMS_FILE, DifferenceKind::Sha256, "it is not the list that follows from the manifest");
    }
}

fn check_document(place: &Place<'_>, document: &Document, report: &mut VerifyReport) {
    let path = &document.path;
    let Some(entry) = find(place, path, "it is a document of the release", report) else { return };
    if entry.bytes != document.bytes {
        let detail = format!("bytes: expected {}, found {}", document.bytes, entry.bytes);
        report.add(path, DifferenceKind::Size, detail);
    }
    if place.quick {
        return;
    }
    let opened = match place.lake.fetch(entry) {
        Ok(opened) => opened,
        Err(error) => {
            return report.add(path, DifferenceKind::Unreadable, format!("{error}: {}", error.source));
        }
    };
    match sha256_of(&opened, |_| {}) {
        Err(error) => report.add(path, DifferenceKind::Unreadable, error.to_string()),
        Ok((_, sha256)) if sha256 != document.sha256 => {
            let detail = format!("SHA-256: expected {}, found {sha256}", document.sha256);
            report.add(path, DifferenceKind::Sha256, detail);
        }
        Ok(_) => {}
    }
}

/// What is there of a file that should be; tells if there is none.
fn find<'a>(place: &'a Place<'_>, path: &str, why: &str, report: &mut VerifyReport) -> Option<&'a Entry> {
    let entry = place.entries.get(path);
    match entry {
        None => report.add(path, DifferenceKind::Missing, why),
        Some(entry) if entry.kind != EntryKind::File => report.add(path, DifferenceKind::NotAFile, why),
        Some(_) => return entry,
    }
    None
}

fn by_path(sums: &str) -> BTreeMap<&str, &str> {
    sums.lines().filter_map(|line| line.split_once("  ")).map(|(sha256, path)| (path, sha256)).collect()
}
