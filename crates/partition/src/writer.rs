//! Writes the data files of one dump.
//!
//! A dump's rows go to one file per month, rolled at a row limit, in row groups of a fixed number of rows. Encoding is
//! what costs time and is spread over threads; everything that must have an order is not. So the work is cut in three:
//! [`DatasetWriter::append`] gathers rows into row groups, [`RowGroup::encode`] may run anywhere, and
//! [`DatasetWriter::store`] takes the results in whatever order they come and writes each file in its own. The bytes of
//! the files depend on the rows in order, the schema and the options, and on nothing else.
//!
//! A file gets its name when it is closed, because the name depends on its bytes; until then it has a temporary one beside it.
//!
//! What waits in memory is for the caller to bound: [`DatasetWriter::spill`] moves rows to disk, those of the months first
//! that have got none for longest.

pub(crate) mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use polars::prelude::DataFrame;

use self::file::OpenFile;
use crate::digest::BLOCK_ROWS;
use crate::encode::{EncodeError, EncodedRowGroup, Encoder, RowGroup};
use crate::layout::{DataPath, LayoutError, Month, PartitionKey, check_slug};
use crate::manifest::DataFile;
use crate::profile::TableProfile;
use crate::row_buffer::RowBuffer;
use crate::spill::{Spill, SpillError, SpillFile};
use crate::table::{TableError, TableSchema};

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
    /// Rows could not be handed over.
    #[error("cannot take rows of {device_name} in {month}")]
    Append {
        /// The device.
        device_name: String,
        /// Month of the rows.
        month: Month,
        /// Why.
        source: EncodeError,
    },
    /// Rows could not wait on disk.
    #[error("cannot put rows of {device_name} in {month} on disk to wait")]
    Spill {
        /// The device.
        device_name: String,
        /// Month of the rows.
        month: Month,
        /// Why.
        source: SpillError,
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
    /// A second file of a device, month and number: two dumps of one device, or one dump written twice.
    #[error("cannot write {}: there is {} already", path.display(), found.display())]
    Exists {
        /// The file that was to be written, without the digest of its name.
        path: PathBuf,
        /// The one that is there, finished or not.
        found: PathBuf,
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
    /// Where rows wait that are not in memory; there once some had to.
    spill_file: Option<Arc<SpillFile>>,
    /// Of the rows stored.
    profile: TableProfile,
    /// Frames taken so far.
    appended: u64,
    draining: bool,
}

#[derive(Debug, Default)]
struct MonthState {
    /// Rows not yet given out: first those on disk, then those in memory.
    spilled: Option<Spill>,
    in_memory: Option<RowBuffer>,
    /// When the last of them came.
    touched: u64,
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
            profile: encoder.schema().profile(),
            device_name: device_name.to_owned(),
            device_class: device_class.to_owned(),
            encoder: Arc::new(encoder),
            rows_per_row_group: rows,
            row_groups_per_file: (options.rows_per_file / rows as u64).max(1),
            months: BTreeMap::new(),
            spill_file: None,
            appended: 0,
            draining: false,
        })
    }

    /// Takes the dump's next rows, as [`split_by_month`](crate::split::split_by_month) cut them, and gives out the row
    /// groups that are now complete. Every one must be encoded and stored.
    ///
    /// # Errors
    /// When a frame does not fit the schema, or rows come after [`Self::drain`].
    pub fn append(&mut self, parts: Vec<(Month, DataFrame)>) -> Result<Vec<RowGroup>, WriteError> {
        if self.draining {
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
            let failed = |source| WriteError::Append { device_name: self.device_name.clone(), month, source };
            let rows = self.encoder.rows(&frame, month).map_err(failed)?;
            self.appended += 1;
            let state = self.months.entry(month).or_default();
            state.touched = self.appended;
            let mut start = 0;
            while start < rows.len {
                let room = self.rows_per_row_group - state.waiting_rows();
                let len = room.min(rows.len - start);
                let buffer =
                    state.in_memory.get_or_insert_with(|| RowBuffer::new(self.encoder.waiting_schema()));
                buffer.append(&rows.slice(start, len));
                start += len;
                if len == room {
                    complete.push(state.issue(month, &self.encoder));
                }
            }
        }
        Ok(complete)
    }

    /// Gives out row groups of the rows that are left, one per month, as many as take up to `room_bytes` of memory
    /// together, but at least one; none when none is left. Those that are in memory come first. No rows may follow.
    pub fn drain(&mut self, room_bytes: usize) -> Vec<RowGroup> {
        self.draining = true;
        let mut left: Vec<Month> =
            self.months.iter().filter(|(_, s)| s.waiting_rows() > 0).map(|(m, _)| *m).collect();
        left.sort_by_key(|month| self.months[month].spilled.is_some());
        let mut groups: Vec<RowGroup> = Vec::new();
        let mut bytes = 0;
        for month in left {
            let Some(state) = self.months.get_mut(&month) else { continue };
            bytes += state.waiting_bytes() + self.encoder.row_group_bytes();
            if bytes > room_bytes && !groups.is_empty() {
                break;
            }
            groups.push(state.issue(month, &self.encoder));
        }
        groups
    }

    /// Memory of the rows that were taken and not yet given out, in bytes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.months.values().map(MonthState::memory_bytes).sum()
    }

    /// Moves rows to disk until those in memory take no more than `room_bytes`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn spill(&mut self, room_bytes: usize) -> Result<(), WriteError> {
        let mut bytes = self.memory_bytes();
        while bytes > room_bytes {
            let in_memory = self.months.iter_mut().filter(|(_, state)| state.memory_bytes() > 0);
            let Some((month, state)) = in_memory.min_by_key(|(_, state)| state.touched) else { break };
            let month = *month;
            bytes -= state.memory_bytes();
            let file = match &self.spill_file {
                Some(file) => Ok(Arc::clone(file)),
                None => SpillFile::create(&self.root),
            };
            let spilled = file.and_then(|file| {
                state.spill(&file, &self.encoder)?;
                self.spill_file = Some(file);
                Ok(())
            });
            spilled.map_err(|source| WriteError::Spill {
                device_name: self.device_name.clone(),
                month,
                source,
            })?;
        }
        Ok(())
    }

    /// Takes an encoded row group and writes what is now in order; row groups may come in any order. Gives the entries of the
    /// files that are complete by that: they have their names, their bytes are durable and do not change any more.
    ///
    /// # Errors
    /// When a file cannot be written, or the row group is not one this writer waits for.
    pub fn store(&mut self, group: EncodedRowGroup) -> Result<Vec<DataFile>, WriteError> {
        let (month, index) = (group.month, group.index);
        let unexpected =
            || WriteError::UnexpectedRowGroup { device_name: self.device_name.clone(), month, index };
        let state = self.months.get_mut(&month).ok_or_else(unexpected)?;
        if index >= state.issued || index < state.stored || state.waiting.contains_key(&index) {
            return Err(unexpected());
        }
        self.profile.merge(&group.profile);
        state.waiting.insert(index, group);
        let complete = state.files.len();
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
            // Nothing is left of a month whose last rows were given out.
            let last = self.draining && state.waiting_rows() == 0 && state.stored == state.issued;
            if file.row_groups() < self.row_groups_per_file && !last {
                state.open = Some(file);
            } else {
                state.files.push(file.close()?);
            }
        }
        Ok(state.files[complete..].to_vec())
    }

    /// The profile of the rows that were stored.
    #[must_use]
    pub fn profile(&self) -> &TableProfile {
        &self.profile
    }

    /// Closes the files that are still open. Gives the entries of all files, ordered by path: those that [`Self::store`] gave,
    /// and where a month's last row group was stored before [`Self::drain`], one more.
    ///
    /// # Errors
    /// When a file cannot be written, or rows that were appended were not stored.
    pub fn finish(self) -> Result<Vec<DataFile>, WriteError> {
        let mut files = Vec::new();
        for (month, mut state) in self.months {
            let missing = state.issued_rows + state.waiting_rows() as u64 - state.stored_rows;
            if missing > 0 {
                return Err(WriteError::MissingRows { device_name: self.device_name, month, rows: missing });
            }
            files.append(&mut state.files);
            if let Some(file) = state.open {
                files.push(file.close()?);
            }
        }
        // Months ascend, and numbers have a fixed width and stand before the digests: the order of the paths already.
        Ok(files)
    }
}

