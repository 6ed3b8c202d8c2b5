//! Publishes a lake: all of it at once, or nothing.
//!
//! In a directory a whole staging directory takes the target's name ([`directory`]); in an object store, where nothing can
//! be renamed, the manifest is what appears at once ([`objects`]). Either way a reader finds the old lake or the new one.

pub mod directory;
pub mod objects;
mod scratch;
mod target_lock;
mod workspace;

use std::io;
use std::path::{Path, PathBuf};

use flowlake_store::{LakeStore, Location, StoreError};
use fs_err as fs;

use crate::manifest::{MANIFEST_FILE, Manifest, Release, Written};

pub use self::directory::Staging;
pub use self::objects::ObjectStaging;
pub use self::scratch::Scratch;
pub use self::workspace::{Attempt, Commit, Present, Workspace};

/// What may be at the target of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMode {
    /// Nothing, or an empty directory.
    Fresh,
    /// That, or a lake, which is then replaced.
    Replace,
}

/// Why a lake cannot be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// There is a lake already, and it was not to be replaced.
    #[error("{target} already holds a lake")]
    TargetHoldsLake {
        /// Path or URL.
        target: Location,
    },
    /// There is a release already, and those are for ever.
    #[error("{target} holds release {version}, which is never overwritten")]
    TargetHoldsRelease {
        /// Path or URL.
        target: Location,
        /// Its version.
        version: String,
    },
    /// The target is a directory with other things in it. No mode replaces those.
    #[error("{target} is not empty and holds other things than a lake")]
    TargetNotEmpty {
        /// Path or URL.
        target: Location,
    },
    /// The target is a file.
    #[error("{} is not a directory", path.display())]
    TargetNotADirectory {
        /// The target.
        path: PathBuf,
    },
    /// The target is a mount point, so nothing can take its place in one step. A directory below it can be a target.
    #[error("{} is a mount point and cannot be replaced as a whole", path.display())]
    TargetIsMountPoint {
        /// The target.
        path: PathBuf,
    },
    /// The target lies in a lake, which would hold something that it does not list.
    #[error("{} lies inside the lake at {}", path.display(), lake.display())]
    InsideLake {
        /// The target.
        path: PathBuf,
        /// The lake.
        lake: PathBuf,
    },
    /// The target has no name of its own, like `/`.
    #[error("{} cannot be the place of a lake: it has no name", path.display())]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// Something appeared at the target while the lake was built; it was left alone.
    #[error("{target} was written by somebody else meanwhile")]
    CommitConflict {
        /// Path or URL.
        target: Location,
    },
    /// Something else is being made for the target at this moment.
    #[error("{target} is being written by another flowlake{}", holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default())]
    Busy {
        /// The target.
        target: Location,
        /// Who is at it, if they say.
        holder: Option<String>,
    },
    /// The object store refused, or cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object that was there, so that it was not uploaded again or was uploaded already, is gone.
    #[error("{url} was removed by somebody else meanwhile; nothing was published")]
    Vanished {
        /// The object.
        url: String,
    },
    /// The store does not say whether it has written the manifest.
    #[error("whether the lake at {target} was published is not known: the store does not answer")]
    Unclear {
        /// Path or URL.
        target: Location,
        /// What it said last.
        source: Box<StoreError>,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl PublishError {
    /// Whether what is at the target is somebody else's to keep, rather than storage having failed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::CommitConflict { .. }
                | Self::Vanished { .. }
                | Self::TargetHoldsRelease { .. }
        )
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    move |source| PublishError::Io { action, path, source }
}

/// What a build would find at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Empty,
    /// A lake, which would be replaced.
    Lake,
    /// No lake, but what a build that did not end well left behind.
    Leftovers {
        /// How many.
        objects: usize,
    },
}

/// Whether a lake that is there may be replaced.
fn check_mode(
    found: &Manifest,
    mode: PublishMode,
    target: impl Fn() -> Location,
) -> Result<(), PublishError> {
    match (&found.release, mode) {
        (Some(Release { version, .. }), _) => {
            Err(PublishError::TargetHoldsRelease { target: target(), version: version.clone() })
        }
        (None, PublishMode::Fresh) => Err(PublishError::TargetHoldsLake { target: target() }),
        (None, PublishMode::Replace) => Ok(()),
    }
}

