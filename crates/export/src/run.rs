//! Writes the files, several at a time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flowlake_partition::manifest::Manifest;
use flowlake_partition::scan::{DataFileRows, ScanError, batch_schema};
use flowlake_store::LakeStore;
use fs_err as fs;

use crate::error::ExportError;
use crate::format::{Encoding, FileWriter, Partition};
use crate::select::OutputFile;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions {
    /// The form of the files.
    pub encoding: Encoding,
    /// Files written at the same time, at least 1; changes no byte.
    pub jobs: usize,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Rows in it: as many as the manifest says.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Writes the files of a selection of the lake at `lake` into `directory`, which exists and has no files of these names.
/// What was written is in the order of `files`.
///
/// Rows are read in blocks of 65,536, and each job has one of them in memory. `interrupted` is looked at before each block.
///
/// # Errors
/// [`ExportError`], the first one in the order of `files`; what is in `directory` then is unfinished and the caller's to
/// remove.
pub fn export(
    lake: &LakeStore,
    manifest: &Manifest,
    files: &[OutputFile<'_>],
    options: ExportOptions,
    directory: &Path,
    interrupted: &AtomicBool,
) -> Result<Vec<Written>, ExportError> {
    // The largest first, so that none is left over at the end.
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(files[*place].rows()));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let stop = || failed.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
    let results = Mutex::new(Vec::with_capacity(files.len()));
    let work = || {
        while !stop()
            && let Some(place) = order.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = write(lake, manifest, &files[*place], options.encoding, directory, &stop);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((*place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..options.jobs.clamp(1, files.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let begun = results.len();
    // Whoever stopped because another one failed has nothing to say about why.
    results.sort_by_key(|(place, result)| (matches!(result, Err(ExportError::Interrupted)), *place));
    let written: Vec<Written> = results.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
    // Files may have been left out without any of the others having been stopped.
    if begun < files.len() { Err(ExportError::Interrupted) } else { Ok(written) }
}

/// Writes one file; gives up as soon as `stop` says so.
fn write(
    lake: &LakeStore,
    manifest: &Manifest,
    output: &OutputFile<'_>,
    encoding: Encoding,
    directory: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Written, ExportError> {
    let name = output.name(encoding);
    let path = directory.join(&name);
    let unreadable = |source: ScanError| ExportError::Read {
        device: output.device.to_owned(),
        month: output.month.to_owned(),
        source: Box::new(source),
    };
    let unwritable = |source| ExportError::Write { path: path.clone(), source };

    let file = fs::File::create_new(&path).map_err(unwritable)?;
    let schema = batch_schema(&manifest.schema.columns);
    let mut writer = FileWriter::new(file, encoding, &schema, manifest).map_err(unwritable)?;
    let mut rows = 0;
    for data_file in &output.data_files {
        let partition = Partition { month: &data_file.month, device_class: &data_file.device_class };
        let mut batches =
            DataFileRows::open(lake, &manifest.schema.columns, data_file).map_err(unreadable)?;
        while !stop()
            && let Some(batch) = batches.next()
        {
            let batch = batch.map_err(unreadable)?;
            writer.write(&batch, partition).map_err(unwritable)?;
            rows += batch.num_rows() as u64;
        }
    }
    if stop() {
        return Err(ExportError::Interrupted);
    }
    let bytes = writer.finish().map_err(unwritable)?;
    Ok(Written { name, rows, bytes })
}
