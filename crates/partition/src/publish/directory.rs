//! Publishes a lake in a directory of this machine.
//!
//! A build writes into a staging directory beside its target. When everything is there and durable, the staging
//! directory takes the target's name in one step of the file system. So a reader finds the old lake or the new one and
//! never a part of either, and a build that fails or is killed changes nothing.
//!
//! A staging directory is locked (`flock`) as long as its process lives. The lock, not the process id in its name,
//! tells the leavings of a dead process from the work of a live one: ids are used again, and those of a container mean
//! nothing outside it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flowlake_store::{LakeStore, Location};
use fs_err as fs;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::target_lock::TargetLock;
use super::{PublishError, PublishMode, Target, check_mode, io_error, write_manifest};
use crate::layout::{DATA_DIRECTORY, REJECTED_DIRECTORY};
use crate::manifest::{Listing, MANIFEST_FILE, Manifest, Written};
use crate::read::read_manifest;

/// A lake in the making, beside its target. Dropped without [`Staging::publish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Staging {
    target: PathBuf,
    mode: PublishMode,
    /// The staging directory.
    root: PathBuf,
    /// Its open handle, which holds the lock that says that it is in use.
    _lock: fs::File,
    /// Keeps others from making something for the same target.
    target_lock: Option<TargetLock>,
    /// Directories above it that did not exist, outermost first.
    created_parents: Vec<PathBuf>,
    published: bool,
    /// Whether others made it, and may go on with it if it is not published.
    is_adopted: bool,
}

/// What is to be done about files that others left and no manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tidy {
    /// There are none.
    Not,
    /// They are looked for and removed.
    Unlisted,
}

impl Staging {
    /// Makes an empty staging directory beside `target`, and missing parents of both. Removes what dead processes left
    /// there for the same target.
    ///
    /// # Errors
    /// [`PublishError::Busy`] when something else is being made for the target; when `mode` does not allow what is there,
    /// or the place cannot be written to.
    pub fn create(target: &Path, mode: PublishMode) -> Result<Self, PublishError> {
        let target = resolve(target)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(PublishError::NoName { path: target });
        };
        // Before anything is made, for the better error; the answer may be another one as soon as the lock is held.
        check_target(&target, mode).inspect_err(|_| remove_leavings(&target, parent, name))?;
        let mut parents = CreatedParents::create(parent)?;
        let target_lock = TargetLock::take(&target)?;
        restore_previous(&target)?;
        check_target(&target, mode)?;
        remove_stale(parent, name, target_lock.is_some())?;
        let (root, lock) = make_staging(parent, name)?;
        let created_parents = std::mem::take(&mut parents.0);
        Ok(Self {
            target,
            mode,
            root,
            _lock: lock,
            target_lock,
            created_parents,
            published: false,
            is_adopted: false,
        })
    }

    /// Takes over what others have made in `root`, a directory beside the target that is this lake and nothing else once it is
    /// tidied. Whatever goes wrong before the last step, what was made stays there. The lock of the target is the caller's.
    ///
    /// # Errors
    /// As for [`Staging::create`].
    pub(super) fn adopt(
        target: &Path,
        mode: PublishMode,
        root: &Path,
        tidy: Tidy,
        manifest: &Manifest,
    ) -> Result<Self, PublishError> {
        let target = resolve(target)?;
        restore_previous(&target)?;
        check_target(&target, mode)?;
        let lock = lock(root).map_err(io_error("lock", root))?;
        let Some(lock) = lock else {
            return Err(PublishError::Busy { target: Location::Directory(target), holder: None });
        };
        if tidy == Tidy::Unlisted {
            remove_unlisted(root, "", &manifest.listed_with([]))?;
        }
        Ok(Self {
            target,
            mode,
            root: root.to_owned(),
            _lock: lock,
            target_lock: None,
            created_parents: Vec::new(),
            published: false,
            is_adopted: true,
        })
    }

    /// The root of the lake while it is built.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file below the root.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_document(&self, path: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.root.join(path);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            fs::write(&path, bytes)
        };
        write().map_err(io_error("write", &path))
    }

    /// Writes the manifest, makes everything durable, and puts the lake in its place in one step. What could not be tidied
    /// up afterwards is in the answer.
    ///
    /// # Errors
    /// [`PublishError::CommitConflict`] when something else is at the target by now. Then, and after any other error
    /// before the last step, the target is what it was and the staging directory is gone. Only the word of the file
    /// system that the new name itself is durable can be missing with the new lake in place.
    pub fn publish(self, manifest: &Manifest) -> Result<Vec<PublishError>, PublishError> {
        self.write(manifest)?;
        self.publish_files()
    }

    /// Writes the manifest alone.
    pub(super) fn write(&self, manifest: &Manifest) -> Result<Written, PublishError> {
        let written = write_manifest(manifest, &self.root)?;
        let path = self.root.join(MANIFEST_FILE);
        fs::write(&path, &written.text).map_err(io_error("write", &path))?;
        Ok(written)
    }

    /// Makes everything durable and puts it in its place in one step, as it is: for files that are no lake, such as an
    /// export.
    ///
    /// # Errors
    /// As for [`Staging::publish`].
    pub fn publish_files(mut self) -> Result<Vec<PublishError>, PublishError> {
        // What others made is durable already, file by file: a file is closed, made durable and only then renamed.
        sync_tree(&self.root, self.is_adopted)?;

        let replaced = self.swap_in()?;
        self.published = true;

        let parent = self.target.parent().unwrap_or(&self.target);
        let parents = self.created_parents.iter().map(|created| created.parent().unwrap_or(created));
        let durable = parents.chain([parent]).try_for_each(sync);
        // The new lake is in place already, durable or not, so failing to remove the old one is no failure of the build; the
        // next build tries again.
        let left = replaced.and_then(|path| {
            let source = fs::remove_dir_all(&path).err()?;
            Some(PublishError::Io { action: "remove the replaced lake, which is now", path, source })
        });
        durable.map(|()| left.into_iter().collect())
    }

    /// Puts the new lake in its place. Where the old one is by now, if there was one.
    fn swap_in(&self) -> Result<Option<PathBuf>, PublishError> {
        // The target may have changed since the build began, and then no mode allows more than it did.
        let found = check_target(&self.target, self.mode).map_err(|error| match error {
            PublishError::Io { .. } => error,
            _ => PublishError::CommitConflict { target: Location::Directory(self.target.clone()) },
        })?;
        let result = match found {
            // Renaming onto an empty directory replaces it; onto anything else it fails, so nobody can slip between.
            Found::Nothing => fs::rename(&self.root, &self.target).map(|()| None),
            Found::Lake => match renameat_with(CWD, &self.root, CWD, &self.target, RenameFlags::EXCHANGE) {
                Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP) => {
                    rename_aside(&self.root, &self.target).map(Some)
                }
                result => result.map(|()| Some(self.root.clone())).map_err(io::Error::from),
            },
        };
        result.map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory => {
                PublishError::CommitConflict { target: Location::Directory(self.target.clone()) }
            }
            io::ErrorKind::ResourceBusy => PublishError::TargetIsMountPoint { path: self.target.clone() },
            _ => io_error("put what was made at", &self.target)(source),
        })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if !self.is_adopted {
            // There is nobody to tell; what stays behind is removed by the next build.
            let _ = fs::remove_dir_all(&self.root);
        }
        self.target_lock = None;
        drop(CreatedParents(std::mem::take(&mut self.created_parents)));
    }
}

