//! How many rows there are, and where.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CountChange, Counts, PartitionOf, differing, partition_of};
use crate::manifest::{Manifest, Totals};

/// How many rows there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowsDiff {
    /// Where there are not as many, by month, class and device. The differences sum up to that of all rows.
    pub partitions: Vec<PartitionChange>,
    /// `dumps`, `inputBytes`, `files`, `rows` and `bytes` of the whole lake.
    pub totals: Vec<CountChange>,
    /// Digest of all rows; absent when it is the same.
    pub content_digest: Option<ContentDigestChange>,
}

/// Digests of all rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentDigestChange {
    /// In A; absent when its manifest has none.
    pub a: Option<String>,
    /// In B; absent when its manifest has none.
    pub b: Option<String>,
}

/// Rows of one device in one month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionChange {
    /// Month of the flow start, `YYYY-MM`, UTC.
    pub month: String,
    /// The device's class.
    pub device_class: String,
    /// The device.
    pub device_name: String,
    /// How many rows; absent on a side that has no file of them.
    #[serde(flatten)]
    pub counts: Counts,
}

impl RowsDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { partitions, totals, content_digest } = self;
        partitions.is_empty() && totals.is_empty() && content_digest.is_none()
    }

    /// Whether all that differs is how large the files are, and whether there is a digest.
    pub(super) fn is_immaterial(&self) -> bool {
        let Self { partitions, totals, content_digest } = self;
        partitions.is_empty()
            && totals.iter().all(|change| change.name == "bytes")
            && content_digest.as_ref().is_none_or(|digest| digest.a.is_none() || digest.b.is_none())
    }
}

/// Compares how many rows two lakes have, and where.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> RowsDiff {
    let mut partitions: BTreeMap<PartitionOf<'_>, [Option<u64>; 2]> = BTreeMap::new();
    for (side, manifest) in [a, b].into_iter().enumerate() {
        for file in &manifest.files {
            let rows = &mut partitions.entry(partition_of(file)).or_default()[side];
            *rows = Some(rows.unwrap_or(0).saturating_add(file.rows));
        }
    }
    let partitions = partitions.into_iter().filter_map(|((month, device_class, device_name), [a, b])| {
        Some(PartitionChange {
            month: month.to_owned(),
            device_class: device_class.to_owned(),
            device_name: device_name.to_owned(),
            counts: Counts::of(a, b)?,
        })
    });
    let Totals { dumps, input_bytes, files, rows, bytes, content_digest } = &a.totals;
    let totals = differing([
        ("dumps", *dumps, b.totals.dumps),
        ("inputBytes", *input_bytes, b.totals.input_bytes),
        ("files", *files, b.totals.files),
        ("rows", *rows, b.totals.rows),
        ("bytes", *bytes, b.totals.bytes),
    ]);
    let content_digest = (*content_digest != b.totals.content_digest)
        .then(|| ContentDigestChange { a: content_digest.clone(), b: b.totals.content_digest.clone() });
    RowsDiff { partitions: partitions.collect(), totals, content_digest }
}
