//! The manifest: what a lake holds, where every row came from and what became of it.
//!
//! These are the wire shapes of `manifest.json`, format versions 1 and 2. They are kept apart from the types the build
//! computes with, so that a change inside the build cannot change the file by accident. Field order here is key order
//! in the file. Counts are rows unless the name says otherwise; sizes are bytes; times are RFC 3339 in UTC with
//! milliseconds.

mod entries;
mod lists;
mod release;

use std::borrow::Cow;
use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::entries::{Entries, ListFile};
pub(crate) use self::lists::is_list;
pub use self::lists::{LISTS_DIRECTORY, ListError, Written};
pub use self::release::{
    Configuration, ConfigurationFile, Document, Privacy, PrivateColumn, RELEASE_DOCUMENTS, Release, Treatment,
};
use crate::digest::hex;
use crate::layout::RejectedPath;

/// The format version of data files, and of manifests that hold their entries themselves.
pub const FORMAT_VERSION: u32 = 1;

/// That of manifests whose entries are in lists beside them, because they are many. It is the newest that this tool reads.
pub const INDEX_FORMAT_VERSION: u32 = 2;

/// File name of the manifest at the root of a lake: the commit point.
pub const MANIFEST_FILE: &str = "manifest.json";

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Version of this format: [`FORMAT_VERSION`] or [`INDEX_FORMAT_VERSION`].
    pub format_version: u32,
    /// The program that built the lake.
    pub tool: Tool,
    /// What the release is that this lake is in; absent when it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The data set the dumps belong to.
    pub dataset: Dataset,
    /// The recipe that was applied.
    pub recipe: RecipeReference,
    /// What of the input was asked for; absent when all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// Columns of every data file, and the partition columns beside them.
    pub schema: Schema,
    /// Raw fields that are not in the lake, each with its reason and the evidence counted in this build.
    pub dropped_columns: Vec<DroppedColumn>,
    /// What became of every flow that was read.
    pub row_accounting: RowAccounting,
    /// What was repaired, counted over the rows kept.
    pub repairs: Vec<Repair>,
    /// Values that a column cannot hold, counted over the rows kept; absent when no column is of that kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_encoded: Vec<NotEncoded>,
    /// One entry a dump, ordered by dump name.
    pub sources: Entries<Source>,
    /// One entry a data file, ordered by path.
    pub files: Entries<DataFile>,
    /// Sums over `sources` and `files`.
    pub totals: Totals,
    /// What a reader should know before trusting the lake: trailers that do not match, counts that differ from the
    /// published ones, reasons contradicted by the evidence.
    pub warnings: Entries<Warning>,
    /// Catalogue and recipe, as they were; absent in manifests made before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
}

/// Name of the list of digests of a release.
pub const SUMS_FILE: &str = "SHA256SUMS";

/// Files of a lake by their paths below its root, with their sizes as far as they are known.
pub type Listing<'a> = BTreeMap<Cow<'a, str>, Option<u64>>;

impl Manifest {
    /// Every file of the lake by its path below the root, with its size where the manifest says it; in a release its
    /// documents too. The paths are as trustworthy as the manifest.
    #[must_use]
    pub fn listed(&self) -> Listing<'_> {
        self.listed_with(self.lists())
    }

    /// The same with other lists than it was read from, if it was: those that it is written with.
    pub(crate) fn listed_with<'a>(&'a self, lists: impl IntoIterator<Item = &'a ListFile>) -> Listing<'a> {
        let mut listed = BTreeMap::from([(MANIFEST_FILE.into(), None)]);
        listed.extend(lists.into_iter().map(|list| (list.path.as_str().into(), Some(list.bytes))));
        listed.extend(self.files.iter().map(|file| (file.path.as_str().into(), Some(file.bytes))));
        listed.extend(self.sources.iter().filter_map(|source| {
            let bytes = source.rejected_lines.as_ref().map(|lines| lines.bytes);
            Some((self.rejected_path(source)?, bytes))
        }));
        if let Some(release) = &self.release {
            let documents = release.documents.iter();
            listed.extend(documents.map(|document| (document.path.as_str().into(), Some(document.bytes))));
            listed.insert(SUMS_FILE.into(), None);
        }
        listed
    }

    /// Where the rejected lines of a dump are, as a path below the lake's root; `None` when there are none, or a release
    /// withholds them. Manifests made before that file was listed do not say, and it has its old name then.
    #[must_use]
    pub fn rejected_path<'a>(&self, source: &'a Source) -> Option<Cow<'a, str>> {
        match &source.rejected_lines {
            Some(lines) => Some(lines.path.as_str().into()),
            None if source.rejected == 0 || self.withholds_rejected_lines() => None,
            None => RejectedPath::new(&source.dump).ok().map(|path| path.to_string().into()),
        }
    }

    /// Whether this is a release that leaves out the lines that were rejected.
    #[must_use]
    pub fn withholds_rejected_lines(&self) -> bool {
        let privacy = self.release.as_ref().and_then(|release| release.privacy.as_ref());
        privacy.is_some_and(|privacy| privacy.rejected_lines_withheld)
    }
}

