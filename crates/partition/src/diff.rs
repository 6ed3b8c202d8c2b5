//! Compares two lakes by their manifests: what changed between them, and whether their rows did.
//!
//! A lake is built again with another recipe, another version or one more dump. Its holder wants to know what that did before
//! anybody trains on it. The manifests know: digests tell whether files hold the same rows without any of them being read.
//! [`diff`] is a pure function of two manifests, so it is cheap on lakes that are far away, and it says as much of lakes made
//! long ago.
//!
//! A difference is never lost: the verdict is [`Verdict::Same`] exactly when the manifests are equal. And it has no direction
//! but that of its names: the comparison of B with A is that of A with B with the sides exchanged. Every list is ordered by
//! what its entries are called, whatever their order in a manifest.

mod configuration;
mod counts;
mod files;
mod recipe;
mod release;
mod rows;
mod schema;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::configuration::{ConfigurationChange, ConfigurationDiff, ConfigurationSide, Hunk, HunkPart};
use self::counts::differing;
pub use self::counts::{CountChange, Counts};
pub use self::files::{FilePair, FilesDiff, RolledFiles};
pub use self::recipe::{NotEncodedChange, RecipeDiff, SelectionChange};
pub use self::release::{DocumentChange, ReleaseDiff, TreatmentChange};
pub use self::rows::{ContentDigestChange, PartitionChange, RowsDiff};
pub use self::schema::{ColumnChange, ColumnPlace, ColumnSide, DroppedChange, DroppedReason, SchemaDiff};
pub use self::sources::SourceChange;
use crate::manifest::{DataFile, Dataset, Manifest, RowAccounting, Tool};

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nothing differs.
    Same,
    /// The same rows of the same dumps, told in other bytes: another version encoded them otherwise, gave files other names,
    /// or counted other things of them; or other words in recipe and catalogue did the same; or they were released.
    SameRows,
    /// Something differs that matters.
    Different,
}

/// How two lakes, A and B, differ. Written as JSON by `flowlake diff --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// What it comes to.
    pub verdict: Verdict,
    /// Format version, tool and data set, each by its key in the manifest.
    pub origin: Vec<TextChange>,
    /// Version of the release, what was done to identifiers in it, and its documents.
    pub release: ReleaseDiff,
    /// Catalogue and recipe as they were written.
    pub configuration: ConfigurationDiff,
    /// What was done to the rows.
    pub recipe: RecipeDiff,
    /// Dumps that are not the same, or of which not the same became, by name.
    pub sources: Vec<SourceChange>,
    /// Columns and dropped columns.
    pub schema: SchemaDiff,
    /// How many rows there are.
    pub rows: RowsDiff,
    /// Data files.
    pub files: FilesDiff,
    /// `read`, `kept`, `removed` (by all rules together) and `rejected`.
    pub row_accounting: Vec<CountChange>,
    /// Warnings, by kind and subject.
    pub warnings: Vec<WarningChange>,
    /// Lists of the manifest with what both have in another order.
    pub order: Vec<&'static str>,
}

/// A text that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextChange {
    /// Its key in the manifest: `tool.version`.
    pub what: &'static str,
    /// What A says; absent when it says nothing about that.
    pub a: Option<String>,
    /// What B says; absent when it says nothing about that.
    pub b: Option<String>,
}

/// A warning that only one has, or that both put differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarningChange {
    /// Its kind.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// How A puts it; absent when it has no such warning.
    pub a: Option<String>,
    /// How B puts it; absent when it has no such warning.
    pub b: Option<String>,
}