/// Looks at a target as a build does at its beginning, and writes nothing.
///
/// # Errors
/// As for [`Publication::begin`], as far as that can be known without writing.
pub fn look(target: &LakeStore, mode: PublishMode) -> Result<Target, PublishError> {
    match target {
        LakeStore::Directory(path) => directory::look(path, mode),
        LakeStore::Objects(store) => objects::look(store, mode),
    }
}

/// How a manifest is written to a lake that is made in `root`, where its lists are by then.
fn write_manifest(manifest: &Manifest, root: &Path) -> Result<Written, PublishError> {
    let mut put = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, bytes)
    };
    manifest.write(&mut put).map_err(io_error("write", &root.join(MANIFEST_FILE)))
}

/// A lake in the making, for whatever place. Dropped without [`Publication::publish`], it leaves nothing behind, as far as
/// the place can still be reached.
#[derive(Debug)]
pub enum Publication {
    /// In a directory of this machine.
    Directory(Staging),
    /// In an object store.
    Objects(Box<ObjectStaging>),
}

impl Publication {
    /// Prepares to publish at a place.
    ///
    /// # Errors
    /// When `mode` does not allow what is there, or it cannot be written to.
    pub fn begin(target: &LakeStore, mode: PublishMode) -> Result<Self, PublishError> {
        match target {
            LakeStore::Directory(path) => Staging::create(path, mode).map(Self::Directory),
            LakeStore::Objects(store) => {
                ObjectStaging::create(store, mode).map(|staging| Self::Objects(Box::new(staging)))
            }
        }
    }

    /// Whether two builds for this place that meet are told apart by the place itself.
    #[must_use]
    pub fn decides_races(&self) -> bool {
        match self {
            Self::Directory(_) => true,
            Self::Objects(staging) => staging.honours_conditions(),
        }
    }

    /// Takes a small file that says something about the lake. It appears with the manifest, which has to list it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_document(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), PublishError> {
        match self {
            Self::Directory(staging) => staging.add_document(path, &bytes),
            Self::Objects(staging) => {
                staging.add_document(path, bytes);
                Ok(())
            }
        }
    }

    /// Makes the files that were added a lake, all at once. What could not be tidied up afterwards is in the answer.
    ///
    /// # Errors
    /// As for [`Staging::publish`] and [`ObjectStaging::publish`].
    pub fn publish(self, manifest: &Manifest) -> Result<Vec<PublishError>, PublishError> {
        match self {
            Self::Directory(staging) => staging.publish(manifest),
            Self::Objects(staging) => Ok(of_store(staging.publish(manifest)?.left)),
        }
    }

    /// Gives up. What could not be taken back is in the answer.
    #[must_use]
    pub fn abandon(self) -> Vec<PublishError> {
        match self {
            Self::Directory(staging) => {
                drop(staging);
                Vec::new()
            }
            Self::Objects(staging) => of_store(staging.abandon()),
        }
    }
}

/// Where the files of a lake are made, and who takes them when they are complete.
pub trait Outlet: Sync {
    /// The directory of this machine in which they are made.
    fn root(&self) -> &Path;

    /// Takes a file that is complete, by its path below the root.
    ///
    /// # Errors
    /// When this or an earlier one cannot be brought to its place.
    fn add(&self, path: &str, bytes: u64, sha256: &str) -> Result<(), PublishError>;
}

impl Outlet for Publication {
    fn root(&self) -> &Path {
        match self {
            Self::Directory(staging) => staging.root(),
            Self::Objects(staging) => staging.root(),
        }
    }

    fn add(&self, path: &str, bytes: u64, sha256: &str) -> Result<(), PublishError> {
        match self {
            Self::Directory(_) => Ok(()),
            Self::Objects(staging) => staging.add(path, bytes, sha256),
        }
    }
}

fn of_store(errors: Vec<StoreError>) -> Vec<PublishError> {
    errors.into_iter().map(PublishError::Store).collect()
}

#[cfg(test)]
mod contract;