/// The program that built a lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Always `flowlake`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The data set the dumps belong to, as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Short name, a slug.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// Licence name or note.
    pub licence: String,
    /// How to cite it.
    pub citation: String,
    /// Where it is published.
    pub url: String,
}

/// Which recipe was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipeReference {
    /// The recipe's name.
    pub name: String,
    /// SHA-256 of the recipe file's bytes, hexadecimal.
    pub digest: String,
}

/// What of the input a build was asked for. Rows outside of the times are removed by rules, and counted there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Only these devices, as they were named; absent when all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Only devices of these classes; absent when all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Only flows that started at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only flows that started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Columns of the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Columns inside every data file, in file order.
    pub columns: Vec<Column>,
    /// Columns that are directory names instead: `month`, `deviceClass`.
    pub partition_by: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Column name.
    pub name: String,
    /// Logical type.
    #[serde(rename = "type")]
    pub data_type: ColumnType,
    /// Unit of the values, absent when they have none.
    pub unit: Option<String>,
    /// Whether nulls can occur.
    pub nullable: bool,
    /// What the column is for.
    pub role: Role,
    /// What it holds, for people.
    pub description: String,
    /// The raw fields it is made from.
    pub source: Vec<String>,
    /// How it is made from them.
    pub derivation: String,
    /// What its values are; absent in manifests made before there were profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// What the values of a column are, over all rows of the lake.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Rows without a value.
    pub nulls: u64,
    /// Smallest value, of text in the order of its bytes; absent without values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<ProfileValue>,
    /// Largest value; absent without values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<ProfileValue>,
    /// Mean of numbers; absent for other types and without values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Distinct values of text, nulls not counted; absent for other types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// Whether `distinct` is an estimate (standard error about 1.6 %); absent for other types than text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_is_estimate: Option<bool>,
    /// The most frequent values of text, at most five, the first first, and by value where rows are equal; absent for
    /// other types, and when `distinct` is an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_values: Option<Vec<MostFrequent>>,
}

/// A value in a profile: a number, or text, which dates and timestamps are too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProfileValue {
    /// Of a column of integers.
    Integer(i64),
    /// Of a column of floating point numbers.
    Float(f64),
    /// Text, a date (`YYYY-MM-DD`) or a time (RFC 3339, UTC, milliseconds).
    Text(String),
}

/// Logical types of columns: those that DuckDB, Spark and Polars read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit IEEE 754 floating point.
    Float64,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[serde(rename = "timestamp[ms, UTC]")]
    TimestampMillis,
}

/// What a column is for, so that labels and identifiers stay out of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// What a model predicts.
    Target,
    /// Identifies a device, a peer or a row.
    Identifier,
    /// An input of a model.
    Feature,
    /// Says when.
    Time,
}

/// A raw field that is not in the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedColumn {
    /// The raw field's name.
    pub name: String,
    /// Kind of reason: `constant`, `nearConstant`, `noise`, `notInProduct`.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// What this build counted.
    pub evidence: Evidence,
}

/// What a build counted of a dropped column, over the rows kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Rows looked at.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Distinct values, nulls not counted.
    pub distinct: u64,
    /// Whether `distinct` is an estimate (standard error about 1.6 %).
    pub distinct_is_estimate: bool,
    /// The most frequent value; absent when there is none.
    pub most_frequent: Option<MostFrequent>,
    /// Whether the evidence contradicts the stated reason.
    pub contradicted: bool,
}

/// The most frequent value of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MostFrequent {
    /// The value as text.
    pub value: String,
    /// Rows that hold it; a lower bound when `distinctIsEstimate`.
    pub rows: u64,
    /// Their share of all rows, 0 to 1, rounded to 6 decimals.
    pub share: f64,
}

/// What became of every flow: `read = kept + Σ removed + rejected`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowAccounting {
    /// Flows read, with the lines that were rejected.
    pub read: u64,
    /// Rows in the lake.
    pub kept: u64,
    /// Rows a rule of the recipe removed, in the recipe's order.
    pub removed: Vec<RemovedRows>,
    /// Lines that could not be used; they are kept in `rejected/`.
    pub rejected: u64,
}

impl RowAccounting {
    /// Whether the numbers add up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let removed: u64 = self.removed.iter().map(|r| r.rows).sum();
        self.read == self.kept + removed + self.rejected
    }
}

