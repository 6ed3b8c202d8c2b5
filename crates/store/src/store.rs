//! A place opened for reading, wherever it is.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;

use crate::directory;
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::ObjectStore;
use crate::options::StoreOptions;

/// A directory, or a prefix of an object store. Paths below it have `/` between their parts and none at their ends.
///
/// Cheap to clone.
#[derive(Debug, Clone)]
pub enum LakeStore {
    /// A directory of this machine; it need not exist.
    Directory(std::path::PathBuf),
    /// A prefix in a bucket.
    Objects(ObjectStore),
}

/// Something below a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the place.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size; 0 for what is no file.
    pub bytes: u64,
    /// Which content it has, as far as the place tells.
    pub version: Option<Version>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file, or an object.
    File,
    /// A directory; object stores have none.
    Directory,
    /// A symbolic link, a socket and the like. Links are not followed.
    Other,
    /// A name that is no UTF-8, or otherwise none that a path here can have; shown as well as can be.
    Unnameable,
}

/// Tells one content of an object from another, by what the store tells: entity tag and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) e_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// Largest file that is read as a whole, in bytes: no manifest comes near.
pub(crate) const MAX_WHOLE_BYTES: u64 = 1 << 30;

pub(crate) fn too_large(bytes: u64) -> String {
    format!("it takes {bytes} bytes, and what is read as a whole at most {MAX_WHOLE_BYTES}")
}

impl LakeStore {
    /// Opens a place. Nothing is asked of it yet, but credentials are looked for.
    ///
    /// # Errors
    /// When an object store cannot be addressed with what the environment says.
    pub fn open(location: &Location, options: &StoreOptions) -> Result<Self, StoreError> {
        match location {
            Location::Directory(path) => Ok(Self::Directory(path.clone())),
            Location::Objects(url) => ObjectStore::connect(url, options).map(Self::Objects),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> Location {
        match self {
            Self::Directory(path) => Location::Directory(path.clone()),
            Self::Objects(objects) => Location::Objects(objects.url().clone()),
        }
    }

    /// The path or URL of what is at `path` below this place, for people.
    #[must_use]
    pub fn name(&self, path: &str) -> String {
        match path {
            "" => self.location().to_string(),
            path => self.location().join(path).to_string(),
        }
    }

    /// The files in the place itself, not below it, ordered by name. Links are followed.
    ///
    /// # Errors
    /// When it cannot be listed; a directory has to exist.
    pub fn files(&self) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Directory(path) => directory::files(path),
            Self::Objects(objects) => objects.files(),
        }
    }

    /// Everything below the place, ordered by path. Directories that `descend` does not want are entries, but are not
    /// looked into.
    ///
    /// # Errors
    /// When it cannot be listed; a directory has to exist.
    pub fn walk(&self, descend: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Directory(path) => directory::walk(path, descend),
            Self::Objects(objects) => objects.walk(""),
        }
    }

    /// What is at a path, or `None`. Links are not followed.
    ///
    /// # Errors
    /// When the place cannot be asked.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>, StoreError> {
        match self {
            Self::Directory(root) => directory::entry(root, path),
            Self::Objects(objects) => Ok(objects.stat(path)?.map(|stat| stat.entry)),
        }
    }

    /// The whole of a file that ought to be small, such as a manifest, or `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read, is no regular file, or larger than 1 GiB.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Directory(root) => directory::read(root, path),
            Self::Objects(objects) => Ok(objects.read(path)?.map(|(bytes, _)| bytes)),
        }
    }

    /// The bytes of an entry from its beginning. From a store they come in ranges, several of them ahead; a range that
    /// breaks off is asked for again from where it did.
    ///
    /// # Errors
    /// When a file cannot be opened. What an object store has to say comes with the first bytes read, as the
    /// [`StoreError`] inside the error.
    pub fn reader(&self, entry: &Entry) -> Result<Box<dyn Read + Send>, StoreError> {
        match self {
            Self::Directory(root) => {
                let file = directory::open(root, &entry.path)?;
                // So that errors of reading name the path, too.
                Ok(Box::new(fs_err::File::from_parts(file, root.join(&entry.path))))
            }
            Self::Objects(objects) => Ok(Box::new(objects.reader(entry))),
        }
    }

    /// A file of this machine with the bytes of an entry: itself, or a copy that vanishes when it is closed.
    ///
    /// # Errors
    /// When it cannot be read, or there is no room for a copy.
    pub fn fetch(&self, entry: &Entry) -> Result<File, StoreError> {
        match self {
            Self::Directory(root) => directory::open(root, &entry.path),
            Self::Objects(objects) => objects.fetch(entry),
        }
    }
}
