//! One build at a time for a directory.
//!
//! A file beside the target is locked (`flock`) as long as something is made for the target. The kernel lets go of it when
//! the process ends, however it ends, so a lock is never stale; only the file may be left, and the next build takes it over.

use std::ffi::OsString;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flowlake_store::Location;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::{PublishError, io_error};

/// What says who writes is short.
const MAX_HOLDER_BYTES: u64 = 200;
/// How often it is tried to lock a file that others take away.
const MOST_TRIES: usize = 100;

/// The right to make something for a target.
#[derive(Debug)]
pub(super) struct TargetLock {
    path: PathBuf,
    /// Holds the lock.
    handle: fs::File,
}

impl TargetLock {
    /// Takes the lock. `None` on file systems without locks, where the last step alone tells builds that meet apart.
    ///
    /// # Errors
    /// [`PublishError::Busy`] when somebody else has it; when the file cannot be made.
    pub(super) fn take(target: &Path) -> Result<Option<Self>, PublishError> {
        let path = lock_path(target);
        let busy = |holder| PublishError::Busy { target: Location::Directory(target.to_owned()), holder };
        // Each time around somebody else was faster, and nobody is that often.
        for _ in 0..MOST_TRIES {
            let (mut handle, writable) = open(&path)?;
            if !is_ours(&mut handle).map_err(io_error("look at", &path))? {
                return Err(foreign(&path));
            }
            match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(busy(holder(&mut handle))),
                Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK | Errno::INVAL | Errno::BADF) => {
                    // Nobody can lock it here, so it is of no use to anybody.
                    let _ = fs::remove_file(&path);
                    return Ok(None);
                }
                Err(error) => {
                    // What nobody has written a name into is nobody's yet.
                    if handle.metadata().is_ok_and(|found| found.len() == 0) {
                        let _ = fs::remove_file(&path);
                    }
                    return Err(io_error("lock", &path)(error.into()));
                }
            }
            // Whoever had it may have removed it between our opening and our locking it: then it locks nothing.
            if !is_at(&handle, &path).map_err(io_error("look at", &path))? {
                continue;
            }
            if !writable {
                // Of a dead process of somebody else, in a directory that belongs to both.
                fs::remove_file(&path).map_err(io_error("remove the lock of a dead process at", &path))?;
                continue;
            }
            let mut lock = Self { path, handle };
            return match write_holder(&mut lock.handle) {
                Ok(()) => Ok(Some(lock)),
                Err(error) => Err(io_error("write", &lock.path)(error)),
            };
        }
        Err(busy(None))
    }
}

impl TargetLock {
    /// Takes the lock that a dead process left; `None` where there is none, or its process lives.
    pub(super) fn take_over(target: &Path) -> Option<Self> {
        let was_left = fs::symlink_metadata(lock_path(target)).is_ok_and(|found| found.is_file());
        was_left.then(|| Self::take(target).ok().flatten()).flatten()
    }
}

impl Drop for TargetLock {
    fn drop(&mut self) {
        // While it is still locked: nobody else can have it. If it stays, it is unlocked all the same.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".flowlake-lock");
    target.with_file_name(name)
}

/// The file, made if it is not there, and whether it may be written. Links are not followed.
fn open(path: &Path) -> Result<(fs::File, bool), PublishError> {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let error = match options.write(true).create(true).truncate(false).open(path) {
        Ok(handle) => return Ok((handle, true)),
        Err(error) => error,
    };
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Ok(handle) = options.write(false).create(false).open(path)
    {
        return Ok((handle, false));
    }
    // A link, a directory or a pipe.
    let is_another = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    Err(if is_another { foreign(path) } else { io_error("create the lock file", path)(error) })
}

fn foreign(path: &Path) -> PublishError {
    let why = "this name is flowlake's, and what has it is not: move it away";
    io_error("lock the target with", path)(io::Error::other(why))
}

/// Whether it is what [`write_holder`] writes, or nothing yet. What somebody else has given this name is left alone.
fn is_ours(handle: &mut fs::File) -> io::Result<bool> {
    let found = handle.metadata()?;
    if !found.is_file() || found.nlink() > 1 || found.len() > MAX_HOLDER_BYTES {
        return Ok(false);
    }
    let mut text = Vec::new();
    handle.rewind()?;
    handle.take(MAX_HOLDER_BYTES).read_to_end(&mut text)?;
    Ok(text.is_empty() || text.starts_with(b"process "))
}

fn is_at(handle: &fs::File, path: &Path) -> io::Result<bool> {
    let own = handle.metadata()?;
    let same = |found: std::fs::Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
    Ok(fs::symlink_metadata(path).is_ok_and(same))
}

/// For whoever finds it locked.
fn write_holder(handle: &mut fs::File) -> io::Result<()> {
    handle.set_len(0)?;
    handle.rewind()?;
    write!(handle, "process {}", std::process::id())?;
    // A directory may be shared by many machines, and ids are those of one of them.
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => write!(handle, " on {}", host.trim()),
        Err(_) => Ok(()),
    }
}

/// Who has the lock, as far as they have said so by now.
fn holder(handle: &mut fs::File) -> Option<String> {
    let mut text = String::new();
    handle.rewind().ok()?;
    handle.take(MAX_HOLDER_BYTES).read_to_string(&mut text).ok()?;
    let printable = !text.is_empty() && !text.contains(char::is_control);
    printable.then_some(text)
}
