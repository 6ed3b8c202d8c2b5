//! Writes the data files of one dump.
//!
//! A dump's rows go to one file per month, rolled at a row limit, in row groups of a fixed number of rows. Encoding is
//! what costs time and is spread over threads; everything that must have an order is not. So the work is cut in three:
//! [`DatasetWriter::append`] gathers rows into row groups, [`RowGroup::encode`] may run anywhere, and
//! [`DatasetWriter::store`] takes the results in whatever order they come and writes each file in its own. The bytes of
//! the files depend on the rows in order, the schema and the options, and on nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use polars::prelude::DataFrame;
use sha2::{Digest, Sha256};

use crate::digest::{BLOCK_ROWS, ContentDigest, hex};
use crate::encode::{EncodeError, EncodedRowGroup, Encoder, RowGroup};
use crate::layout::{DataPath, LayoutError, Month, PartitionKey, check_slug, timestamp_text};
use crate::manifest::DataFile;
use crate::table::{TableError, TableSchema};

/// Bytes a file gathers before it asks the system to write them.
const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// How data files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterOptions {
    /// Rows of every row group but a file's last: a multiple of [`BLOCK_ROWS`], so that each has its own blocks of the
    /// content digest. Default 65,536.
    pub rows_per_row_group: usize,
    /// Rows after which a new file begins, rounded down to whole row groups, at least one. Default 10,000,000.
    pub rows_per_file: u64,
    /// Zstandard level, 1 to 22. Default 1.
    pub compression_level: i32,
    /// Key-value pairs in every footer, in this order.
    pub key_value_metadata: Vec<(String, String)>,
    /// Columns with a bloom filter per row group. Default none.
    pub bloom_filter_columns: Vec<String>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            rows_per_row_group: BLOCK_ROWS,
            rows_per_file: 10_000_000,
            compression_level: 1,
            key_value_metadata: Vec::new(),
            bloom_filter_columns: Vec::new(),
        }
    }
}

/// Why data files cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An option that cannot be.
    #[error("rows_per_row_group is {rows}: it must be a multiple of {BLOCK_ROWS}")]
    RowGroupSize {
        /// The option's value.
        rows: usize,
    },
    /// A bloom filter for a column that does not exist.
    #[error("no column {column} to make a bloom filter of")]
    NoSuchColumn {
        /// The column.
        column: String,
    },
    /// A device name, class or file number that cannot be part of a path.
    #[error("cannot name a data file of {device_name}")]
    Layout {
        /// The device.
        device_name: String,
        /// Why.
        source: LayoutError,
    },
    /// The encoder could not be made.
    #[error("cannot write data files of {device_name}")]
    Encoder {
        /// The device.
        device_name: String,
        /// Why.
        source: EncodeError,
    },
    /// A frame does not have the table's columns.
    #[error("rows of {device_name} in {month} do not fit the table")]
    Table {
        /// The device.
        device_name: String,
        /// Month of the rows.
        month: Month,
        /// Why.
        source: TableError,
    },
    /// Rows after the last ones.
    #[error("rows of {device_name} came after its writer was drained")]
    AppendAfterDrain {
        /// The device.
        device_name: String,
    },
    /// A directory or file could not be made or written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Parquet's own writer failed; a full disk while it writes shows up here too.
    #[error("cannot write {}", path.display())]
    Parquet {
        /// The path.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A row group that was not made by this writer, or was stored before.
    #[error("row group {index} of {device_name} in {month} was not expected")]
    UnexpectedRowGroup {
        /// The device.
        device_name: String,
        /// Month of the row group.
        month: Month,
        /// Its position in the month, from 0.
        index: u64,
    },
    /// A row group that was made but not stored, or rows that were not drained.
    #[error("{rows} rows of {device_name} in {month} were not stored")]
    MissingRows {
        /// The device.
        device_name: String,
        /// The month.
        month: Month,
        /// How many rows were not.
        rows: u64,
    },
}

/// Writes the data files of one dump below the root of a staged lake.
#[derive(Debug)]
pub struct DatasetWriter {
    root: PathBuf,
    device_name: String,
    device_class: String,
    encoder: Arc<Encoder>,
    rows_per_row_group: usize,
    row_groups_per_file: u64,
    months: BTreeMap<Month, MonthState>,
    drained: bool,
}

#[derive(Debug, Default)]
struct MonthState {
    /// Rows not yet given out.
    buffered: VecDeque<DataFrame>,
    buffered_rows: usize,
    /// Row groups and rows given out to be encoded.
    issued: u64,
    issued_rows: u64,
    /// Row groups and rows written.
    stored: u64,
    stored_rows: u64,
    /// Encoded row groups that came before their predecessors.
    waiting: BTreeMap<u64, EncodedRowGroup>,
    open: Option<OpenFile>,
    files: Vec<DataFile>,
}

