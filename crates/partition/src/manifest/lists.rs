//! How a manifest is written and read whose entries are too many for one document.
//!
//! `manifest.json` is an index then: where `sources`, `files` and `warnings` would be, it names lists in [`LISTS_DIRECTORY`] with
//! their sizes and digests. So it is small, it can be written and replaced at once as before, and its digest is that of
//! everything. Lists are written once and never changed; their names say their content.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flowlake_store::{LakeStore, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::entries::{Entries, ListFile};
use super::{DataFile, FORMAT_VERSION, INDEX_FORMAT_VERSION, MANIFEST_FILE, Manifest, Source, Warning};
use crate::digest::hex;
use crate::layout::NameDigest;

/// Directory of the lists, below the root of a lake; present only when there are any.
pub const LISTS_DIRECTORY: &str = "manifest";

/// Most entries of all kinds that a manifest holds itself: some 10 MB of JSON, which a browser and jq open at once.
const MOST_INSIDE: usize = 20_000;
/// Bytes of JSON after which a list is full: little enough to be fetched at once, and to be read by several threads.
const LIST_TEXT_BYTES: usize = 32 << 20;
/// Most bytes of JSON that a list may have.
const MAX_LIST_TEXT_BYTES: u64 = 256 << 20;
/// Most threads that read lists.
const READERS: usize = 8;
const ENDING: &str = ".ndjson.zst";

/// A manifest as it is in a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The bytes of `manifest.json`.
    pub text: Vec<u8>,
    /// What belongs to it.
    pub lists: Vec<ListFile>,
}

impl Written {
    /// The SHA-256 of `manifest.json`, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}

/// Why lists cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// Not a name of this format.
    #[error("{manifest} names the list {path:?}, which is none of flowlake's")]
    Name {
        /// Path or URL of the manifest.
        manifest: String,
        /// The path.
        path: String,
    },
    /// It is not there.
    #[error("{name} is missing, a list of {MANIFEST_FILE}")]
    Missing {
        /// Path or URL of the list.
        name: String,
    },
    /// Its bytes are others.
    #[error("{name} is not what {MANIFEST_FILE} says: SHA-256 expected {expected}, found {found}")]
    Differs {
        /// Path or URL of the list.
        name: String,
        /// Its digest by the manifest.
        expected: String,
        /// Its digest.
        found: String,
    },
    /// It has another size.
    #[error("{name} is not what {MANIFEST_FILE} says: {expected} bytes expected, found {found}")]
    Size {
        /// Path or URL of the list.
        name: String,
        /// Its size by the manifest.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// It has another number of entries.
    #[error("{name} is not what {MANIFEST_FILE} says: {expected} entries expected, found {found}")]
    Count {
        /// Path or URL of the list.
        name: String,
        /// How many by the manifest.
        expected: u64,
        /// How many.
        found: u64,
    },
    /// It cannot be decompressed.
    #[error("{name}, after line {line}: not Zstandard, or cut off")]
    Compression {
        /// Path or URL of the list.
        name: String,
        /// The last line that was read.
        line: u64,
        /// Why not.
        source: io::Error,
    },
    /// A line is no entry.
    #[error("{name} line {line}, column {column}: not an entry of a manifest")]
    Malformed {
        /// Path or URL of the list.
        name: String,
        /// Line of the decompressed text, from 1.
        line: u64,
        /// Column, from 1.
        column: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// It cannot be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Manifest {
    /// How it is written to a lake. Lists are given away as they are made: a path below the lake's root, and the bytes.
    ///
    /// # Errors
    /// What `put` says; when a number cannot be written as JSON.
    pub fn write(&self, put: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>) -> io::Result<Written> {
        self.write_beyond(MOST_INSIDE, put)
    }

    /// As [`Self::write`], when nobody takes the lists.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn written(&self) -> io::Result<Written> {
        self.write(&mut |_, _| Ok(()))
    }

    /// As [`Self::write`], with lists for more entries than these.
    pub(crate) fn write_beyond(
        &self,
        most_inside: usize,
        put: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
    ) -> io::Result<Written> {
        let Self { sources, files, warnings, .. } = self;
        let (document, lists) = if sources.len() + files.len() + warnings.len() <= most_inside {
            let inside = (sources.to_vec().into(), files.to_vec().into(), warnings.to_vec().into());
            (self.with(FORMAT_VERSION, inside), Vec::new())
        } else {
            let sources = write_lists("sources", sources, put)?;
            let files = write_lists("files", files, put)?;
            let warnings = write_lists("warnings", warnings, put)?;
            let lists = [&sources, &files, &warnings].into_iter().flatten().cloned().collect();
            let outside = (Entries::in_lists(sources), Entries::in_lists(files), Entries::in_lists(warnings));
            (self.with(INDEX_FORMAT_VERSION, outside), lists)
        };
        let mut text = serde_json::to_vec_pretty(&document)?;
        text.push(b'\n');
        Ok(Written { text, lists })
    }

    /// The same with other entries. Not by way of a clone: those that are there may be millions.
    fn with(
        &self,
        format_version: u32,
        (sources, files, warnings): (Entries<Source>, Entries<DataFile>, Entries<Warning>),
    ) -> Self {
        Self {
            format_version,
            tool: self.tool.clone(),
            release: self.release.clone(),
            dataset: self.dataset.clone(),
            recipe: self.recipe.clone(),
            selection: self.selection.clone(),
            schema: self.schema.clone(),
            dropped_columns: self.dropped_columns.clone(),
            row_accounting: self.row_accounting.clone(),
            repairs: self.repairs.clone(),
            not_encoded: self.not_encoded.clone(),
            sources,
            files,
            totals: self.totals.clone(),
            warnings,
            configuration: self.configuration.clone(),
        }
    }

    /// The lists that it was read from; none if its entries were in it.
    pub fn lists(&self) -> impl Iterator<Item = &ListFile> {
        self.sources.lists().iter().chain(self.files.lists()).chain(self.warnings.lists())
    }

    /// Reads what is in its lists. `name` is that of the manifest, for errors.
    pub(crate) fn load(&mut self, lake: &LakeStore, name: &str) -> Result<(), ListError> {
        let place = Place { lake, manifest: name };
        place.load("sources", &mut self.sources)?;
        place.load("files", &mut self.files)?;
        place.load("warnings", &mut self.warnings)
    }
}

/// Whether a path below the root of a lake is that of a list.
pub(crate) fn is_list(path: &str) -> bool {
    let parts = || {
        let (of, rest) = path.strip_prefix(LISTS_DIRECTORY)?.strip_prefix('/')?.split_once('-')?;
        let (number, digest) = rest.strip_suffix(ENDING)?.split_once('-')?;
        let is_number = number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        Some(
            ["sources", "files", "warnings"].contains(&of)
                && is_number
                && digest.parse::<NameDigest>().is_ok(),
        )
    };
    parts().unwrap_or_default()
}

fn list_prefix(of: &str, number: usize) -> String {
    format!("{LISTS_DIRECTORY}/{of}-{number:05}-")
}

fn write_lists<T: Serialize>(
    of: &str,
    entries: &[T],
    put: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> io::Result<Vec<ListFile>> {
    let mut lists = Vec::new();
    let mut rest = entries.iter().peekable();
    let mut line = Vec::new();
    while rest.peek().is_some() {
        let mut list = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        let (mut lines, mut bytes) = (0, 0);
        while bytes < LIST_TEXT_BYTES
            && let Some(entry) = rest.next()
        {
            line.clear();
            serde_json::to_writer(&mut line, entry)?;
            line.push(b'\n');
            list.write_all(&line)?;
            lines += 1;
            bytes += line.len();
        }
        let list = list.finish()?;
        let digest = Sha256::digest(&list);
        let path = format!("{}{}{ENDING}", list_prefix(of, lists.len()), NameDigest::of(&digest.into()));
        put(&path, &list)?;
        lists.push(ListFile { path, entries: lines, bytes: list.len() as u64, sha256: hex(&digest) });
    }
    Ok(lists)
}

/// Where lists are read.
struct Place<'a> {
    lake: &'a LakeStore,
    manifest: &'a str,
}

impl Place<'_> {
    /// Several lists at a time, in their order.
    fn load<T: DeserializeOwned + Send>(&self, of: &str, entries: &mut Entries<T>) -> Result<(), ListError> {
        if !entries.is_outside() {
            return Ok(());
        }
        let lists = entries.lists();
        let readers = thread::available_parallelism().map_or(1, usize::from).min(READERS).min(lists.len());
        let next = AtomicUsize::new(0);
        let read = || {
            let mut found = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(list) = lists.get(number) else { return Ok::<_, ListError>(found) };
                found.push((number, self.read(of, number, list)?));
            }
        };
        let mut found: Vec<(usize, Vec<T>)> = thread::scope(|scope| {
            let readers: Vec<_> = (0..readers).map(|_| scope.spawn(read)).collect();
            let mut found = Vec::new();
            for reader in readers {
                found.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok::<_, ListError>(found)
        })?;
        found.sort_by_key(|(number, _)| *number);
        let mut all = Vec::with_capacity(found.iter().map(|(_, entries)| entries.len()).sum());
        found.into_iter().for_each(|(_, entries)| all.extend(entries));
        entries.loaded(all);
        Ok(())
    }

