//! Makes a lake of what tasks left in a workspace.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flowlake_store::{LakeStore, ObjectStore};
use fs_err as fs;
use sha2::{Digest, Sha256};

use super::{LAKE, Place, Present, Workspace};
use crate::digest::hex;
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::publish::directory::{Staging, Tidy, resolve};
use crate::publish::objects::ObjectStaging;
use crate::publish::target_lock::TargetLock;
use crate::publish::{PublishError, PublishMode, io_error, of_store};
use crate::read::{ReadError, read_manifest};

/// What is about to be published, so that whoever comes after a commit that was killed knows whether it was: the digest of the
/// manifest, and the number of the directory, since a lake may replace one with the same manifest. It is the last thing to
/// be tidied up.
const ABOUT_TO: &str = "about-to-publish";

/// The right to commit a workspace: on disk nobody else makes anything for the target meanwhile. In a store the last step
/// decides.
#[derive(Debug)]
pub struct Commit<'a> {
    workspace: &'a Workspace,
    _lock: Option<TargetLock>,
}

impl Workspace {
    /// Begins a commit, if there is anything.
    ///
    /// # Errors
    /// [`PublishError::Busy`] when something else is being made for the target, [`PublishError::CommitConflict`] when somebody
    /// has just committed or abandoned this; when the target cannot be looked at.
    pub fn begin_commit(&self) -> Result<Commit<'_>, PublishError> {
        let lock = match (&self.place, &self.target) {
            (Place::Directory(root), LakeStore::Directory(target)) if root.exists() => {
                let lock = TargetLock::take(&resolve(target)?)?;
                // Whoever had the lock until now has ended it.
                if !root.exists() {
                    return Err(PublishError::CommitConflict { target: self.target.location() });
                }
                // One that was killed at the very end of its tidying up has left it empty; otherwise this does nothing.
                let _ = fs::remove_dir(root);
                lock
            }
            _ => None,
        };
        Ok(Commit { workspace: self, _lock: lock })
    }
}

impl Commit<'_> {
    /// Whether a commit that was killed has published the lake already. All that is left to do then is [`Commit::finish`].
    ///
    /// # Errors
    /// When the target cannot be read.
    pub fn is_published(&self) -> Result<bool, PublishError> {
        let Place::Directory(root) = &self.workspace.place else { return Ok(false) };
        let path = root.join(ABOUT_TO);
        let about_to = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            text => text.map_err(io_error("read", &path))?,
        };
        let LakeStore::Directory(target) = &self.workspace.target else { return Ok(false) };
        let target = resolve(target)?;
        let Some(text) = self.workspace.target.read(MANIFEST_FILE)? else { return Ok(false) };
        Ok(mark(&hex(&Sha256::digest(&text)), &target)? == about_to)
    }

    /// Makes the files that the tasks made a lake, all at once, and takes the workspace away: those that the manifest lists, all
    /// of which are `present`. What could not be tidied up afterwards is in the answer.
    ///
    /// # Errors
    /// As for [`Staging::publish`] and [`ObjectStaging::publish`]. The workspace stays then.
    pub fn publish(
        self,
        mode: PublishMode,
        manifest: &Manifest,
        present: &Present,
    ) -> Result<Vec<PublishError>, PublishError> {
        match (&self.workspace.place, &self.workspace.target) {
            (Place::Directory(root), LakeStore::Directory(target)) => {
                let rejected = manifest.sources.iter().filter(|source| source.rejected_lines.is_some());
                let listed = manifest.files.len() + rejected.count();
                let tidy = if present.files.len() == listed { Tidy::Not } else { Tidy::Unlisted };
                let staging = Staging::adopt(target, mode, &root.join(LAKE), tidy, manifest)?;
                let written = staging.write(manifest)?;
                let (path, mark) = (root.join(ABOUT_TO), mark(&written.sha256(), staging.root())?);
                let write = || {
                    fs::write(&path, &mark)?;
                    fs::File::open(&path)?.sync_all()
                };
                write().map_err(io_error("write", &path))?;
                let mut left = staging.publish_files()?;
                left.extend(self.finish().err());
                Ok(left)
            }
            // What no manifest lists goes with the lake before, and so does the workspace.
            (Place::Objects(store, _), _) => {
                Ok(of_store(ObjectStaging::create(store, mode)?.publish(manifest)?.left))
            }
            (Place::Directory(_), LakeStore::Objects(_)) => {
                unreachable!("a workspace is where its target is")
            }
        }
    }

    /// Takes the workspace away.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn finish(self) -> Result<(), PublishError> {
        self.abandon(&[])
    }

    /// The same, with data files of its tasks that are in a store; of these those stay that the lake there lists.
    ///
    /// # Errors
    /// When something stays, or it is not known what the lake lists.
    pub fn abandon(self, files: &[String]) -> Result<(), PublishError> {
        match &self.workspace.place {
            Place::Directory(root) => match remove_but_for_mark(root).and_then(|()| fs::remove_dir_all(root))
            {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", root)(error)),
                _ => Ok(()),
            },
            Place::Objects(store, prefix) => {
                store.delete(&unlisted(store, files)?)?;
                let paths: Vec<String> = store.walk(prefix)?.into_iter().map(|entry| entry.path).collect();
                Ok(store.delete(&paths)?)
            }
        }
    }
}

/// What tells a lake from others, before and after it has taken the name of the target.
fn mark(manifest_sha256: &str, directory: &Path) -> Result<String, PublishError> {
    let number = fs::metadata(directory).map_err(io_error("look at", directory))?.ino();
    Ok(format!("{manifest_sha256} {number}\n"))
}

/// Whoever is killed here leaves what says that the lake is published.
fn remove_but_for_mark(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == ABOUT_TO {
        } else if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Those of some files that no lake lists.
pub(super) fn unlisted(store: &ObjectStore, files: &[String]) -> Result<Vec<String>, PublishError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let lake = LakeStore::Objects(store.clone());
    let manifest = match read_manifest(&lake) {
        Ok(manifest) => Some(manifest),
        Err(ReadError::NotALake { .. }) => None,
        Err(ReadError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(PublishError::TargetNotEmpty { target: lake.location() }),
    };
    let listed = manifest.as_ref().map(Manifest::listed).unwrap_or_default();
    Ok(files.iter().filter(|path| !listed.contains_key(path.as_str())).cloned().collect())
}
