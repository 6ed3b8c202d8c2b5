//! Where tasks that run anywhere leave what they made until it is committed.
//!
//! All tasks of a plan share a workspace, which the plan's digest names. A task works in a directory of its own
//! ([`Attempt`]); files that are complete go to their final places in the lake to be, and last of all, as one small file, what
//! the task says of them. So a task is done if that file is there, whoever ran it and however often: killed, it leaves nothing
//! that counts, and two that run at the same time write the same bytes under the same names.
//!
//! On disk the lake to be lies beside the target, and takes its name in one step. In a store data files are at their final
//! keys already, since no manifest lists them; the manifest makes them a lake.

mod commit;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flowlake_store::{Condition, EntryKind, ErrorKind, LakeStore, ObjectStore, Upload, Uploads, unique_name};
use fs_err as fs;

use super::directory::beside;
use super::scratch::Scratch;
use super::{Outlet, PublishError, io_error};
use crate::manifest::MANIFEST_FILE;

pub use self::commit::Commit;

/// Name of a directory of files of an attempt.
const SPOOL: &str = "flowlake-task";
/// Where, on disk, the lake to be is.
const LAKE: &str = "lake";
/// Where what tasks say is.
const FRAGMENTS: &str = "fragments";
/// Where, on disk, tasks work.
const ATTEMPTS: &str = "attempts";

/// The workspace of a plan.
#[derive(Debug, Clone)]
pub struct Workspace {
    target: LakeStore,
    /// On disk the directory, in a store the beginning of keys below the target.
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    Objects(ObjectStore, String),
}

/// Files that are there. A million of them take some megabytes: of each there is a digest of path and size.
#[derive(Debug, Default)]
pub struct Present {
    files: HashSet<u64>,
    hasher: RandomState,
}

impl Present {
    /// Whether a file is there, in this size.
    #[must_use]
    pub fn holds(&self, path: &str, bytes: u64) -> bool {
        self.files.contains(&self.digest(path, bytes))
    }

    fn digest(&self, path: &str, bytes: u64) -> u64 {
        self.hasher.hash_one((path, bytes))
    }
}

/// A task at work.
#[derive(Debug)]
pub struct Attempt {
    /// Where its files are made.
    root: PathBuf,
    place: AttemptPlace,
}

#[derive(Debug)]
enum AttemptPlace {
    /// The lake to be, and the directories in it that are known to be there.
    Directory(PathBuf, Mutex<Vec<PathBuf>>),
    /// With the directory of files that wait to be uploaded.
    Objects(Uploads, #[expect(dead_code, reason = "it is there until it is dropped")] Scratch),
}

impl Workspace {
    /// That of a plan for a target; `id` is short and tells plans apart. Makes nothing.
    ///
    /// # Errors
    /// When the target cannot be found.
    pub fn of(target: &LakeStore, id: &str) -> Result<Self, PublishError> {
        let place = match target {
            LakeStore::Directory(path) => Place::Directory(beside(path, &format!("flowlake-plan-{id}"))?),
            LakeStore::Objects(store) => Place::Objects(store.clone(), format!(".flowlake-plan-{id}")),
        };
        Ok(Self { target: target.clone(), place })
    }

    /// Whether a lake is at the target already.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub fn holds_lake(&self) -> Result<bool, PublishError> {
        Ok(self.target.entry(MANIFEST_FILE)?.is_some())
    }

    /// Begins a task.
    ///
    /// # Errors
    /// When the place cannot be written to.
    pub fn attempt(&self) -> Result<Attempt, PublishError> {
        Ok(match &self.place {
            Place::Directory(root) => {
                let (attempts, lake) = (root.join(ATTEMPTS), root.join(LAKE));
                for directory in [&attempts, &lake, &root.join(FRAGMENTS)] {
                    fs::create_dir_all(directory).map_err(io_error("create", directory))?;
                }
                // On the same file system as the lake to be: files are renamed and not copied. What an attempt leaves that is
                // killed goes with the workspace: locks of other machines need not be seen by this one.
                let own = attempts.join(unique_name());
                fs::create_dir(&own).map_err(io_error("create", &own))?;
                Attempt { root: own, place: AttemptPlace::Directory(lake, Mutex::default()) }
            }
            Place::Objects(store, _) => {
                let scratch = Scratch::create(SPOOL)?;
                let root = scratch.root().to_owned();
                Attempt { root, place: AttemptPlace::Objects(store.uploads(), scratch) }
            }
        })
    }

