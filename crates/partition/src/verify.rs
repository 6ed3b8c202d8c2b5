//! Checks a lake against its manifest: every file, every row, every sum, and that there is nothing else.
//!
//! A lake is copied, mirrored and handed on. This is how its holder finds out whether it is still what was built. The
//! manifest is not trusted either: paths in it are opened only if they are names this tool would have given, and its
//! numbers must agree with each other.

mod accounting;
mod data_file;
mod documents;
mod kept_digests;
mod profiles;
mod rejected;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flowlake_store::{Entry, EntryKind, LakeStore, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::layout::DATA_DIRECTORY;
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::profile::TableProfile;
use crate::publish::objects::TRANSIENT;
use crate::read::{ReadError, read_manifest_and_text};

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Only names, sizes and sums, and the digests that an object store keeps: no file is read.
    pub quick: bool,
    /// Files checked at the same time, at least 1.
    pub jobs: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { quick: false, jobs: thread::available_parallelism().map_or(1, NonZero::get) }
    }
}

/// Why a lake cannot be checked at all. What is wrong with its files is a [`Difference`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Its manifest cannot be read.
    #[error("cannot verify {place}")]
    Manifest {
        /// Path or URL of the lake.
        place: String,
        /// Why.
        source: ReadError,
    },
    /// What is there cannot be listed, or the store cannot be asked about it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a check found. Written as JSON by `flowlake verify --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Data files looked at, those that are missing included.
    pub files_checked: u64,
    /// Bytes read of data files; when quick, their sizes.
    pub bytes_checked: u64,
    /// Rows read back; when quick, 0.
    pub rows_checked: u64,
    /// When quick, files whose digest the store keeps and was compared.
    pub digests_compared: u64,
    /// Everything that is not as the manifest says, ordered by path, then kind.
    pub differences: Vec<Difference>,
}

impl VerifyReport {
    /// Whether the lake is what its manifest says.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    fn absorb(&mut self, other: Self) {
        self.files_checked += other.files_checked;
        self.bytes_checked += other.bytes_checked;
        self.rows_checked += other.rows_checked;
        self.digests_compared += other.digests_compared;
        self.differences.extend(other.differences);
    }

    fn add(&mut self, path: &str, kind: DifferenceKind, detail: impl Into<String>) {
        self.differences.push(Difference { path: path.to_owned(), kind, detail: detail.into() });
    }
}

/// One thing that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Path below the lake's root, with `/`; `manifest.json` when the manifest disagrees with itself.
    pub path: String,
    /// What kind of thing.
    pub kind: DifferenceKind,
    /// The values that differ, in words.
    pub detail: String,
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Listed, or implied by the manifest, but not there.
    Missing,
    /// There, but neither listed nor implied.
    Stray,
    /// Something else than a regular file where one is listed.
    NotAFile,
    /// Listed under a path that no such file can have, or not one with its SHA-256; not opened.
    BadPath,
    /// Listed twice: a path, a number of a device and month, or a dump.
    Duplicate,
    /// Its path says another partition or device than its entry.
    Partition,
    /// It cannot be read.
    Unreadable,
    /// Another size.
    Size,
    /// Other bytes. Its rows are not looked at then.
    Sha256,
    /// No valid Parquet file.
    Parquet,
    /// Another schema.
    Schema,
    /// Another number of rows, or of rejected lines.
    Rows,
    /// Another number of row groups.
    RowGroups,
    /// Other rows.
    ContentDigest,
    /// Another earliest or latest flow start, or one outside its month.
    FlowStart,
    /// Rows read are not rows kept, removed and rejected.
    RowAccounting,
    /// Sums in the manifest that do not agree.
    Totals,
    /// A profile that is not that of the rows. Looked at only when nothing else differs.
    Profile,
}