impl DatasetWriter {
    /// A writer of a device's rows below `root`. Creates nothing until there are rows.
    ///
    /// # Errors
    /// When a name is no slug, an option is out of range, or Parquet does not take the schema.
    pub fn new(
        root: &Path,
        device_name: &str,
        device_class: &str,
        schema: Arc<TableSchema>,
        options: &WriterOptions,
    ) -> Result<Self, WriteError> {
        for slug in [device_name, device_class] {
            check_slug(slug)
                .map_err(|source| WriteError::Layout { device_name: device_name.to_owned(), source })?;
        }
        let rows = options.rows_per_row_group;
        if rows == 0 || !rows.is_multiple_of(BLOCK_ROWS) {
            return Err(WriteError::RowGroupSize { rows });
        }
        if let Some(column) =
            options.bloom_filter_columns.iter().find(|name| schema.columns().iter().all(|c| c.name != **name))
        {
            return Err(WriteError::NoSuchColumn { column: column.clone() });
        }
        let encoder = Encoder::new(schema, options)
            .map_err(|source| WriteError::Encoder { device_name: device_name.to_owned(), source })?;
        Ok(Self {
            root: root.to_owned(),
            device_name: device_name.to_owned(),
            device_class: device_class.to_owned(),
            encoder: Arc::new(encoder),
            rows_per_row_group: rows,
            row_groups_per_file: (options.rows_per_file / rows as u64).max(1),
            months: BTreeMap::new(),
            drained: false,
        })
    }

    /// Takes the dump's next rows, as [`split_by_month`](crate::split::split_by_month) cut them, and gives out the row
    /// groups that are now complete. Every one must be encoded and stored.
    ///
    /// # Errors
    /// When a frame does not fit the schema, or rows come after [`Self::drain`].
    pub fn append(&mut self, parts: Vec<(Month, DataFrame)>) -> Result<Vec<RowGroup>, WriteError> {
        if self.drained {
            return Err(WriteError::AppendAfterDrain { device_name: self.device_name.clone() });
        }
        let mut complete = Vec::new();
        for (month, frame) in parts {
            self.encoder.schema().check(&frame).map_err(|source| WriteError::Table {
                device_name: self.device_name.clone(),
                month,
                source,
            })?;
            if frame.height() == 0 {
                continue;
            }
            let state = self.months.entry(month).or_default();
            state.buffered_rows += frame.height();
            state.buffered.push_back(frame);
            while state.buffered_rows >= self.rows_per_row_group {
                complete.push(state.issue(month, self.rows_per_row_group, &self.encoder));
            }
        }
        Ok(complete)
    }

    /// Gives out the rows that are left, as one last row group per month, months ascending. No rows may follow.
    pub fn drain(&mut self) -> Vec<RowGroup> {
        self.drained = true;
        let encoder = &self.encoder;
        self.months
            .iter_mut()
            .filter(|(_, state)| state.buffered_rows > 0)
            .map(|(month, state)| state.issue(*month, state.buffered_rows, encoder))
            .collect()
    }

    /// Rows taken but not yet given out: what is held of memory between batches.
    #[must_use]
    pub fn buffered_rows(&self) -> usize {
        self.months.values().map(|state| state.buffered_rows).sum()
    }

    /// Takes an encoded row group and writes what is now in order; row groups may come in any order.
    ///
    /// # Errors
    /// When a file cannot be written, or the row group is not one this writer waits for.
    pub fn store(&mut self, group: EncodedRowGroup) -> Result<(), WriteError> {
        let (month, index) = (group.month, group.index);
        let unexpected =
            || WriteError::UnexpectedRowGroup { device_name: self.device_name.clone(), month, index };
        let state = self.months.get_mut(&month).ok_or_else(unexpected)?;
        if index >= state.issued || index < state.stored || state.waiting.contains_key(&index) {
            return Err(unexpected());
        }
        state.waiting.insert(index, group);
        while let Some(group) = state.waiting.remove(&state.stored) {
            let mut file = match state.open.take() {
                Some(file) => file,
                None => {
                    let number = u32::try_from(state.files.len()).unwrap_or(u32::MAX);
                    let path = PartitionKey::new(month, &self.device_class)
                        .and_then(|key| DataPath::new(key, &self.device_name, number))
                        .map_err(|source| WriteError::Layout {
                            device_name: self.device_name.clone(),
                            source,
                        })?;
                    OpenFile::create(&self.root, path, &self.encoder)?
                }
            };
            state.stored_rows += group.rows as u64;
            state.stored += 1;
            file.write(group)?;
            if file.row_groups < self.row_groups_per_file {
                state.open = Some(file);
            } else {
                state.files.push(file.close()?);
            }
        }
        Ok(())
    }