    /// What the task of this number has said, if it is done.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn fragment(&self, task: usize) -> Result<Option<Vec<u8>>, PublishError> {
        Ok(match &self.place {
            Place::Directory(root) => LakeStore::Directory(root.clone()).read(&fragment_path(task))?,
            Place::Objects(store, prefix) => {
                store.read(&format!("{prefix}/{}", fragment_path(task)))?.map(|(bytes, _)| bytes)
            }
        })
    }

    /// Numbers of the tasks that are done, in order.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn done(&self) -> Result<Vec<usize>, PublishError> {
        let names: Vec<String> = match &self.place {
            Place::Directory(root) => {
                let fragments = root.join(FRAGMENTS);
                match fs::read_dir(&fragments) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                    Err(error) => return Err(io_error("list", &fragments)(error)),
                    Ok(entries) => {
                        let names =
                            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
                        names.collect::<std::io::Result<_>>().map_err(io_error("list", &fragments))?
                    }
                }
            }
            Place::Objects(store, prefix) => {
                let entries = store.walk(&format!("{prefix}/{FRAGMENTS}"))?;
                entries
                    .into_iter()
                    .filter_map(|entry| Some(entry.path.rsplit_once('/')?.1.to_owned()))
                    .collect()
            }
        };
        let mut done: Vec<usize> =
            names.iter().filter_map(|name| name.strip_suffix(".json.zst")?.parse().ok()).collect();
        done.sort_unstable();
        Ok(done)
    }

    /// Which files are where they belong.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn present(&self) -> Result<Present, PublishError> {
        let lake = match &self.place {
            Place::Directory(root) => LakeStore::Directory(root.join(LAKE)),
            Place::Objects(store, _) => LakeStore::Objects(store.clone()),
        };
        // What else is in a store is looked at as well: there is no asking for two of its directories.
        let entries = match lake.walk(&|_| true) {
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            entries => entries?,
        };
        let mut present = Present::default();
        for file in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
            let digest = present.digest(&file.path, file.bytes);
            present.files.insert(digest);
        }
        Ok(present)
    }

    /// How many fragments are best asked for at a time: of a store most of the time is waiting, of a disk less.
    #[must_use]
    pub fn readers(&self) -> usize {
        match self.place {
            Place::Directory(_) => 16,
            Place::Objects(..) => 64,
        }
    }

    /// Takes back that a task is done.
    ///
    /// # Errors
    /// When what it has said cannot be removed.
    pub fn forget(&self, task: usize) -> Result<(), PublishError> {
        match &self.place {
            Place::Directory(root) => {
                let path = root.join(fragment_path(task));
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(io_error("remove", &path)(error))
                    }
                    _ => Ok(()),
                }
            }
            Place::Objects(store, prefix) => {
                Ok(store.delete(&[format!("{prefix}/{}", fragment_path(task))])?)
            }
        }
    }

    /// Takes back that a task is done, and those of its files that no lake lists, where these do not lie in the workspace.
    ///
    /// # Errors
    /// When something cannot be removed, or it is not known what the lake lists.
    pub fn take_back(&self, task: usize, files: &[String]) -> Result<(), PublishError> {
        if let Place::Objects(store, _) = &self.place {
            store.delete(&commit::unlisted(store, files)?)?;
        }
        self.forget(task)
    }

    /// Whether the files that tasks made go with it. Otherwise they are where the lake is to be.
    #[must_use]
    pub fn holds_files(&self) -> bool {
        matches!(self.place, Place::Directory(_))
    }

    /// Says that a task is done: from here on it is, and everything before has to be where it belongs.
    fn put_fragment(&self, task: usize, bytes: &[u8], scratch: &Path) -> Result<(), PublishError> {
        match &self.place {
            Place::Directory(root) => {
                let made = scratch.join("fragment");
                let path = root.join(fragment_path(task));
                let write = || {
                    fs::write(&made, bytes)?;
                    fs::File::open(&made)?.sync_all()?;
                    fs::rename(&made, &path)
                };
                write().map_err(io_error("write", &path))
            }
            Place::Objects(store, prefix) => {
                let path = format!("{prefix}/{}", fragment_path(task));
                store.put_until_answered(&path, bytes, Condition::Any, "")?;
                Ok(())
            }
        }
    }
}

impl Attempt {
    /// Ends the task: waits until its files are where they belong, and keeps what it says of them.
    ///
    /// # Errors
    /// When something cannot be written. The task is not done then.
    pub fn finish(self, workspace: &Workspace, task: usize, fragment: &[u8]) -> Result<(), PublishError> {
        if let AttemptPlace::Objects(uploads, _) = &self.place {
            uploads.wait()?;
        }
        workspace.put_fragment(task, fragment, &self.root)
    }
}

impl Outlet for Attempt {
    fn root(&self) -> &Path {
        &self.root
    }

    fn add(&self, path: &str, bytes: u64, sha256: &str) -> Result<(), PublishError> {
        let file = self.root.join(path);
        match &self.place {
            AttemptPlace::Directory(lake, made) => {
                let to = lake.join(path);
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(parent) = to.parent()
                    && !made.iter().any(|known| known == parent)
                {
                    fs::create_dir_all(parent).map_err(io_error("create", parent))?;
                    made.push(parent.to_owned());
                }
                fs::rename(&file, &to).map_err(io_error("put a file at", &to))
            }
            AttemptPlace::Objects(uploads, _) => Ok(uploads.add(Upload {
                path: path.to_owned(),
                file,
                bytes,
                sha256: sha256.to_owned(),
                // Of an attempt before: names say what the content is.
                may_be_there: true,
            })?),
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let AttemptPlace::Directory(..) = self.place {
            // There is nobody to tell; what stays goes with the workspace.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn fragment_path(task: usize) -> String {
    format!("{FRAGMENTS}/{task:06}.json.zst")
}