impl MonthState {
    fn waiting_rows(&self) -> usize {
        self.spilled.as_ref().map_or(0, Spill::rows) + self.in_memory.as_ref().map_or(0, RowBuffer::rows)
    }

    /// Memory of the rows that wait in memory.
    fn memory_bytes(&self) -> usize {
        self.in_memory.as_ref().map_or(0, RowBuffer::memory_bytes)
    }

    /// Memory that the rows that wait take as a row group, but for what every row group takes.
    fn waiting_bytes(&self) -> usize {
        self.memory_bytes() + self.spilled.as_ref().map_or(0, Spill::memory_bytes)
    }

    fn spill(&mut self, file: &Arc<SpillFile>, encoder: &Encoder) -> Result<(), SpillError> {
        let Some(mut buffer) = self.in_memory.take() else { return Ok(()) };
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Spill::new(Arc::clone(file), encoder.waiting_schema())),
        };
        spilled.push(buffer.take())
    }

    /// Makes all waiting rows the month's next row group.
    fn issue(&mut self, month: Month, encoder: &Arc<Encoder>) -> RowGroup {
        let spilled = self.spilled.take();
        let mut buffer = self.in_memory.take().unwrap_or_else(|| RowBuffer::new(encoder.waiting_schema()));
        let in_memory_bytes = buffer.memory_bytes();
        let group = RowGroup {
            encoder: Arc::clone(encoder),
            month,
            index: self.issued,
            spilled,
            in_memory: buffer.take(),
            in_memory_bytes,
        };
        self.issued += 1;
        self.issued_rows += group.rows() as u64;
        group
    }
}

#[cfg(test)]
mod tests;