/// As [`super::look`].
pub(super) fn look(target: &Path, mode: PublishMode) -> Result<Target, PublishError> {
    Ok(match check_target(&resolve(target)?, mode)? {
        Found::Nothing => Target::Empty,
        Found::Lake => Target::Lake,
    })
}

/// What is at a target that may be published to.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    Lake,
}

fn check_target(target: &Path, mode: PublishMode) -> Result<Found, PublishError> {
    let look = |action| io_error(action, target);
    // A lake, and all the more a release, holds what its manifest lists and nothing else.
    let is_lake = |above: &&Path| looks_like_ours(&above.join(MANIFEST_FILE)) && manifest_at(above).is_some();
    if let Some(lake) = target.ancestors().skip(1).find(is_lake) {
        return Err(PublishError::InsideLake { path: target.to_owned(), lake: lake.to_owned() });
    }
    let metadata = match fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let path = target.ancestors().find(|path| path.is_file()).unwrap_or(target).to_owned();
            return Err(PublishError::TargetNotADirectory { path });
        }
        Err(error) => return Err(look("look at")(error)),
    };
    if !metadata.is_dir() {
        return Err(PublishError::TargetNotADirectory { path: target.to_owned() });
    }
    if let Some(parent) = target.parent()
        && fs::metadata(parent).map_err(look("look at the parent of"))?.dev() != metadata.dev()
    {
        return Err(PublishError::TargetIsMountPoint { path: target.to_owned() });
    }
    if let Some(manifest) = manifest_at(target) {
        let only_listed = only_listed(target, "", &manifest.listed()).map_err(look("list"))?;
        // A release is left alone whatever else is there.
        if only_listed || manifest.release.is_some() {
            check_mode(&manifest, mode, || Location::Directory(target.to_owned()))?;
            return Ok(Found::Lake);
        }
    }
    match fs::read_dir(target).map_err(look("list"))?.next() {
        None => Ok(Found::Nothing),
        Some(_) => Err(PublishError::TargetNotEmpty { target: Location::Directory(target.to_owned()) }),
    }
}