    fn read<T: DeserializeOwned>(
        &self,
        of: &str,
        number: usize,
        list: &ListFile,
    ) -> Result<Vec<T>, ListError> {
        let ListFile { path, entries: expected, bytes: size, sha256 } = list;
        // Each has its own number, so that nothing is read twice, and no path leads out of the lake.
        if !is_list(path) || !path.starts_with(&list_prefix(of, number)) {
            return Err(ListError::Name { manifest: self.manifest.to_owned(), path: path.clone() });
        }
        let name = self.lake.name(path);
        let Some(bytes) = self.lake.read(path)? else { return Err(ListError::Missing { name }) };
        if bytes.len() as u64 != *size {
            return Err(ListError::Size { name, expected: *size, found: bytes.len() as u64 });
        }
        let found = hex(&Sha256::digest(&bytes));
        if found != *sha256 {
            return Err(ListError::Differs { name, expected: sha256.clone(), found });
        }
        let entries = parse(&bytes, &name)?;
        let found = entries.len() as u64;
        if found != *expected {
            return Err(ListError::Count { name, expected: *expected, found });
        }
        Ok(entries)
    }
}

/// Understands the bytes of a list; `name` is for errors.
fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<Vec<T>, ListError> {
    let mut entries = Vec::new();
    let mut text = Vec::new();
    let compression =
        |line: usize, source| ListError::Compression { name: name.to_owned(), line: line as u64, source };
    let decoder = zstd::Decoder::with_buffer(bytes).map_err(|source| compression(0, source))?;
    let mut lines = BufReader::with_capacity(1 << 17, decoder.take(MAX_LIST_TEXT_BYTES));
    loop {
        text.clear();
        let read = lines.read_until(b'\n', &mut text).map_err(|source| compression(entries.len(), source))?;
        if read == 0 {
            return Ok(entries);
        }
        let entry = serde_json::from_slice(&text).map_err(|source| ListError::Malformed {
            name: name.to_owned(),
            line: entries.len() as u64 + 1,
            column: source.column(),
            source,
        })?;
        entries.push(entry);
    }
}

#[cfg(test)]
mod tests;
