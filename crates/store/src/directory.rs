//! A directory of this machine, read.
#![expect(clippy::disallowed_methods, reason = "a StoreError names the path; fs-err would name it once more")]

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::StoreError;
use crate::store::{Entry, EntryKind, MAX_WHOLE_BYTES, too_large};

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| StoreError::from_io(operation, path.display().to_string(), &error)
}

pub(crate) fn files(directory: &Path) -> Result<Vec<Entry>, StoreError> {
    let failed = failed("list", directory);
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let (kind, bytes) = match fs::metadata(entry.path()) {
            _ if name.to_str().is_none() => (EntryKind::Unnameable, 0),
            Ok(metadata) if metadata.is_file() => (EntryKind::File, metadata.len()),
            Ok(_) => continue,
            // A link that leads nowhere should be a file: whoever reads it is told.
            Err(_) => (EntryKind::Other, 0),
        };
        entries.push(Entry { path: name.to_string_lossy().into_owned(), kind, bytes, version: None });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

pub(crate) fn walk(root: &Path, descend: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    below(root, "", descend, &mut entries)?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn below(
    root: &Path,
    prefix: &str,
    descend: &dyn Fn(&str) -> bool,
    entries: &mut Vec<Entry>,
) -> Result<(), StoreError> {
    let directory = root.join(prefix);
    let failed = failed("list", &directory);
    for entry in fs::read_dir(&directory).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let path = match prefix {
            "" => name.to_string_lossy().into_owned(),
            prefix => format!("{prefix}/{}", name.to_string_lossy()),
        };
        let metadata = entry.metadata().map_err(&failed)?;
        let kind = match metadata.file_type() {
            _ if name.to_str().is_none() => EntryKind::Unnameable,
            kind if kind.is_dir() => EntryKind::Directory,
            kind if kind.is_file() => EntryKind::File,
            _ => EntryKind::Other,
        };
        if kind == EntryKind::Directory && descend(&path) {
            below(root, &path, descend, entries)?;
        }
        let bytes = if kind == EntryKind::File { metadata.len() } else { 0 };
        entries.push(Entry { path, kind, bytes, version: None });
    }
    Ok(())
}

pub(crate) fn entry(root: &Path, path: &str) -> Result<Option<Entry>, StoreError> {
    let full = root.join(path);
    let metadata = match fs::symlink_metadata(&full) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed("look at", &full)(error)),
    };
    let kind = match metadata.file_type() {
        kind if kind.is_file() => EntryKind::File,
        kind if kind.is_dir() => EntryKind::Directory,
        _ => EntryKind::Other,
    };
    let bytes = if kind == EntryKind::File { metadata.len() } else { 0 };
    Ok(Some(Entry { path: path.to_owned(), kind, bytes, version: None }))
}

pub(crate) fn read(root: &Path, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let full = root.join(path);
    let refused = |why| Err(failed("read", &full)(io::Error::other(why)));
    match fs::metadata(&full) {
        // A device may have no end, and a pipe nobody who writes to it.
        Ok(metadata) if !metadata.is_file() => return refused("it is no regular file".to_owned()),
        Ok(metadata) if metadata.len() > MAX_WHOLE_BYTES => return refused(too_large(metadata.len())),
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed("read", &full)(error)),
    }
    match fs::read(&full) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("read", &full)(error)),
    }
}

pub(crate) fn open(root: &Path, path: &str) -> Result<File, StoreError> {
    let full = root.join(path);
    File::open(&full).map_err(failed("open", &full))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
