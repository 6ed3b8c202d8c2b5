//! Reads the manifest of a lake.
//!
//! Whatever opens a lake begins here, so here is decided what counts as one, and what happens when a newer tool wrote
//! it: the version is looked at before anything else, since everything else may have changed with it. A manifest that is an
//! index is read with its lists.

use flowlake_store::{LakeStore, StoreError};
use serde::Deserialize;

use crate::manifest::{INDEX_FORMAT_VERSION, ListError, MANIFEST_FILE, Manifest};

/// Why a lake's manifest cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The place has no manifest, or does not exist.
    #[error("{place} is not a lake: it has no {MANIFEST_FILE}")]
    NotALake {
        /// Path or URL.
        place: String,
    },
    /// The manifest exists but cannot be read, or the store cannot be asked for it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A newer tool wrote it.
    #[error(
        "{name} has format version {found}; this version of flowlake reads up to {INDEX_FORMAT_VERSION}: a newer one is needed"
    )]
    NewerFormat {
        /// Path or URL of the manifest.
        name: String,
        /// Its format version.
        found: u32,
    },
    /// Not JSON, or not a manifest's JSON.
    #[error("{name} line {line}, column {column}: not a manifest")]
    Malformed {
        /// Path or URL of the manifest.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// One of its lists is not what it should be.
    #[error(transparent)]
    List(Box<ListError>),
}

impl From<ListError> for ReadError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Store(error) => Self::Store(error),
            error => Self::List(Box::new(error)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    format_version: u32,
}

/// Reads the manifest of a lake.
///
/// # Errors
/// When there is none, it cannot be read, a newer tool wrote it, or it is damaged.
pub fn read_manifest(lake: &LakeStore) -> Result<Manifest, ReadError> {
    read_manifest_and_text(lake).map(|(manifest, _)| manifest)
}

/// As [`read_manifest`], with the bytes it was read from.
pub(crate) fn read_manifest_and_text(lake: &LakeStore) -> Result<(Manifest, Vec<u8>), ReadError> {
    let read = || lake.read(MANIFEST_FILE)?.ok_or_else(|| ReadError::NotALake { place: lake.name("") });
    let mut text = read()?;
    loop {
        match understand_manifest(&text, lake) {
            Ok(manifest) => return Ok((manifest, text)),
            Err(error @ ReadError::List(_)) => {
                // The lists go when the lake is replaced; then there is another manifest by now.
                let now = read()?;
                if now == text {
                    return Err(error);
                }
                text = now;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Understands the text of the manifest of a lake, and reads what is in its lists.
///
/// # Errors
/// When a newer tool wrote it, it is damaged, or a list cannot be read.
pub(crate) fn understand_manifest(text: &[u8], lake: &LakeStore) -> Result<Manifest, ReadError> {
    let name = lake.name(MANIFEST_FILE);
    let mut manifest = parse_manifest(text, &name)?;
    manifest.load(lake, &name)?;
    Ok(manifest)
}

/// Understands the text of a manifest, and reads no list; `name` is for errors.
///
/// # Errors
/// When a newer tool wrote it, or it is damaged.
pub fn parse_manifest(text: &[u8], name: &str) -> Result<Manifest, ReadError> {
    let malformed = |source: serde_json::Error| ReadError::Malformed {
        name: name.to_owned(),
        line: source.line(),
        column: source.column(),
        source,
    };
    let Version { format_version } = serde_json::from_slice(text).map_err(malformed)?;
    if format_version > INDEX_FORMAT_VERSION {
        return Err(ReadError::NewerFormat { name: name.to_owned(), found: format_version });
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(malformed)?;
    if format_version < INDEX_FORMAT_VERSION && manifest.lists().next().is_some() {
        let source =
            format!("lists are of format version {INDEX_FORMAT_VERSION}, and it says {format_version}");
        return Err(malformed(serde::de::Error::custom(source)));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;
    use crate::testing;

    fn store(directory: &std::path::Path) -> LakeStore {
        LakeStore::Directory(directory.to_owned())
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let lake = tempfile::tempdir().expect("a directory");
        let manifest = testing::manifest(vec![]);
        let text = serde_json::to_string_pretty(&manifest).expect("JSON");
        fs::write(lake.path().join(MANIFEST_FILE), &text).expect("it is written");
        assert_eq!(read_manifest(&store(lake.path())).expect("it reads"), manifest);
    }

    #[test]
    fn what_is_no_lake_is_said_to_be_none() {
        let lake = tempfile::tempdir().expect("a directory");
        assert!(matches!(read_manifest(&store(lake.path())), Err(ReadError::NotALake { .. })));
        assert!(matches!(
            read_manifest(&store(&lake.path().join("missing"))),
            Err(ReadError::NotALake { .. })
        ));
        let file = lake.path().join("file");
        fs::write(&file, "").expect("it is written");
        assert!(matches!(read_manifest(&store(&file)), Err(ReadError::NotALake { .. })));
    }

    #[test]
    fn newer_and_damaged_manifests_are_told_apart() {
        let lake = tempfile::tempdir().expect("a directory");
        let read = |text: &str| {
            fs::write(lake.path().join(MANIFEST_FILE), text).expect("it is written");
            read_manifest(&store(lake.path())).expect_err("refused")
        };
        let newer = read(r#"{"formatVersion": 3, "files": "elsewhere"}"#);
        assert!(matches!(newer, ReadError::NewerFormat { found: 3, .. }), "{newer:?}");
        let damaged = read("{\n  \"formatVersion\": 1,\n  !");
        assert!(matches!(damaged, ReadError::Malformed { line: 3, column: 3, .. }), "{damaged:?}");
        let partial = read(r#"{"formatVersion": 1}"#);
        assert!(matches!(partial, ReadError::Malformed { .. }), "{partial:?}");
        assert!(matches!(read("[]"), ReadError::Malformed { .. }));
    }
}
