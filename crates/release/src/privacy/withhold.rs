//! What the manifest of a pseudonymised lake says, and what it must not say any more.

use std::collections::BTreeSet;

use flowlake_partition::manifest::{DataFile, Manifest, Totals};
use flowlake_partition::profile::{TableProfile, partition_profiles};

use super::addresses::Kind;
use super::plan::{ColumnPlan, PrivacyPlan};

/// The manifest of the lake with the columns of the plan, these files, and this profile of their rows.
pub(super) fn manifest_of(
    lake: &Manifest,
    plan: &PrivacyPlan,
    mut files: Vec<DataFile>,
    profile: &TableProfile,
) -> Manifest {
    // Names depend on bytes, so that the order may be another.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut manifest = lake.clone();
    manifest.schema.columns = plan.released_columns();
    for (column, profile) in manifest.schema.columns.iter_mut().zip(profile.summaries()) {
        column.profile = Some(profile);
    }
    let partitions = partition_profiles(&files);
    for (column, profile) in manifest.schema.partition_by.iter_mut().zip(partitions) {
        column.profile = Some(profile);
    }
    manifest.totals = Totals {
        files: files.len() as u64,
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        content_digest: Some(Totals::content_digest_of(&files)),
        ..manifest.totals
    };
    manifest.files = files.into();
    withhold(&mut manifest, plan);
    manifest
}

/// Takes away what tells of addresses beside the columns.
fn withhold(manifest: &mut Manifest, plan: &PrivacyPlan) {
    let dropped: BTreeSet<&str> = plan
        .columns
        .iter()
        .filter(|(_, how)| *how == ColumnPlan::Drop)
        .map(|(column, _)| column.name.as_str())
        .collect();
    manifest.not_encoded.retain(|entry| !dropped.contains(entry.column.as_str()));
    // Rejected lines are flows as they were read, or what is left of them.
    for source in &mut manifest.sources {
        source.rejected_lines = None;
    }
    for warning in &mut manifest.warnings {
        if warning.kind == "linesRejected"
            && let Some((found, _)) = warning.message.split_once(", kept in ")
        {
            warning.message = format!("{found}, withheld from this release");
        }
    }
    // The most frequent value of a field of addresses is an address.
    for field in &mut manifest.dropped_columns {
        if Kind::of_field(&field.name).is_some_and(|kind| plan.hidden.contains(kind)) {
            field.evidence.most_frequent = None;
        }
    }
    if let Some(configuration) = &mut manifest.configuration {
        // Its digest would tell whether a guess of an address is right, and of a MAC address half is known from its maker.
        if plan.catalogue_names_hidden {
            configuration.catalogue.text = None;
            configuration.catalogue.sha256 = None;
        }
        // The digest of the recipe is in every data file.
        if plan.recipe_names_hidden {
            configuration.recipe.text = None;
        }
    }
}
