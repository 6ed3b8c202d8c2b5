//! Whether the profiles in a manifest are those of the rows.

use serde::Serialize;

use super::{DifferenceKind, VerifyReport};
use crate::manifest::{Column, MANIFEST_FILE, Manifest, Profile};
use crate::profile::{TableProfile, partition_profiles};

/// Share by which means may differ: another version may round otherwise.
const MEAN_TOLERANCE: f64 = 1e-9;

/// A profile to count the rows of the lake with; none when the manifest states none.
pub(super) fn to_count(manifest: &Manifest) -> Option<TableProfile> {
    let columns = &manifest.schema.columns;
    let stated = columns.iter().any(|column| column.profile.is_some());
    stated.then(|| TableProfile::new(columns.iter().map(|column| column.data_type)))
}

/// Compares the profiles of the columns in the files with what was counted of all rows.
pub(super) fn check_columns(manifest: &Manifest, found: &TableProfile, report: &mut VerifyReport) {
    for (column, found) in manifest.schema.columns.iter().zip(found.summaries()) {
        check(column, &found, report);
    }
}

/// Compares the profiles of the partition columns with the list of files.
pub(super) fn check_partitions(manifest: &Manifest, report: &mut VerifyReport) {
    let [month, device_class] = partition_profiles(&manifest.files);
    for column in &manifest.schema.partition_by {
        match column.name.as_str() {
            "month" => check(column, &month, report),
            "deviceClass" => check(column, &device_class, report),
            _ => {}
        }
    }
}

fn check(column: &Column, found: &Profile, report: &mut VerifyReport) {
    let Some(stated) = &column.profile else { return };
    let mut differs = |what: &str, stated: String, found: String| {
        let detail = format!("profile of column {}: {what}: expected {stated}, found {found}", column.name);
        report.add(MANIFEST_FILE, DifferenceKind::Profile, detail);
    };
    let mut compare = |what, stated: String, found: String| {
        if stated != found {
            differs(what, stated, found);
        }
    };
    compare("nulls", json(&stated.nulls), json(&found.nulls));
    compare("min", json(&stated.min), json(&found.min));
    compare("max", json(&stated.max), json(&found.max));
    // How values are estimated, and from how many on, is a version's own affair.
    if stated.distinct_is_estimate == Some(false) && found.distinct_is_estimate == Some(false) {
        compare("distinct", json(&stated.distinct), json(&found.distinct));
        compare("topValues", json(&stated.top_values), json(&found.top_values));
    }
    let same_mean = match (stated.mean, found.mean) {
        (Some(stated), Some(found)) => (stated - found).abs() <= MEAN_TOLERANCE * found.abs(),
        (stated, found) => stated == found,
    };
    if !same_mean {
        differs("mean", json(&stated.mean), json(&found.mean));
    }
}

/// A value as the manifest has it.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
