//! Reads a whole data file, block by block, and proves on the way that its rows are those the manifest lists.
//!
//! Whoever hands rows on in another form takes the proof of the lake away from them: the reader of a CSV file has no digest
//! to compare with. So this is the last place where a damaged, exchanged or cut-off data file can be noticed, and it is
//! noticed here. One block is in memory at a time, however large the file is.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use flowlake_store::{LakeStore, StoreError};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use crate::digest::{BLOCK_ROWS, BlockDigests, ContentDigest, DigestError};
use crate::layout::{DataPath, LayoutError};
use crate::manifest::{Column, DataFile};
use crate::rewrite::FileLayout;
use crate::table::arrow_schema_of;

/// Why a data file cannot be read, or is not the one its entry describes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The manifest lists a path no data file can have. It was not opened.
    #[error("the manifest lists a data file that cannot be one")]
    Path(#[source] LayoutError),
    /// The path says another month, class or device than the entry.
    #[error("{path}: the manifest says {what} {expected}")]
    Partition {
        /// Path below the lake's root.
        path: String,
        /// `month`, `deviceClass` or `deviceName`.
        what: &'static str,
        /// What the entry says.
        expected: String,
    },
    /// The file cannot be opened or fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not there.
    #[error("{name} is not there, but the manifest lists it")]
    Missing {
        /// Path or URL.
        name: String,
    },
    /// The file is no Parquet, is damaged, or has other columns than the manifest says.
    #[error("cannot read {name}")]
    Parquet {
        /// Path or URL of the file.
        name: String,
        /// Why.
        source: ParquetError,
    },
    /// A column has another type than the manifest says.
    #[error("cannot read {name}")]
    Column {
        /// Path or URL of the file.
        name: String,
        /// Why.
        source: DigestError,
    },
    /// It has another number of rows.
    #[error("{name} has {found} rows, but the manifest says {expected}")]
    Rows {
        /// Path or URL of the file.
        name: String,
        /// Rows its entry has.
        expected: u64,
        /// Rows it has.
        found: u64,
    },
    /// It has as many rows, but others.
    #[error("{name} holds other rows than the manifest says: their content digest differs")]
    ContentDigest {
        /// Path or URL of the file.
        name: String,
    },
}

/// The rows of a data file in batches of at most 65,536, in the order of the file, with exactly the columns of the
/// manifest and without partition columns.
///
/// An error ends the iteration. Only an iteration that ended *without* an error has given the rows that the manifest lists:
/// their number and their content digest are compared after the last batch.
pub struct DataFileRows {
    name: String,
    columns: Vec<Column>,
    reader: ParquetRecordBatchReader,
    expected_rows: u64,
    expected_digest: String,
    rows: u64,
    content: ContentDigest,
    ended: bool,
    layout: FileLayout,
}

impl DataFileRows {
    /// Opens the data file of an entry of the manifest of `lake`; `columns` are those of the manifest's schema.
    ///
    /// # Errors
    /// [`ScanError`] when the entry's path is none, or the file is not there, or not a Parquet file with these columns.
    pub fn open(lake: &LakeStore, columns: &[Column], entry: &DataFile) -> Result<Self, ScanError> {
        check_path(entry)?;
        let name = lake.name(&entry.path);
        let parquet = |source| ScanError::Parquet { name: name.clone(), source };
        let found = lake.entry(&entry.path)?.ok_or_else(|| ScanError::Missing { name: name.clone() })?;
        let file = lake.fetch(&found)?;
        // The types that count are Parquet's own, which every engine sees.
        let options =
            ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_schema(arrow_schema_of(columns));
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(parquet)?;
        let layout = FileLayout::of(builder.metadata());
        let reader = builder.with_batch_size(BLOCK_ROWS).build().map_err(parquet)?;
        Ok(Self {
            name,
            columns: columns.to_vec(),
            reader,
            expected_rows: entry.rows,
            expected_digest: entry.content_digest.clone(),
            rows: 0,
            content: ContentDigest::default(),
            ended: false,
            layout,
        })
    }

    /// How the file is written.
    #[must_use]
    pub fn layout(&self) -> &FileLayout {
        &self.layout
    }

    /// Takes the batch into the proof.
    fn prove(&mut self, batch: &RecordBatch) -> Result<(), ScanError> {
        let rows = batch.num_rows();
        let mut digests = BlockDigests::new(rows);
        for (column, values) in self.columns.iter().zip(batch.columns()) {
            digests
                .column(&column.name, column.data_type, values)
                .map_err(|source| ScanError::Column { name: self.name.clone(), source })?;
        }
        self.content.push(rows, &digests.finish());
        self.rows += rows as u64;
        Ok(())
    }