/// Compares the lakes of two manifests.
#[must_use]
pub fn diff(a: &Manifest, b: &Manifest) -> Diff {
    let mut diff = Diff {
        verdict: Verdict::Same,
        origin: origin(a, b),
        release: release::changes(a, b),
        configuration: configuration::changes(a, b),
        recipe: recipe::changes(a, b),
        sources: sources::changes(a, b),
        schema: schema::changes(a, b),
        rows: rows::changes(a, b),
        files: files::changes(&a.files, &b.files),
        row_accounting: row_accounting(&a.row_accounting, &b.row_accounting),
        warnings: warnings(a, b),
        order: order(a, b),
    };
    diff.verdict = if diff.is_empty() {
        Verdict::Same
    } else if diff.has_the_same_rows() {
        Verdict::SameRows
    } else {
        Verdict::Different
    };
    diff
}

impl Diff {
    fn is_empty(&self) -> bool {
        let Self {
            verdict: _,
            origin,
            release,
            configuration,
            recipe,
            sources,
            schema,
            rows,
            files,
            row_accounting,
            warnings,
            order,
        } = self;
        origin.is_empty()
            && release.is_empty()
            && configuration.is_empty()
            && recipe.is_empty()
            && sources.is_empty()
            && schema.is_empty()
            && rows.is_empty()
            && files.is_empty()
            && row_accounting.is_empty()
            && warnings.is_empty()
            && order.is_empty()
    }

    /// Whether all that differs is how the same rows are told.
    fn has_the_same_rows(&self) -> bool {
        let Self {
            verdict: _,
            origin,
            release,
            // What was written is not what was done: the rows are the same where all that recipe and catalogue do is.
            configuration: _,
            recipe,
            sources,
            schema,
            rows,
            files,
            row_accounting,
            warnings,
            order,
        } = self;
        origin.iter().all(|change| !change.what.starts_with("dataset."))
            && release.is_immaterial()
            && recipe.is_immaterial()
            && sources.iter().all(SourceChange::is_immaterial)
            && schema.columns.is_empty()
            && schema.dropped_columns.is_empty()
            && rows.is_immaterial()
            && files.is_immaterial()
            && row_accounting.is_empty()
            // What a warning says names files; what it warns of is counted with the sources, and compared there.
            && warnings.iter().all(|change| change.a.is_some() && change.b.is_some())
            && order.is_empty()
    }
}

