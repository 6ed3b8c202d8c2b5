//! Reads the manifest of a lake.
//!
//! Whatever opens a lake begins here, so here is decided what counts as one, and what happens when a newer tool wrote
//! it: the version is looked at before anything else, since everything else may have changed with it.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use crate::manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest};

/// Why a lake's manifest cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The directory has no manifest, or does not exist.
    #[error("{} is not a lake: it has no {MANIFEST_FILE}", path.display())]
    NotALake {
        /// The directory.
        path: PathBuf,
    },
    /// The manifest exists but cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A newer tool wrote it.
    #[error(
        "{} has format version {found}; this version of flowlake reads up to {FORMAT_VERSION}: a newer one is needed",
        path.display()
    )]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// Not JSON, or not a manifest's JSON.
    #[error("{} line {line}, column {column}: not a manifest", path.display())]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Why.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    format_version: u32,
}

/// Reads the manifest of the lake at `lake`.
///
/// # Errors
/// When there is none, it cannot be read, a newer tool wrote it, or it is damaged.
pub fn read_manifest(lake: &Path) -> Result<Manifest, ReadError> {
    let path = lake.join(MANIFEST_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(ReadError::NotALake { path: lake.to_owned() });
        }
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    let malformed = |source: serde_json::Error| ReadError::Malformed {
        path: path.clone(),
        line: source.line(),
        column: source.column(),
        source,
    };
    let Version { format_version } = serde_json::from_slice(&text).map_err(malformed)?;
    if format_version > FORMAT_VERSION {
        return Err(ReadError::NewerFormat { path, found: format_version });
    }
    serde_json::from_slice(&text).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let lake = tempfile::tempdir().expect("a directory");
        let manifest = testing::manifest(vec![]);
        let text = serde_json::to_string_pretty(&manifest).expect("JSON");
        fs::write(lake.path().join(MANIFEST_FILE), &text).expect("it is written");
        assert_eq!(read_manifest(lake.path()).expect("it reads"), manifest);
    }

    #[test]
    fn what_is_no_lake_is_said_to_be_none() {
        let lake = tempfile::tempdir().expect("a directory");
        assert!(matches!(read_manifest(lake.path()), Err(ReadError::NotALake { .. })));
        assert!(matches!(read_manifest(&lake.path().join("missing")), Err(ReadError::NotALake { .. })));
        let file = lake.path().join("file");
        fs::write(&file, "").expect("it is written");
        assert!(matches!(read_manifest(&file), Err(ReadError::NotALake { .. })));
    }

    #[test]
    fn newer_and_damaged_manifests_are_told_apart() {
        let lake = tempfile::tempdir().expect("a directory");
        let read = |text: &str| {
            fs::write(lake.path().join(MANIFEST_FILE), text).expect("it is written");
            read_manifest(lake.path()).expect_err("refused")
        };
        let newer = read(r#"{"formatVersion": 2, "files": "elsewhere"}"#);
        assert!(matches!(newer, ReadError::NewerFormat { found: 2, .. }), "{newer:?}");
        let damaged = read("{\n  \"formatVersion\": 1,\n  !");
        assert!(matches!(damaged, ReadError::Malformed { line: 3, column: 3, .. }), "{damaged:?}");
        let partial = read(r#"{"formatVersion": 1}"#);
        assert!(matches!(partial, ReadError::Malformed { .. }), "{partial:?}");
        assert!(matches!(read("[]"), ReadError::Malformed { .. }));
    }
}
