//! A private directory among those for temporary files.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::directory::{make_staging, remove_stale};
use super::{PublishError, io_error};

/// A directory below `TMPDIR` that nobody else may look into, removed when dropped. What one of a process that died left behind
/// is removed by the next of the same name: its lock tells.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    /// Its open handle, which holds the lock that tells it from the leavings of a dead process.
    _lock: fs::File,
}

impl Scratch {
    /// Makes one; `name` is part of its name.
    ///
    /// # Errors
    /// When the directory for temporary files cannot be written to.
    pub fn create(name: &str) -> Result<Self, PublishError> {
        let parent = std::env::temp_dir();
        remove_stale(&parent, OsStr::new(name), false)?;
        let (root, lock) = make_staging(&parent, OsStr::new(name))?;
        let scratch = Self { root, _lock: lock };
        // A directory for everybody's temporary files is no place for everybody to read somebody's flows.
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(&scratch.root, private).map_err(io_error("make private", &scratch.root))?;
        Ok(scratch)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // There is nobody to tell; what stays behind is removed by the next one.
        let _ = fs::remove_dir_all(&self.root);
    }
}
