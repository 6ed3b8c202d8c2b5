//! Writes the lines of a dump that could not be used.
//!
//! Nothing is dropped silently: each such line is kept word for word beside the data, with its place and the reason. The file
//! is part of the lake like the data files: it is named after its bytes, durable, and listed in the manifest.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::digest::hex;
use crate::hashing_file::HashingFile;
use crate::layout::{LayoutError, RejectedPath};
use crate::manifest::RejectedLines;

/// Why rejected lines cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectedError {
    /// The dump's name cannot be part of a path.
    #[error("cannot name the file of rejected lines")]
    Layout(#[source] LayoutError),
    /// The file could not be made or written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The path, without the digest of its name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A line that could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedLine<'a> {
    /// Line number in the dump, from 1.
    pub line: u64,
    /// Offset in bytes of the line's first byte in the decompressed dump.
    pub offset: u64,
    /// Why.
    pub reason: &'a str,
    /// The line without its line end.
    pub text: &'a [u8],
}

/// A line of the file, keys in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    dump: &'a str,
    line: u64,
    offset: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_hex: Option<String>,
}

/// Writes the rejected lines of one dump below the root of a staged lake: `rejected/<dump>-<digest>.ndjson`, there only when a
/// line was rejected.
pub struct RejectedLinesWriter {
    root: PathBuf,
    dump: String,
    /// Without its digest.
    location: RejectedPath,
    file: Option<HashingFile>,
}

impl std::fmt::Debug for RejectedLinesWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RejectedLinesWriter").field("location", &self.location).finish_non_exhaustive()
    }
}

impl RejectedLinesWriter {
    /// A writer of a dump's rejected lines below `root`. Creates nothing until there are any.
    ///
    /// # Errors
    /// [`RejectedError::Layout`] when the dump's name cannot be part of a path.
    pub fn new(root: &Path, dump: &str) -> Result<Self, RejectedError> {
        let location = RejectedPath::new(dump).map_err(RejectedError::Layout)?;
        Ok(Self { root: root.to_owned(), dump: dump.to_owned(), location, file: None })
    }

    /// Adds a line; lines must come in the order of the dump.
    ///
    /// # Errors
    /// [`RejectedError::Io`].
    pub fn write(&mut self, rejected: RejectedLine<'_>) -> Result<(), RejectedError> {
        let RejectedLine { line, offset, reason, text } = rejected;
        // What is no UTF-8 is no JSON text either: its bytes are kept as hexadecimal.
        let (text, text_hex) = match std::str::from_utf8(text) {
            Ok(text) => (Some(text), None),
            Err(_) => (None, Some(hex(text))),
        };
        let record = Record { dump: &self.dump, line, offset, reason, text, text_hex };
        let path = self.root.join(self.location.to_string());
        let failed = |source| RejectedError::Io { path: path.clone(), source };
        let mut json = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
        json.push(b'\n');
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(HashingFile::create(&path).map_err(failed)?),
        };
        file.write_all(&json).map_err(failed)
    }

    /// Makes the file durable and gives it its name. Gives its entry of the manifest, or nothing when no line was written.
    ///
    /// # Errors
    /// [`RejectedError::Io`].
    pub fn finish(self) -> Result<Option<RejectedLines>, RejectedError> {
        let Some(file) = self.file else { return Ok(None) };
        let path = self.root.join(self.location.to_string());
        let hashed = file
            .close(|digest| self.root.join(self.location.clone().with_digest(digest).to_string()))
            .map_err(|source| RejectedError::Io { path, source })?;
        let location = self.location.with_digest(hashed.digest);
        Ok(Some(RejectedLines { path: location.to_string(), bytes: hashed.bytes, sha256: hashed.sha256 }))
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;
    use sha2::{Digest, Sha256};

    use super::*;

    fn writer(root: &Path) -> RejectedLinesWriter {
        RejectedLinesWriter::new(root, "one shot").expect("a name")
    }

    fn names(root: &Path) -> Vec<String> {
        fs::read_dir(root.join("rejected"))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn lines_are_kept_word_for_word_in_a_file_named_after_them() {
        let root = tempfile::tempdir().expect("a directory");
        let mut writer = writer(root.path());
        for (line, text) in [(2, b"{\"a\":1".as_slice()), (7, &[0xff, 0x00, b'a'])] {
            let rejected = RejectedLine { line, offset: line * 10, reason: "not JSON", text };
            writer.write(rejected).expect("it is written");
        }
        let listed = writer.finish().expect("it is closed").expect("there are lines");
        let bytes = fs::read(root.path().join(&listed.path)).expect("it is there");
        let expected = concat!(
            r#"{"dump":"one shot","line":2,"offset":20,"reason":"not JSON","text":"{\"a\":1"}"#,
            "\n",
            r#"{"dump":"one shot","line":7,"offset":70,"reason":"not JSON","textHex":"ff0061"}"#,
            "\n",
        );
        assert_eq!(bytes, expected.as_bytes());
        let sha256 = hex(&Sha256::digest(&bytes));
        assert_eq!((listed.bytes, &listed.sha256), (bytes.len() as u64, &sha256));
        assert_eq!(names(root.path()), [format!("one shot-{}.ndjson", &sha256[..16])]);
    }

    #[test]
    fn without_a_line_there_is_no_file() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(writer(root.path()).finish().expect("nothing to do"), None);
        assert_eq!(fs::read_dir(root.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        assert!(matches!(RejectedLinesWriter::new(root.path(), "../a"), Err(RejectedError::Layout(_))));
        let line = RejectedLine { line: 1, offset: 0, reason: "no flow", text: b"x" };
        let mut first = writer(root.path());
        first.write(line).expect("it is written");
        // The same dump twice at the same time: neither loses its lines to the other.
        let error = writer(root.path()).write(line).expect_err("it is being written");
        assert!(
            matches!(&error, RejectedError::Io { path, .. } if path.ends_with("rejected/one shot.ndjson"))
        );
        first.finish().expect("it is closed");
        assert_eq!(names(root.path()).len(), 1);
    }
}