/// Those of some texts that differ.
fn texts<const N: usize>(texts: [(&'static str, &str, &str); N]) -> Vec<TextChange> {
    optional_texts(texts.into_iter().map(|(what, a, b)| (what, Some(a.to_owned()), Some(b.to_owned()))))
}

/// Those of some texts that differ, which a side may not have.
fn optional_texts(
    texts: impl Iterator<Item = (&'static str, Option<String>, Option<String>)>,
) -> Vec<TextChange> {
    texts.filter(|(_, a, b)| a != b).map(|(what, a, b)| TextChange { what, a, b }).collect()
}

fn origin(a: &Manifest, b: &Manifest) -> Vec<TextChange> {
    let versions = [a, b].map(|manifest| manifest.format_version.to_string());
    let Tool { name, version } = &a.tool;
    let Dataset { name: dataset, title, licence, citation, url } = &a.dataset;
    texts([
        ("formatVersion", &versions[0], &versions[1]),
        ("tool.name", name, &b.tool.name),
        ("tool.version", version, &b.tool.version),
        ("dataset.name", dataset, &b.dataset.name),
        ("dataset.title", title, &b.dataset.title),
        ("dataset.licence", licence, &b.dataset.licence),
        ("dataset.citation", citation, &b.dataset.citation),
        ("dataset.url", url, &b.dataset.url),
    ])
}

fn row_accounting(a: &RowAccounting, b: &RowAccounting) -> Vec<CountChange> {
    let RowAccounting { read, kept, removed: _, rejected } = a;
    let removed = |accounting: &RowAccounting| {
        accounting.removed.iter().fold(0, |sum: u64, rule| sum.saturating_add(rule.rows))
    };
    differing([
        ("read", *read, b.read),
        ("kept", *kept, b.kept),
        ("removed", removed(a), removed(b)),
        ("rejected", *rejected, b.rejected),
    ])
}

fn warnings(a: &Manifest, b: &Manifest) -> Vec<WarningChange> {
    let pairs = paired(&a.warnings, &b.warnings, |warning| (&warning.kind, &warning.subject));
    let changed = pairs.into_iter().filter(|(_, a, b)| a != b);
    let message = |warning: Option<&crate::manifest::Warning>| warning.map(|warning| warning.message.clone());
    let changes = changed.map(|((kind, subject), a, b)| WarningChange {
        kind: kind.clone(),
        subject: subject.clone(),
        a: message(a),
        b: message(b),
    });
    changes.collect()
}

/// Lists whose order a reader may rely on but that are compared entry by entry. Columns are not among them: one that moved is
/// told by name.
fn order(a: &Manifest, b: &Manifest) -> Vec<&'static str> {
    let [release_a, release_b] = [a, b].map(|manifest| manifest.release.as_ref());
    let [treated_a, treated_b] = [release_a, release_b].map(release::treated);
    let [documents_a, documents_b] = [release_a, release_b].map(release::documents);
    let lists = [
        ("release.privacy.columns", same_order(treated_a, treated_b, |column| &column.name)),
        ("release.documents", same_order(documents_a, documents_b, |document| &document.path)),
        ("droppedColumns", same_order(&a.dropped_columns, &b.dropped_columns, |column| &column.name)),
        (
            "rowAccounting.removed",
            same_order(&a.row_accounting.removed, &b.row_accounting.removed, |removed| &removed.rule),
        ),
        ("repairs", same_order(&a.repairs, &b.repairs, |repair| &repair.name)),
        ("notEncoded", same_order(&a.not_encoded, &b.not_encoded, |entry| (&entry.column, &entry.reason))),
        ("sources", same_order(&a.sources, &b.sources, |source| &source.dump)),
        ("files", same_order(&a.files, &b.files, |file| (&file.path, &file.sha256))),
        ("warnings", same_order(&a.warnings, &b.warnings, |warning| (&warning.kind, &warning.subject))),
    ];
    lists.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}

/// Month, class and device.
type PartitionOf<'a> = (&'a str, &'a str, &'a str);

fn partition_of(file: &DataFile) -> PartitionOf<'_> {
    (&file.month, &file.device_class, &file.device_name)
}

/// What has a key in a list, on each side.
type Paired<'a, K, T> = (K, Option<&'a T>, Option<&'a T>);

/// The entries of two lists by key, those of the same key together. A manifest may name something twice, although it should
/// not: the second one then has the second of the other side for its counterpart.
fn paired<'a, T, K: Ord + Copy>(a: &'a [T], b: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<Paired<'a, K, T>> {
    let mut pairs: BTreeMap<(K, usize), [Option<&'a T>; 2]> = BTreeMap::new();
    for (side, items) in [a, b].into_iter().enumerate() {
        for (key, item) in numbered(items, &key) {
            pairs.entry(key).or_default()[side] = Some(item);
        }
    }
    pairs.into_iter().map(|((key, _), [a, b])| (key, a, b)).collect()
}

/// Whether what both lists have is in the same order in them.
fn same_order<'a, T, K: Ord + Copy>(a: &'a [T], b: &'a [T], key: impl Fn(&'a T) -> K) -> bool {
    let [a, b] =
        [a, b].map(|items| numbered(items, &key).into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    let [in_a, in_b] = [&a, &b].map(|keys| keys.iter().copied().collect::<BTreeSet<_>>());
    let common_of_a = a.iter().filter(|key| in_b.contains(key));
    common_of_a.eq(b.iter().filter(|key| in_a.contains(key)))
}

/// Each entry with its key and how often that came before.
fn numbered<'a, T, K: Ord + Copy>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<((K, usize), &'a T)> {
    let mut seen: BTreeMap<K, usize> = BTreeMap::new();
    let number = |item| {
        let key = key(item);
        let count = seen.entry(key).or_default();
        *count += 1;
        ((key, *count - 1), item)
    };
    items.iter().map(number).collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
