//! Writes the files of a lake again, several at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use flowlake_partition::manifest::{Column, DataFile, Manifest, Privacy};
use flowlake_partition::profile::TableProfile;
use flowlake_partition::publish::{Outlet, Publication, PublishError};
use flowlake_partition::rewrite::{FileRewriter, RewriteError};
use flowlake_partition::scan::{DataFileRows, ScanError, batch_schema};
use flowlake_store::LakeStore;

use super::plan::{ColumnPlan, PrivacyPlan};
use super::values::Pseudonyms;
use super::withhold::manifest_of;

/// Why a lake cannot be pseudonymised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// A data file cannot be read, or is not the one the manifest lists.
    #[error("cannot read the lake")]
    Read(#[from] ScanError),
    /// A column of addresses holds something else. What it is, is not said: messages end up in logs.
    #[error("{path}: row {row} of column {column} is no IP address")]
    NotAnAddress {
        /// Path below the lake's root.
        path: String,
        /// The column.
        column: String,
        /// From 1, in the file.
        row: u64,
    },
    /// Rows of the release cannot be put together.
    #[error("cannot put together rows of {path}")]
    Rows {
        /// Path below the lake's root.
        path: String,
        /// Why.
        source: ArrowError,
    },
    /// A file of the release cannot be written.
    #[error(transparent)]
    Write(#[from] RewriteError),
    /// A file of the release cannot be brought to its place.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// It was to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A lake that was pseudonymised.
#[derive(Debug, Clone, PartialEq)]
pub struct Pseudonymised {
    /// Its manifest, with `release` as the lake had it.
    pub manifest: Manifest,
    /// What belongs into `release.privacy` of that.
    pub privacy: Privacy,
}

/// Writes every data file of the lake at `lake` again as the plan says, as files of `publication`; `manifest` is the one the
/// plan was made for. Nothing is published.
///
/// Files are written by `jobs` threads; each has one block of 65,536 rows in memory. How many there are changes no byte.
/// `interrupted` is looked at before each block.
///
/// # Errors
/// [`PrivacyError`], the first one in the order of the files. What was written then is unfinished, and the publication to be
/// abandoned.
pub fn pseudonymise(
    lake: &LakeStore,
    manifest: &Manifest,
    plan: &PrivacyPlan,
    publication: &Publication,
    jobs: usize,
    interrupted: &AtomicBool,
) -> Result<Pseudonymised, PrivacyError> {
    let files = &manifest.files;
    // The largest first, so that none is left over at the end.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(files[*place].rows));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let stop = || failed.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
    let results = Mutex::new(Vec::with_capacity(files.len()));
    let columns = plan.released_columns();
    let profile = Mutex::new(TableProfile::new(columns.iter().map(|column| column.data_type)));
    let work = || {
        let mut job = Job {
            lake,
            plan,
            publication,
            schema: batch_schema(&columns),
            columns: &columns,
            pseudonyms: Pseudonyms::of(plan),
        };
        while !stop()
            && let Some(place) = order.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = job.rewrite(manifest, &files[*place], &stop).map(|(file, part)| {
                profile.lock().unwrap_or_else(PoisonError::into_inner).merge(&part);
                file
            });
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((*place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.clamp(1, files.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let begun = results.len();
    // Whoever stopped because another one failed has nothing to say about why.
    results.sort_by_key(|(place, result)| (matches!(result, Err(PrivacyError::Interrupted)), *place));
    let written: Vec<DataFile> = results.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
    if begun < files.len() || interrupted.load(Ordering::Relaxed) {
        return Err(PrivacyError::Interrupted);
    }
    let profile = profile.into_inner().unwrap_or_else(PoisonError::into_inner);
    let manifest = manifest_of(manifest, plan, written, &profile);
    Ok(Pseudonymised { manifest, privacy: plan.privacy() })
}

/// What one thread works with.
struct Job<'a> {
    lake: &'a LakeStore,
    plan: &'a PrivacyPlan,
    publication: &'a Publication,
    /// Columns that are released.
    columns: &'a [Column],
    schema: SchemaRef,
    /// Theirs.
    pseudonyms: Vec<Option<Pseudonyms>>,
}

impl Job<'_> {
    fn rewrite(
        &mut self,
        manifest: &Manifest,
        entry: &DataFile,
        stop: &dyn Fn() -> bool,
    ) -> Result<(DataFile, TableProfile), PrivacyError> {
        let mut rows = DataFileRows::open(self.lake, &manifest.schema.columns, entry)?;
        let mut writer = FileRewriter::create(self.publication.root(), entry, self.columns, rows.layout())?;
        let mut done = 0;
        while !stop()
            && let Some(batch) = rows.next()
        {
            let batch = batch?;
            writer.write(&self.treat(&batch, entry, done)?)?;
            done += batch.num_rows() as u64;
        }
        if stop() {
            return Err(PrivacyError::Interrupted);
        }
        let (file, profile) = writer.finish()?;
        self.publication.add(&file.path, file.bytes, &file.sha256)?;
        Ok((file, profile))
    }

    /// The released columns of a batch, which `before` rows of its file come before.
    fn treat(
        &mut self,
        batch: &RecordBatch,
        entry: &DataFile,
        before: u64,
    ) -> Result<RecordBatch, PrivacyError> {
        let lake = self.plan.columns.iter().zip(batch.columns());
        let released = lake.filter(|((_, how), _)| *how != ColumnPlan::Drop);
        let columns = released.zip(&mut self.pseudonyms).map(|(((column, _), values), pseudonyms)| {
            let Some(pseudonyms) = pseudonyms else { return Ok(values.clone()) };
            pseudonyms.apply(values).map_err(|found| PrivacyError::NotAnAddress {
                path: entry.path.clone(),
                column: column.name.clone(),
                row: before + found.row as u64 + 1,
            })
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, PrivacyError>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|source| PrivacyError::Rows { path: entry.path.clone(), source })
    }
}
