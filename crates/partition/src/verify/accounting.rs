//! Whether the numbers of a manifest agree with each other: no file is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::{DifferenceKind, VerifyReport};
use crate::layout::{DataPath, PartitionKey};
use crate::manifest::{MANIFEST_FILE, Manifest, RemovedRows, Totals};

/// Checks listings, sums and row accounting.
pub(super) fn check(manifest: &Manifest, report: &mut VerifyReport) {
    let mut paths = BTreeSet::new();
    let mut numbers: BTreeMap<(PartitionKey, String, u32), &str> = BTreeMap::new();
    for file in &manifest.files {
        if !paths.insert(file.path.as_str()) {
            report.add(&file.path, DifferenceKind::Duplicate, "the manifest lists it twice");
        } else if let Ok(path) = file.path.parse::<DataPath>()
            && let Some(other) =
                numbers.insert((path.key().clone(), path.device_name().to_owned(), path.number()), &file.path)
        {
            report.add(&file.path, DifferenceKind::Duplicate, format!("{other} has the same number"));
        }
    }
    let mut dumps = BTreeSet::new();
    for source in &manifest.sources {
        if !dumps.insert(source.dump.as_str()) {
            let detail = format!("dump {} is listed twice", source.dump);
            report.add(MANIFEST_FILE, DifferenceKind::Duplicate, detail);
        }
    }
    check_totals(manifest, report);
    check_rows(manifest, report);
    check_devices(manifest, report);
}

/// Adds a difference when a number the manifest states is not the one it implies.
fn equal(report: &mut VerifyReport, kind: DifferenceKind, what: &str, stated: u64, implied: u64) {
    if stated != implied {
        report.add(MANIFEST_FILE, kind, format!("{what}: stated {stated}, adds up to {implied}"));
    }
}

fn check_totals(manifest: &Manifest, report: &mut VerifyReport) {
    let totals = &manifest.totals;
    let kind = DifferenceKind::Totals;
    let parts = manifest.sources.iter().flat_map(|source| &source.parts);
    equal(report, kind, "totals.dumps", totals.dumps, manifest.sources.len() as u64);
    equal(report, kind, "totals.inputBytes", totals.input_bytes, sum(parts.map(|part| part.bytes)));
    equal(report, kind, "totals.files", totals.files, manifest.files.len() as u64);
    equal(report, kind, "totals.rows", totals.rows, sum(manifest.files.iter().map(|file| file.rows)));
    equal(report, kind, "totals.bytes", totals.bytes, sum(manifest.files.iter().map(|file| file.bytes)));
    equal(report, kind, "rowAccounting.kept", manifest.row_accounting.kept, totals.rows);
    let implied = Totals::content_digest_of(&manifest.files);
    if let Some(stated) = totals.content_digest.as_ref().filter(|stated| **stated != implied) {
        let detail = format!("totals.contentDigest: stated {stated}, that of the files is {implied}");
        report.add(MANIFEST_FILE, kind, detail);
    }
}

fn check_rows(manifest: &Manifest, report: &mut VerifyReport) {
    let kind = DifferenceKind::RowAccounting;
    let all = &manifest.row_accounting;
    let outcome =
        |kept, removed: &[RemovedRows], rejected| sum([kept, sum(removed.iter().map(|r| r.rows)), rejected]);
    equal(report, kind, "rowAccounting.read", all.read, outcome(all.kept, &all.removed, all.rejected));
    for source in &manifest.sources {
        let what = format!("read of dump {}", source.dump);
        equal(report, kind, &what, source.read, outcome(source.kept, &source.removed, source.rejected));
    }
    equal(
        report,
        kind,
        "rowAccounting.read over dumps",
        all.read,
        sum(manifest.sources.iter().map(|s| s.read)),
    );
    equal(
        report,
        kind,
        "rowAccounting.kept over dumps",
        all.kept,
        sum(manifest.sources.iter().map(|s| s.kept)),
    );
    equal(
        report,
        kind,
        "rowAccounting.rejected over dumps",
        all.rejected,
        sum(manifest.sources.iter().map(|s| s.rejected)),
    );
    let mut by_rule: BTreeMap<&str, u64> = BTreeMap::new();
    for removed in manifest.sources.iter().flat_map(|source| &source.removed) {
        add(by_rule.entry(&removed.rule).or_default(), removed.rows);
    }
    for removed in &all.removed {
        let implied = by_rule.remove(removed.rule.as_str()).unwrap_or(0);
        equal(report, kind, &format!("rows removed by {}", removed.rule), removed.rows, implied);
    }
    for (rule, rows) in by_rule {
        equal(report, kind, &format!("rows removed by {rule}"), 0, rows);
    }
}

/// The rows kept of a device's dumps are the rows of its files.
fn check_devices(manifest: &Manifest, report: &mut VerifyReport) {
    let mut rows: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for source in &manifest.sources {
        add(&mut rows.entry(&source.device).or_default().0, source.kept);
    }
    for file in &manifest.files {
        add(&mut rows.entry(&file.device_name).or_default().1, file.rows);
    }
    for (device, (kept, in_files)) in rows {
        equal(report, DifferenceKind::Totals, &format!("rows of device {device}"), kept, in_files);
    }
}

/// A sum that cannot overflow: the numbers may be anybody's.
fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}

fn add(sum: &mut u64, value: u64) {
    *sum = sum.saturating_add(value);
}
