//! A data file being written.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use parquet::file::writer::SerializedFileWriter;

use super::WriteError;
use crate::digest::ContentDigest;
use crate::encode::{EncodedRowGroup, Encoder};
use crate::hashing_file::{HashingFile, unfinished};
use crate::layout::{DataPath, timestamp_text};
use crate::manifest::DataFile;

pub(crate) struct OpenFile {
    writer: SerializedFileWriter<HashingFile>,
    root: PathBuf,
    /// Where it will be, but for its digest.
    location: DataPath,
    /// Its temporary name.
    path: PathBuf,
    rows: u64,
    row_groups: u64,
    content: ContentDigest,
    min_flow_start: i64,
    max_flow_start: i64,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl OpenFile {
    pub(crate) fn create(root: &Path, location: DataPath, encoder: &Encoder) -> Result<Self, WriteError> {
        let path = root.join(location.to_string());
        let file = HashingFile::create(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => {
                WriteError::Exists { path: path.clone(), found: unfinished(&path) }
            }
            _ => WriteError::Io { path: path.clone(), source },
        })?;
        // Two dumps of one device would write the same file under two names: that is an error, not rows that are there twice.
        // Nobody else can make that file from here on, so one that is there is there now.
        if let Some(found) = finished(root, &location)? {
            // What matters is the file that is there.
            let _ = fs::remove_file(file.path());
            return Err(WriteError::Exists { path, found });
        }
        let path = file.path().to_owned();
        let writer =
            encoder.file_writer(file).map_err(|source| WriteError::Parquet { path: path.clone(), source })?;
        Ok(Self {
            writer,
            root: root.to_owned(),
            location,
            path,
            rows: 0,
            row_groups: 0,
            content: ContentDigest::default(),
            min_flow_start: i64::MAX,
            max_flow_start: i64::MIN,
        })
    }

    pub(crate) fn row_groups(&self) -> u64 {
        self.row_groups
    }

    pub(crate) fn write(&mut self, group: EncodedRowGroup) -> Result<(), WriteError> {
        let parquet_error = |source| WriteError::Parquet { path: self.path.clone(), source };
        let mut writer = self.writer.next_row_group().map_err(parquet_error)?;
        for chunk in group.chunks {
            chunk.append_to_row_group(&mut writer).map_err(parquet_error)?;
        }
        writer.close().map_err(parquet_error)?;
        self.writer
            .inner_mut()
            .flush()
            .map_err(|source| WriteError::Io { path: self.path.clone(), source })?;
        self.rows += group.rows as u64;
        self.row_groups += 1;
        self.content.push(group.rows, &group.blocks);
        self.min_flow_start = self.min_flow_start.min(group.min_flow_start);
        self.max_flow_start = self.max_flow_start.max(group.max_flow_start);
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn close(self) -> Result<DataFile, WriteError> {
        let file = self
            .writer
            .into_inner()
            .map_err(|source| WriteError::Parquet { path: self.path.clone(), source })?;
        let hashed = file
            .close(|digest| self.root.join(self.location.clone().with_digest(digest).to_string()))
            .map_err(|source| WriteError::Io { path: self.path, source })?;
        let location = self.location.with_digest(hashed.digest);
        let key = location.key();
        Ok(DataFile {
            path: location.to_string(),
            month: key.month().to_string().into(),
            device_class: key.device_class().into(),
            device_name: location.device_name().into(),
            rows: self.rows,
            bytes: hashed.bytes,
            sha256: hashed.sha256,
            content_digest: self.content.finish(),
            min_flow_start: timestamp_text(self.min_flow_start).into(),
            max_flow_start: timestamp_text(self.max_flow_start).into(),
            row_groups: self.row_groups,
        })
    }
}

/// The file of this device, month and number that is there already, if there is one.
fn finished(root: &Path, location: &DataPath) -> Result<Option<PathBuf>, WriteError> {
    let directory = root.join(location.key().to_string());
    let failed = |source| WriteError::Io { path: directory.clone(), source };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{}/{}", location.key(), entry.file_name().to_string_lossy());
        if path.parse().is_ok_and(|found: DataPath| found.is_same_file(location)) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