    /// Closes all files and makes them durable. Gives their entries of the manifest, ordered by path.
    ///
    /// # Errors
    /// When a file cannot be written, or rows that were appended were not stored.
    pub fn finish(self) -> Result<Vec<DataFile>, WriteError> {
        let mut files = Vec::new();
        for (month, mut state) in self.months {
            let missing = state.issued_rows + state.buffered_rows as u64 - state.stored_rows;
            if missing > 0 {
                return Err(WriteError::MissingRows { device_name: self.device_name, month, rows: missing });
            }
            files.append(&mut state.files);
            if let Some(file) = state.open {
                files.push(file.close()?);
            }
        }
        // Months ascend and numbers have a fixed width, so this is the order of the paths already.
        Ok(files)
    }
}

impl MonthState {
    /// Cuts the first `rows` buffered rows off as the month's next row group; there are at least as many.
    fn issue(&mut self, month: Month, rows: usize, encoder: &Arc<Encoder>) -> RowGroup {
        let mut frames = Vec::new();
        let mut wanted = rows;
        while wanted > 0
            && let Some(frame) = self.buffered.pop_front()
        {
            let height = frame.height();
            if height <= wanted {
                wanted -= height;
                frames.push(frame);
            } else {
                frames.push(frame.slice(0, wanted));
                self.buffered.push_front(frame.slice(wanted as i64, height - wanted));
                wanted = 0;
            }
        }
        let index = self.issued;
        self.buffered_rows -= rows;
        self.issued += 1;
        self.issued_rows += rows as u64;
        RowGroup { encoder: Arc::clone(encoder), month, index, frames, rows }
    }
}

/// A data file being written.
struct OpenFile {
    writer: SerializedFileWriter<HashingFile>,
    location: DataPath,
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
    fn create(root: &Path, location: DataPath, encoder: &Encoder) -> Result<Self, WriteError> {
        let path = root.join(location.to_string());
        let io_error = |source| WriteError::Io { path: path.clone(), source };
        let directory = root.join(location.key().to_string());
        fs::create_dir_all(&directory).map_err(io_error)?;
        // Two dumps of one device would write the same file: that is an error, not a loss of rows.
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(io_error)?;
        let writer = encoder
            .file_writer(HashingFile::new(file))
            .map_err(|source| WriteError::Parquet { path: path.clone(), source })?;
        Ok(Self {
            writer,
            location,
            path,
            rows: 0,
            row_groups: 0,
            content: ContentDigest::default(),
            min_flow_start: i64::MAX,
            max_flow_start: i64::MIN,
        })
    }

    fn write(&mut self, group: EncodedRowGroup) -> Result<(), WriteError> {
        let parquet_error = |source| WriteError::Parquet { path: self.path.clone(), source };
        let mut writer = self.writer.next_row_group().map_err(parquet_error)?;
        for chunk in group.chunks {
            chunk.append_to_row_group(&mut writer).map_err(parquet_error)?;
        }
        writer.close().map_err(parquet_error)?;
        self.rows += group.rows as u64;
        self.row_groups += 1;
        self.content.push(group.rows, &group.blocks);
        self.min_flow_start = self.min_flow_start.min(group.min_flow_start);
        self.max_flow_start = self.max_flow_start.max(group.max_flow_start);
        Ok(())
    }

    fn close(self) -> Result<DataFile, WriteError> {
        let file = self
            .writer
            .into_inner()
            .map_err(|source| WriteError::Parquet { path: self.path.clone(), source })?;
        let (bytes, sha256) = file.close().map_err(|source| WriteError::Io { path: self.path, source })?;
        let key = self.location.key();
        Ok(DataFile {
            path: self.location.to_string(),
            month: key.month().to_string(),
            device_class: key.device_class().to_owned(),
            device_name: self.location.device_name().to_owned(),
            rows: self.rows,
            bytes,
            sha256,
            content_digest: self.content.finish(),
            min_flow_start: timestamp_text(self.min_flow_start),
            max_flow_start: timestamp_text(self.max_flow_start),
            row_groups: self.row_groups,
        })
    }
}

/// A file that is hashed while it is written, so that it need not be read again.
struct HashingFile {
    file: BufWriter<fs::File>,
    sha256: Sha256,
    bytes: u64,
}

impl HashingFile {
    fn new(file: fs::File) -> Self {
        Self { file: BufWriter::with_capacity(FILE_BUFFER_BYTES, file), sha256: Sha256::new(), bytes: 0 }
    }

    /// Makes the file durable and gives its size in bytes and its SHA-256, hexadecimal.
    fn close(self) -> io::Result<(u64, String)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok((self.bytes, hex(&self.sha256.finalize())))
    }
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_all(buffer)?;
        Ok(buffer.len())
    }

    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        self.file.write_all(buffer)?;
        self.sha256.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