/// The manifest of a directory, if it is one of ours: many programs have a `manifest.json`.
fn manifest_at(directory: &Path) -> Option<Manifest> {
    let is_there = directory.join(MANIFEST_FILE).is_file();
    is_there.then(|| read_manifest(&LakeStore::Directory(directory.to_owned())).ok()).flatten()
}

/// Whether a file begins as manifests do: one of another program may be of any size.
fn looks_like_ours(manifest: &Path) -> bool {
    let mut beginning = Vec::new();
    let is_file = fs::metadata(manifest).is_ok_and(|found| found.is_file());
    let read = is_file
        .then(|| fs::File::open(manifest).and_then(|file| file.take(1024).read_to_end(&mut beginning)));
    read.is_some_and(|read| read.is_ok()) && String::from_utf8_lossy(&beginning).contains("\"formatVersion\"")
}

/// Whether everything below a directory of a lake is what its manifest lists: replacing a lake must not cost anybody a file. An empty directory among data costs nobody
/// anything.
fn only_listed(directory: &Path, prefix: &str, listed: &Listing<'_>) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let known = if entry.file_type()?.is_dir() {
            let below = format!("{path}/");
            let next = || listed.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded)).next();
            let holds_listed = || next().is_some_and(|(path, _)| path.starts_with(&below));
            (!prefix.is_empty()
                || [DATA_DIRECTORY, REJECTED_DIRECTORY].contains(&path.as_str())
                || holds_listed())
                && only_listed(&entry.path(), &below, listed)?
        } else {
            listed.contains_key(path.as_str())
        };
        if !known {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes files that no manifest lists, such as those of a task that ran with another version of a dump.
fn remove_unlisted(directory: &Path, prefix: &str, listed: &Listing<'_>) -> Result<(), PublishError> {
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let entry = entry.map_err(io_error("list", directory))?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(io_error("look at", &entry.path()))?.is_dir() {
            remove_unlisted(&entry.path(), &format!("{path}/"), listed)?;
        } else if !listed.contains_key(path.as_str()) {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// A hidden name beside a target, where links to it lead.
pub(super) fn beside(target: &Path, suffix: &str) -> Result<PathBuf, PublishError> {
    let target = resolve(target)?;
    let Some(name) = target.file_name() else { return Err(PublishError::NoName { path: target }) };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(target.with_file_name(hidden))
}

/// The target as an absolute path; what symbolic links point to rather than the links, and where `..` leads.
pub(super) fn resolve(target: &Path) -> Result<PathBuf, PublishError> {
    let absolute = std::path::absolute(target).map_err(io_error("find", target))?;
    // What is not there yet cannot be a link; above it, links have to be followed.
    for above in absolute.ancestors() {
        match fs::canonicalize(above) {
            Ok(found) => {
                let below = absolute.strip_prefix(above).unwrap_or(Path::new(""));
                return Ok(if below.as_os_str().is_empty() { found } else { found.join(below) });
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(io_error("find", target)(error)),
        }
    }
    Ok(absolute)
}

/// Parents that were made, outermost first. Removes them again when dropped, as far as they are empty.
struct CreatedParents(Vec<PathBuf>);

impl CreatedParents {
    fn create(parent: &Path) -> Result<Self, PublishError> {
        let missing: Vec<&Path> = parent.ancestors().take_while(|path| !path.exists()).collect();
        let mut created = Self(Vec::new());
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => created.0.push(path.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(io_error("create", path)(error)),
            }
        }
        Ok(created)
    }
}

impl Drop for CreatedParents {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            if fs::remove_dir(path).is_err() {
                break;
            }
        }
    }
}

fn sibling_prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".flowlake-staging-");
    prefix
}

/// Where a replaced lake lies while it cannot be exchanged in one step.
fn previous_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".flowlake-previous");
    target.with_file_name(name)
}

pub(super) fn make_staging(parent: &Path, name: &OsStr) -> Result<(PathBuf, fs::File), PublishError> {
    let mut attempt = 0u32;
    loop {
        let mut staging_name = sibling_prefix(name);
        staging_name.push(std::process::id().to_string());
        if attempt > 0 {
            staging_name.push(format!("-{attempt}"));
        }
        attempt += 1;
        let root = parent.join(staging_name);
        match fs::create_dir(&root) {
            Ok(()) => {}
            // The same id in another container, or another build of this process.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => continue,
            Err(error) => return Err(io_error("create the staging directory", &root)(error)),
        }
        // Between making and locking it, somebody clearing up may have taken it for stale: then the next name.
        match lock(&root) {
            Ok(Some(lock)) => return Ok((root, lock)),
            Ok(None) => {}
            Err(error) => {
                // Of an empty directory that nobody uses; the error that matters is the first one.
                let _ = fs::remove_dir(&root);
                return Err(io_error("lock the staging directory", &root)(error));
            }
        }
    }
}