/// Checks the lake at `lake` against its manifest.
///
/// # Errors
/// When there is no readable manifest, or directories cannot be listed. Anything else is in the report.
pub fn verify(lake: &LakeStore, options: VerifyOptions) -> Result<VerifyReport, VerifyError> {
    let (manifest, text) = read_manifest_and_text(lake)
        .map_err(|source| VerifyError::Manifest { place: lake.name(""), source })?;
    let mut report = VerifyReport::default();
    accounting::check(&manifest, &mut report);
    let place = Place { lake, entries: check_strays(lake, &manifest, &mut report)?, quick: options.quick };
    for source in &manifest.sources {
        rejected::check(&place, &manifest, source, &mut report);
    }
    documents::check(&place, &manifest, &hex(&Sha256::digest(&text)), &mut report);
    if options.quick
        && let LakeStore::Objects(store) = lake
    {
        kept_digests::check(store, &manifest, &place.entries, &mut report)?;
    }

    let next = AtomicUsize::new(0);
    let work = || {
        let mut part = VerifyReport::default();
        let mut profile = profiles::to_count(&manifest);
        while let Some(file) = manifest.files.get(next.fetch_add(1, Ordering::Relaxed)) {
            data_file::check(&place, &manifest.schema.columns, file, &mut part, profile.as_mut());
        }
        (part, profile)
    };
    let jobs = options.jobs.clamp(1, manifest.files.len().max(1));
    let parts: Vec<(VerifyReport, Option<TableProfile>)> = thread::scope(|scope| {
        let others: Vec<_> = (1..jobs).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.chain([own]).collect()
    });
    let mut profile = profiles::to_count(&manifest);
    for (part, part_profile) in parts {
        report.absorb(part);
        if let (Some(sum), Some(part)) = (&mut profile, part_profile) {
            sum.merge(&part);
        }
    }
    if report.is_clean() {
        profiles::check_partitions(&manifest, &mut report);
        if let Some(profile) = profile.filter(|_| !options.quick) {
            profiles::check_columns(&manifest, &profile, &mut report);
        }
    }
    report.differences.sort();
    Ok(report)
}

/// A lake and what is there.
struct Place<'a> {
    lake: &'a LakeStore,
    entries: Found,
    quick: bool,
}

/// What is there, by path.
struct Found(Vec<Entry>);

impl Found {
    fn get(&self, path: &str) -> Option<&Entry> {
        self.0.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok().map(|found| &self.0[found])
    }
}

/// Looks for what is there and should not be; gives everything that is there. What should be and is not is found with each
/// file.
fn check_strays(
    lake: &LakeStore,
    manifest: &Manifest,
    report: &mut VerifyReport,
) -> Result<Found, VerifyError> {
    let files = manifest.listed();
    // A lake without rows may have an empty directory for them.
    let mut directories = BTreeSet::from([DATA_DIRECTORY]);
    for file in files.keys() {
        directories.extend(file.match_indices('/').map(|(end, _)| &file[..end]));
    }

    // One difference for each directory that should not be there is enough.
    let entries = lake.walk(&|directory| directories.contains(directory))?;
    for entry in &entries {
        let expected = match entry.kind {
            EntryKind::Directory => directories.contains(entry.path.as_str()),
            // A listed path that is no regular file is reported with the file.
            EntryKind::File | EntryKind::Other => files.contains_key(entry.path.as_str()),
            _ => false,
        };
        // What a build or release has in a store for a moment, and leaves there if it is killed, is no part of any lake.
        let of_the_moment = matches!(lake, LakeStore::Objects(_)) && entry.path.starts_with(TRANSIENT);
        if !expected && !of_the_moment {
            report.add(&entry.path, DifferenceKind::Stray, "the manifest does not list it");
        }
        if entry.path == MANIFEST_FILE && entry.kind != EntryKind::File {
            report.add(MANIFEST_FILE, DifferenceKind::NotAFile, "it should be the manifest itself");
        }
    }
    let found = Found(entries);
    for list in manifest.lists() {
        if found.get(&list.path).is_some_and(|entry| entry.kind != EntryKind::File) {
            report.add(&list.path, DifferenceKind::NotAFile, "it is no regular file");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
