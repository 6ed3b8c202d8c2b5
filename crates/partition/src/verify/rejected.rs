//! Whether the rejected lines of a dump are there, and are those that its entry describes.

use flowlake_store::EntryKind;

use super::data_file::sha256_of;
use super::{DifferenceKind, Place, VerifyReport};
use crate::layout::RejectedPath;
use crate::manifest::{MANIFEST_FILE, Manifest, Source};

/// Checks the file of a dump's rejected lines. Manifests made before it was listed say no more than that it is there.
pub(super) fn check(place: &Place<'_>, manifest: &Manifest, source: &Source, report: &mut VerifyReport) {
    if source.rejected_lines.is_none() && (source.rejected == 0 || manifest.withholds_rejected_lines()) {
        return;
    }
    let expected = RejectedPath::new(&source.dump).and_then(|path| match &source.rejected_lines {
        Some(lines) => Ok(path.with_digest(lines.sha256.get(..16).unwrap_or_default().parse()?)),
        None => Ok(path),
    });
    let expected = match expected {
        Ok(path) => path.to_string(),
        Err(error) => {
            let path = source.rejected_lines.as_ref().map_or(MANIFEST_FILE, |lines| &lines.path);
            return report.add(path, DifferenceKind::BadPath, error.to_string());
        }
    };
    if let Some(lines) = source.rejected_lines.as_ref().filter(|lines| lines.path != expected) {
        let detail = format!("the rejected lines of its dump with its SHA-256 are {expected}");
        return report.add(&lines.path, DifferenceKind::BadPath, detail);
    }

    let Some(entry) = place.entries.get(&expected) else {
        return report.add(&expected, DifferenceKind::Missing, "it should hold the rejected lines");
    };
    if entry.kind != EntryKind::File {
        return report.add(&expected, DifferenceKind::NotAFile, "it should hold the rejected lines");
    }
    let Some(listed) = &source.rejected_lines else { return };
    if entry.bytes != listed.bytes {
        let detail = format!("bytes: expected {}, found {}", listed.bytes, entry.bytes);
        report.add(&expected, DifferenceKind::Size, detail);
    }
    if place.quick {
        return;
    }
    let opened = match place.lake.fetch(entry) {
        Ok(opened) => opened,
        Err(error) => {
            let detail = format!("{error}: {}", error.source);
            return report.add(&expected, DifferenceKind::Unreadable, detail);
        }
    };
    let mut lines = 0;
    let read =
        sha256_of(&opened, |piece| lines += piece.iter().filter(|&&byte| byte == b'\n').count() as u64);
    match read {
        Err(error) => report.add(&expected, DifferenceKind::Unreadable, error.to_string()),
        Ok((_, sha256)) if sha256 != listed.sha256 => {
            let detail = format!("SHA-256: expected {}, found {sha256}", listed.sha256);
            report.add(&expected, DifferenceKind::Sha256, detail);
        }
        Ok(_) if lines != source.rejected => {
            let detail = format!("rejected lines: expected {}, found {lines}", source.rejected);
            report.add(&expected, DifferenceKind::Rows, detail);
        }
        Ok(_) => {}
    }
}