/// Locks a directory; `None` when somebody else has, or it is gone.
fn lock(directory: &Path) -> io::Result<Option<fs::File>> {
    let handle = match fs::File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        // A file system without locks: nothing is ever taken for stale there, see `remove_stale`.
        Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK | Errno::INVAL | Errno::BADF) => {
            return Ok(Some(handle));
        }
        result => result?,
    }
    let own = handle.metadata()?;
    let same = |found: std::fs::Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
    let is_there = fs::symlink_metadata(directory).is_ok_and(same);
    Ok(is_there.then_some(handle))
}

/// Whether the process that had a directory is dead: nobody has it locked. Keeps the lock if so. Where directories cannot be
/// locked, as in network file systems, it is what the lock of the target says.
fn lock_if_stale(directory: &Path, target_is_locked: bool) -> Option<fs::File> {
    let handle = fs::File::open(directory).ok()?;
    match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => None,
        Err(_) if !target_is_locked => None,
        _ => Some(handle),
    }
}

/// Whether a name is one that [`make_staging`] gives: other names may be anybody's.
fn is_staging(name: &OsStr, prefix: &OsStr) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let Some(rest) = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes()) else { return false };
    rest.splitn(2, |&byte| byte == b'-').all(is_number)
}

/// Removes what a dead process left that had the lock of a target. Whoever is refused there does so, too: of a process that
/// died just after it had published, nobody else may ever come by.
fn remove_leavings(target: &Path, parent: &Path, name: &OsStr) {
    if let Some(_lock) = TargetLock::take_over(target) {
        let _ = remove_stale(parent, name, true);
    }
}

/// Removes staging directories for the same target whose processes are dead.
pub(super) fn remove_stale(parent: &Path, name: &OsStr, target_is_locked: bool) -> Result<(), PublishError> {
    let prefix = sibling_prefix(name);
    for entry in fs::read_dir(parent).map_err(io_error("list", parent))? {
        let entry = entry.map_err(io_error("list", parent))?;
        let is_one =
            is_staging(&entry.file_name(), &prefix) && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_one && let Some(_lock) = lock_if_stale(&entry.path(), target_is_locked) {
            // Another build may be clearing up too, and it does not matter to this one whether it is done.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Replaces a lake where the file system cannot exchange two names: between two renames there is none.
fn rename_aside(root: &Path, target: &Path) -> io::Result<PathBuf> {
    let previous = previous_path(target);
    let _lock = lock(target)?;
    fs::rename(target, &previous)?;
    fs::rename(root, target).inspect_err(|_| {
        // The error that matters is the first one. If this fails too, the next build puts the old lake back.
        let _ = fs::rename(&previous, target);
    })?;
    Ok(previous)
}

/// Puts a lake back that a process set aside and died before it put the new one in its place.
fn restore_previous(target: &Path) -> Result<(), PublishError> {
    let previous = previous_path(target);
    // Something else of that name is not ours to touch.
    let Some(manifest) = manifest_at(&previous) else { return Ok(()) };
    // Also where nothing can be locked: a process that is just about to put the new lake there finds the old one, leaves it, and
    // says so.
    let Some(_lock) = lock_if_stale(&previous, true) else { return Ok(()) };
    if target.exists() {
        // It died later, with the new lake in place.
        if only_listed(&previous, "", &manifest.listed()).unwrap_or(false) {
            let _ = fs::remove_dir_all(&previous);
        }
        return Ok(());
    }
    fs::rename(&previous, target).map_err(io_error("put back the lake of an interrupted build at", target))
}

/// Makes a directory and everything below it durable; of files only those beside the directories of data, if these are durable
/// already.
fn sync_tree(directory: &Path, data_is_durable: bool) -> Result<(), PublishError> {
    sync_below(directory, true, data_is_durable)
}

fn sync_below(directory: &Path, is_root: bool, data_is_durable: bool) -> Result<(), PublishError> {
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let entry = entry.map_err(io_error("list", directory))?;
        let path = entry.path();
        if entry.file_type().map_err(io_error("look at", &path))?.is_dir() {
            sync_below(&path, false, data_is_durable)?;
        } else if is_root || !data_is_durable {
            sync(&path)?;
        }
    }
    sync(directory)
}

fn sync(path: &Path) -> Result<(), PublishError> {
    match fs::File::open(path).and_then(|file| file.sync_all()) {
        // Some file systems cannot do this for directories, and need not.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.map_err(io_error("make durable", path)),
    }
}

#[cfg(test)]
mod tests;