/// Rows one rule removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedRows {
    /// The rule's name.
    pub rule: String,
    /// Rows it removed.
    pub rows: u64,
}

/// Values one repair touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    /// The repair's name.
    pub name: String,
    /// Values it changed.
    pub values: u64,
}

/// Values of one kind that a column cannot hold: it is null there, or what the recipe fills it with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotEncoded {
    /// The column.
    pub column: String,
    /// Kind of the values: `ipv6`.
    pub reason: String,
    /// How many.
    pub values: u64,
}

/// One dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The dump's name: its archive stem.
    pub dump: String,
    /// The device it belongs to.
    pub device: String,
    /// That device's class.
    pub device_class: String,
    /// Its files, in the order they were joined.
    pub parts: Vec<Part>,
    /// Lines by record kind.
    pub records: Records,
    /// Control totals from the dump's own trailer; absent when the dump has none.
    pub trailer: Option<Trailer>,
    /// Record count its publisher states; absent when the catalogue has none.
    pub published_records: Option<u64>,
    /// Flows read, with the lines that were rejected.
    pub read: u64,
    /// Rows of it in the lake.
    pub kept: u64,
    /// Rows removed, by rule.
    pub removed: Vec<RemovedRows>,
    /// Lines that could not be used.
    pub rejected: u64,
    /// The file that holds them; absent when there are none, and in manifests made before it was listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_lines: Option<RejectedLines>,
    /// Valid flows by who started them.
    pub directions: Directions,
    /// Keys inside flows that are no known field, with the number of flows that hold them, ordered by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_fields: Vec<UnknownField>,
    /// Earliest flow start among the rows kept.
    pub first_flow_start: Option<String>,
    /// Latest flow start among the rows kept.
    pub last_flow_start: Option<String>,
}

/// The file of a dump's rejected lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedLines {
    /// Path below the lake's root, with `/`.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// One file of a dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// File name, without directories.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Lines of a dump by record kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// `flows` lines, valid or rejected.
    pub flows: u64,
    /// `stats` lines.
    pub stats: u64,
    /// `tombstone` lines.
    pub tombstone: u64,
    /// Lines of any other kind.
    pub other: u64,
}

/// Control totals of a dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trailer {
    /// Flows the exporter says it wrote.
    pub flows: u64,
    /// Packets the exporter says they held.
    pub packets: u64,
    /// Whether both equal what was read.
    pub matches: bool,
}

/// Valid flows by who started them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directions {
    /// The source is the device.
    pub from_device: u64,
    /// The destination is the device.
    pub to_device: u64,
    /// Both ends carry the device's MAC address.
    pub both: u64,
    /// Neither does.
    pub neither: u64,
}

/// A key inside flows that is no known field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownField {
    /// The key.
    pub name: String,
    /// Flows that hold it.
    pub rows: u64,
}

/// One data file. A lake may have a million: short texts are inside of it, and not each in an allocation of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    /// Path below the lake's root, with `/`.
    pub path: String,
    /// Partition: month of the flow start, `YYYY-MM`, UTC.
    pub month: CompactString,
    /// Partition: the device's class.
    pub device_class: CompactString,
    /// The device.
    pub device_name: CompactString,
    /// Rows in it.
    pub rows: u64,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Digest of the rows, independent of the Parquet encoding (docs/FORMAT.md), hexadecimal.
    pub content_digest: String,
    /// Earliest flow start in it.
    pub min_flow_start: CompactString,
    /// Latest flow start in it.
    pub max_flow_start: CompactString,
    /// Number of row groups.
    pub row_groups: u64,
}

/// Sums over a lake.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Dumps read.
    pub dumps: u64,
    /// Bytes of their parts.
    pub input_bytes: u64,
    /// Data files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Digest of all rows, independent of the Parquet encoding (docs/FORMAT.md), hexadecimal; absent in manifests made before
    /// there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,
}

impl Totals {
    /// The digest of all rows of these files, which are in the order of their paths.
    #[must_use]
    pub fn content_digest_of(files: &[DataFile]) -> String {
        let mut hasher = Sha256::new();
        for DataFile { month, device_class, device_name, content_digest, .. } in files {
            hasher.update(format!("{content_digest} {month} {device_class} {device_name}\n"));
        }
        hex(&hasher.finalize())
    }
}

/// Something a reader should know before trusting the lake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// Kind: `trailerMissing`, `trailerMismatch`, `publishedCountDiffers`, `linesRejected`, `unknownFields`,
    /// `reasonContradicted`, `deviceWithoutDump`, `dumpWithoutDevice`, `fileNotUsed`.
    pub kind: String,
    /// What it is about: a dump, a device or a column.
    pub subject: String,
    /// The sentence shown on the screen.
    pub message: String,
}
