//! The parts of a dump, joined to one stream of bytes.
//!
//! Parts of a split archive are pieces of one compressed stream: they are joined before decompression. While they pass,
//! each part is hashed (the manifest names the input by digest) and the position is kept for error messages.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use flowlake_store::{Entry, EntryKind, LakeStore, StoreError};
use sha2::{Digest, Sha256};

use crate::discover::Dump;

/// Name, size and digest of a part as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigest {
    /// File name, without directories.
    pub name: String,
    /// Bytes read.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Where a [`JoinedParts`] stands; shared with whoever words an error.
#[derive(Debug, Default)]
pub(crate) struct Position {
    part: AtomicUsize,
    offset: AtomicU64,
    total: AtomicU64,
}

impl Position {
    /// Index of the part being read and the number of its bytes already taken.
    pub(crate) fn get(&self) -> (usize, u64) {
        (self.part.load(Ordering::Relaxed), self.offset.load(Ordering::Relaxed))
    }

    /// Bytes taken of all parts.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Reads the parts of a dump one after the other.
pub(crate) struct JoinedParts {
    input: LakeStore,
    parts: Vec<Entry>,
    current: Option<Box<dyn Read + Send>>,
    hasher: Sha256,
    digests: Vec<PartDigest>,
    position: Arc<Position>,
}

impl JoinedParts {
    pub(crate) fn new(dump: &Dump) -> Self {
        Self {
            input: dump.input.clone(),
            parts: dump.parts.clone(),
            current: None,
            hasher: Sha256::new(),
            digests: Vec::new(),
            position: Arc::default(),
        }
    }

    pub(crate) fn position(&self) -> Arc<Position> {
        Arc::clone(&self.position)
    }

    /// Digests of the parts that were read to their end: all of them once `read` has returned 0.
    pub(crate) fn digests(&self) -> &[PartDigest] {
        &self.digests
    }
}

impl Read for JoinedParts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let index = self.digests.len();
            let Some(part) = self.parts.get(index) else {
                return Ok(0);
            };
            let reader = match &mut self.current {
                Some(reader) => reader,
                none => none.insert(self.input.reader(part).map_err(StoreError::into_io)?),
            };
            let n = match reader.read(buffer) {
                // Here, and not by whoever reads on: between two members of a gzip file nobody would know where it stood.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            if n > 0 {
                self.hasher.update(&buffer[..n]);
                self.position.offset.fetch_add(n as u64, Ordering::Relaxed);
                self.position.total.fetch_add(n as u64, Ordering::Relaxed);
                return Ok(n);
            }
            check_length(part, self.position.offset.load(Ordering::Relaxed))?;
            let digest = std::mem::take(&mut self.hasher).finalize();
            self.digests.push(PartDigest {
                name: part.path.clone(),
                bytes: self.position.offset.load(Ordering::Relaxed),
                sha256: hexadecimal(&digest),
            });
            self.current = None;
            // The position stays in the last part, so that "ends too early" names the file that ends.
            if index + 1 < self.parts.len() {
                self.position.part.store(index + 1, Ordering::Relaxed);
                self.position.offset.store(0, Ordering::Relaxed);
            }
        }
    }
}

/// A file that became shorter or longer while it was read is not the one that was found. Of what is no file, such as a pipe, no
/// length is known.
fn check_length(part: &Entry, read: u64) -> io::Result<()> {
    if part.kind != EntryKind::File || part.bytes == read {
        return Ok(());
    }
    let text = format!(
        "it had {} bytes when it was found, and {read} when it was read: it changed meanwhile",
        part.bytes
    );
    Err(io::Error::other(text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
