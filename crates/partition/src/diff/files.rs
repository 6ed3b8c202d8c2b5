//! Data files: which hold the same rows, whatever they are called and however they are encoded.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{PartitionOf, partition_of};
use crate::manifest::DataFile;

/// Data files that are not the same. Each file of A is in one of these once, and so is each of B.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesDiff {
    /// How many are the same.
    pub unchanged: u64,
    /// The same bytes under another path, or with another entry in the manifest.
    pub same_bytes: Vec<FilePair>,
    /// The same rows in other bytes.
    pub other_encoding: Vec<FilePair>,
    /// As many rows of the same device and month, but others.
    pub other_content: Vec<FilePair>,
    /// As many rows of the same device and month in files that end elsewhere: manifests cannot tell whether they are the same.
    pub rolled: Vec<RolledFiles>,
    /// Without a counterpart in B.
    pub only_in_a: Vec<DataFile>,
    /// Without a counterpart in A.
    pub only_in_b: Vec<DataFile>,
}

/// A file of each side.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePair {
    /// That of A.
    pub a: DataFile,
    /// That of B.
    pub b: DataFile,
}

/// Rows of one device and month that are in other files.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledFiles {
    /// Month of the flow start, `YYYY-MM`, UTC.
    pub month: String,
    /// The device's class.
    pub device_class: String,
    /// The device.
    pub device_name: String,
    /// How many rows these files of either side hold together.
    pub rows: u64,
    /// Those of A.
    pub a: Vec<DataFile>,
    /// Those of B.
    pub b: Vec<DataFile>,
}

impl FilesDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { unchanged: _, same_bytes, other_encoding, other_content, rolled, only_in_a, only_in_b } =
            self;
        same_bytes.is_empty()
            && other_encoding.is_empty()
            && other_content.is_empty()
            && rolled.is_empty()
            && only_in_a.is_empty()
            && only_in_b.is_empty()
    }

    /// Whether the files hold the same rows of the same devices and months all the same.
    pub(super) fn is_immaterial(&self) -> bool {
        let Self { unchanged: _, same_bytes, other_encoding, other_content, rolled, only_in_a, only_in_b } =
            self;
        same_bytes.iter().chain(other_encoding).all(FilePair::has_the_same_rows)
            && other_content.is_empty()
            && rolled.is_empty()
            && only_in_a.is_empty()
            && only_in_b.is_empty()
    }
}

impl FilePair {
    /// Whether nothing differs but name and encoding.
    fn has_the_same_rows(&self) -> bool {
        let told = |file: &DataFile| {
            let DataFile {
                path: _,
                month,
                device_class,
                device_name,
                rows,
                bytes: _,
                sha256: _,
                content_digest,
                min_flow_start,
                max_flow_start,
                row_groups: _,
            } = file.clone();
            (month, device_class, device_name, rows, content_digest, min_flow_start, max_flow_start)
        };
        told(&self.a) == told(&self.b)
    }
}

/// Files of both sides that have no counterpart yet, ordered by path.
#[derive(Default)]
struct Left<'a> {
    a: Vec<&'a DataFile>,
    b: Vec<&'a DataFile>,
}

impl<'a> Left<'a> {
    fn new(a: &'a [DataFile], b: &'a [DataFile]) -> Self {
        let mut left = Self { a: a.iter().collect(), b: b.iter().collect() };
        left.sort();
        left
    }

    fn sort(&mut self) {
        self.a.sort_by_key(|file| (&file.path, &file.sha256));
        self.b.sort_by_key(|file| (&file.path, &file.sha256));
    }

    /// Takes out what is left of each key.
    fn by<K: Ord>(&mut self, key: impl Fn(&'a DataFile) -> K) -> BTreeMap<K, Self> {
        let mut by_key: BTreeMap<K, Self> = BTreeMap::new();
        for file in self.a.drain(..) {
            by_key.entry(key(file)).or_default().a.push(file);
        }
        for file in self.b.drain(..) {
            by_key.entry(key(file)).or_default().b.push(file);
        }
        by_key
    }

    /// Takes out pairs with the same key: of several the first with the first, in the order of paths.
    fn pairs<K: Ord>(&mut self, key: impl Fn(&'a DataFile) -> K) -> Vec<(&'a DataFile, &'a DataFile)> {
        let mut pairs = Vec::new();
        for mut of_key in self.by(key).into_values() {
            let both = of_key.a.len().min(of_key.b.len());
            pairs.extend(of_key.a.drain(..both).zip(of_key.b.drain(..both)));
            self.a.append(&mut of_key.a);
            self.b.append(&mut of_key.b);
        }
        self.sort();
        pairs
    }

    /// Takes out devices and months of which both sides have as many rows.
    fn rolled(&mut self) -> Vec<RolledFiles> {
        let mut rolled = Vec::new();
        for ((month, device_class, device_name), mut of_partition) in self.by(partition_of) {
            let [rows, in_b] = [&of_partition.a, &of_partition.b]
                .map(|files| files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.rows)));
            if rows == in_b && !of_partition.a.is_empty() && !of_partition.b.is_empty() {
                rolled.push(RolledFiles {
                    month: month.to_owned(),
                    device_class: device_class.to_owned(),
                    device_name: device_name.to_owned(),
                    rows,
                    a: of_partition.a.into_iter().cloned().collect(),
                    b: of_partition.b.into_iter().cloned().collect(),
                });
            } else {
                self.a.append(&mut of_partition.a);
                self.b.append(&mut of_partition.b);
            }
        }
        self.sort();
        rolled
    }
}

/// Pairs the files of both sides, by what is surest first. A name says nothing of its own: lakes made before names had a
/// digest have other ones for the same bytes, and there a name can stand for other bytes.
pub(super) fn changes(a: &[DataFile], b: &[DataFile]) -> FilesDiff {
    let mut left = Left::new(a, b);
    let in_place = left.pairs(|file| (&file.path, &file.sha256));
    let (unchanged, mut same_bytes): (Vec<_>, Vec<_>) = in_place.into_iter().partition(|(a, b)| a == b);
    // Where several have the same bytes, those of the same device and month belong together.
    same_bytes.extend(left.pairs(|file| (partition_of(file), &file.sha256)));
    same_bytes.extend(left.pairs(|file| &file.sha256));
    let mut other_encoding = left.pairs(|file| (partition_of(file), &file.content_digest));
    other_encoding.extend(left.pairs(|file| &file.content_digest));
    let other_content = left.pairs(|file| -> (PartitionOf<'_>, u64) { (partition_of(file), file.rows) });
    let rolled = left.rolled();
    FilesDiff {
        unchanged: unchanged.len() as u64,
        same_bytes: ordered(same_bytes),
        other_encoding: ordered(other_encoding),
        other_content: ordered(other_content),
        rolled,
        only_in_a: left.a.into_iter().cloned().collect(),
        only_in_b: left.b.into_iter().cloned().collect(),
    }
}

/// Pairs in the order of their paths, whichever side these are on.
fn ordered(mut pairs: Vec<(&DataFile, &DataFile)>) -> Vec<FilePair> {
    pairs.sort_by_key(|(a, b)| (a.path.as_str().min(&b.path), a.path.as_str().max(&b.path)));
    pairs.into_iter().map(|(a, b)| FilePair { a: a.clone(), b: b.clone() }).collect()
}