    fn check_end(&mut self) -> Result<(), ScanError> {
        if self.rows != self.expected_rows {
            return Err(ScanError::Rows {
                name: self.name.clone(),
                expected: self.expected_rows,
                found: self.rows,
            });
        }
        if std::mem::take(&mut self.content).finish() != self.expected_digest {
            return Err(ScanError::ContentDigest { name: self.name.clone() });
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        match self.reader.next() {
            Some(Ok(batch)) => {
                self.prove(&batch)?;
                Ok(Some(batch))
            }
            Some(Err(error)) => {
                Err(ScanError::Parquet { name: self.name.clone(), source: ParquetError::from(error) })
            }
            None => self.check_end().map(|()| None),
        }
    }
}

impl Iterator for DataFileRows {
    type Item = Result<RecordBatch, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The Arrow schema of the batches of a lake with these columns. Text is `Utf8View`.
#[must_use]
pub fn batch_schema(columns: &[Column]) -> SchemaRef {
    arrow_schema_of(columns)
}

/// Checks that an entry's path is one that a data file of its month, class and device has. The manifest may have been
/// written by somebody else, and no name in it is to lead out of the lake, or out of a directory that is made of it.
///
/// # Errors
/// [`ScanError::Path`] or [`ScanError::Partition`].
pub fn check_path(entry: &DataFile) -> Result<(), ScanError> {
    let path: DataPath = entry.path.parse().map_err(ScanError::Path)?;
    let month = path.key().month().to_string();
    for (what, expected, found) in [
        ("month", &*entry.month, &*month),
        ("deviceClass", &entry.device_class, path.key().device_class()),
        ("deviceName", &entry.device_name, path.device_name()),
    ] {
        if expected != found {
            let (path, expected) = (entry.path.clone(), expected.to_owned());
            return Err(ScanError::Partition { path, what, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::publish::PublishMode;
    use crate::testing;

    const ROWS: usize = BLOCK_ROWS + 100;

    fn lake() -> (tempfile::TempDir, Manifest) {
        let directory = tempfile::tempdir().expect("a directory");
        let lake = directory.path().join("lake");
        let manifest = testing::publish_lake(&lake, 0, ROWS, PublishMode::Fresh);
        (directory, manifest)
    }

    fn scan(
        directory: &tempfile::TempDir,
        manifest: &Manifest,
        entry: &DataFile,
    ) -> Result<usize, ScanError> {
        let rows = DataFileRows::open(
            &LakeStore::Directory(directory.path().join("lake")),
            &manifest.schema.columns,
            entry,
        )?;
        rows.map(|batch| batch.map(|batch| batch.num_rows())).sum()
    }

    #[test]
    fn all_rows_come_in_blocks_and_are_those_of_the_manifest() {
        let (directory, manifest) = lake();
        let lake = LakeStore::Directory(directory.path().join("lake"));
        let mut rows = 0;
        for entry in &manifest.files {
            for batch in DataFileRows::open(&lake, &manifest.schema.columns, entry).expect("it opens") {
                let batch = batch.expect("it reads");
                assert!(batch.num_rows() <= BLOCK_ROWS);
                assert_eq!(batch.num_columns(), manifest.schema.columns.len());
                rows += batch.num_rows();
            }
        }
        assert_eq!(rows, ROWS);
    }

    #[test]
    fn other_rows_than_the_manifest_says_are_an_error() {
        let (directory, manifest) = lake();
        let entry = &manifest.files[0];
        scan(&directory, &manifest, entry).expect("it is right");
        let fewer = DataFile { rows: entry.rows + 1, ..entry.clone() };
        assert!(matches!(scan(&directory, &manifest, &fewer), Err(ScanError::Rows { .. })));
        let others = DataFile { content_digest: "0".repeat(64), ..entry.clone() };
        assert!(matches!(scan(&directory, &manifest, &others), Err(ScanError::ContentDigest { .. })));
    }

    #[test]
    fn an_error_is_the_last_that_is_heard_of_a_file() {
        let (directory, manifest) = lake();
        let entry = DataFile { content_digest: "0".repeat(64), ..manifest.files[0].clone() };
        let lake = LakeStore::Directory(directory.path().join("lake"));
        let mut rows = DataFileRows::open(&lake, &manifest.schema.columns, &entry).expect("it opens");
        assert!(rows.by_ref().any(|batch| batch.is_err()));
        assert!(rows.next().is_none());
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_opened() {
        let (directory, manifest) = lake();
        let entry = DataFile { path: "../elsewhere.parquet".to_owned(), ..manifest.files[0].clone() };
        assert!(matches!(scan(&directory, &manifest, &entry), Err(ScanError::Path(_))));
        let entry = DataFile { device_class: "other".into(), ..manifest.files[0].clone() };
        let error = scan(&directory, &manifest, &entry).expect_err("refused");
        assert!(matches!(error, ScanError::Partition { what: "deviceClass", .. }), "{error:?}");
    }

    #[test]
    fn other_columns_than_those_of_the_manifest_are_an_error() {
        let (directory, mut manifest) = lake();
        let entry = manifest.files[0].clone();
        manifest.schema.columns.pop();
        assert!(matches!(scan(&directory, &manifest, &entry), Err(ScanError::Parquet { .. })));
    }
}
