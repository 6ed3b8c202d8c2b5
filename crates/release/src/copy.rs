//! Copies the files of a lake, each proved on the way.
//!
//! A release is what others will rely on for years, so a lake that is not what its manifest says must not become one. Sizes and
//! names are looked at before; here every byte passes a digest, without being read twice.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flowlake_partition::manifest::Manifest;
use flowlake_partition::publish::{Outlet, Publication, PublishError};
use flowlake_store::{LakeStore, StoreError};
use fs_err as fs;
use sha2::{Digest, Sha256};

/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Why a lake cannot be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A file that the manifest lists is not there.
    #[error("{name} is not there, but the manifest lists it")]
    Missing {
        /// Path or URL.
        name: String,
    },
    /// It has other bytes than the manifest says.
    #[error("{name} is not the file that the manifest lists: its SHA-256 is {found}, not {expected}")]
    Changed {
        /// Path or URL.
        name: String,
        /// What the manifest says.
        expected: String,
        /// What it has.
        found: String,
    },
    /// It cannot be asked for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// Path or URL.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The copy cannot be brought to its place.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Somebody wanted it to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A file to copy.
struct Task<'a> {
    path: &'a str,
    bytes: u64,
    sha256: &'a str,
}

/// Copies data files and rejected lines into a publication, `jobs` at a time. `interrupted` is looked at after every piece.
///
/// # Errors
/// [`CopyError`], the first one in the order of the manifest.
pub fn copy(
    lake: &LakeStore,
    manifest: &Manifest,
    publication: &Publication,
    jobs: usize,
    interrupted: &AtomicBool,
) -> Result<(), CopyError> {
    let data =
        manifest.files.iter().map(|file| Task { path: &file.path, bytes: file.bytes, sha256: &file.sha256 });
    let rejected = manifest.sources.iter().filter_map(|source| source.rejected_lines.as_ref());
    let rejected =
        rejected.map(|lines| Task { path: &lines.path, bytes: lines.bytes, sha256: &lines.sha256 });
    let tasks: Vec<Task<'_>> = data.chain(rejected).collect();

    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let failures: Mutex<Vec<(usize, CopyError)>> = Mutex::default();
    let stop = || failed.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
    let work = || {
        while !stop() {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(place) else { return };
            if let Err(error) = copy_file(lake, task, publication, &stop) {
                failed.store(true, Ordering::Relaxed);
                failures.lock().unwrap_or_else(PoisonError::into_inner).push((place, error));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Whoever stopped because another one failed has nothing to say about why.
    failures.sort_by_key(|(place, error)| (matches!(error, CopyError::Interrupted), *place));
    match failures.into_iter().next() {
        Some((_, error)) => Err(error),
        None if interrupted.load(Ordering::Relaxed) => Err(CopyError::Interrupted),
        None => Ok(()),
    }
}

fn copy_file(
    lake: &LakeStore,
    task: &Task<'_>,
    publication: &Publication,
    stop: &dyn Fn() -> bool,
) -> Result<(), CopyError> {
    let name = lake.name(task.path);
    let target = publication.root().join(task.path);
    let unwritable = |source| CopyError::Write { path: target.clone(), source };
    let entry = lake.entry(task.path)?.ok_or_else(|| CopyError::Missing { name: name.clone() })?;
    let mut reader = lake.reader(&entry)?;
    fs::create_dir_all(target.parent().unwrap_or(publication.root())).map_err(unwritable)?;
    let mut copy = fs::File::create_new(&target).map_err(unwritable)?;
    let mut sha256 = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        if stop() {
            return Err(CopyError::Interrupted);
        }
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(CopyError::Read { name, source }),
        };
        sha256.update(&piece[..read]);
        copy.write_all(&piece[..read]).map_err(unwritable)?;
    }
    drop(copy);
    let found: String = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != task.sha256 {
        return Err(CopyError::Changed { name, expected: task.sha256.to_owned(), found });
    }
    publication.add(task.path, task.bytes, task.sha256)?;
    Ok(())
}
