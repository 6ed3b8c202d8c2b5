//! Rows that wait on disk for their row group.
//!
//! When a writer may hold no more rows in memory, some go to a temporary file, as Arrow IPC streams. It has no name, so that
//! nothing of it is left however the process ends. Where rows waited makes no difference to what becomes of them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::row_buffer::Rows;

/// Bytes read or written at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Rows that could not be put on disk or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpillError {
    /// No temporary file could be made.
    #[error("cannot make a temporary file in {}", directory.display())]
    Create {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written or read; a full disk shows up here.
    #[error("cannot use a temporary file in {}", directory.display())]
    Arrow {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: ArrowError,
    },
}

/// Rows on disk, column by column, in the pieces in which they came: a row group that was on disk is encoded without being
/// in memory as a whole again.
pub(crate) struct Spill {
    file: File,
    directory: PathBuf,
    schema: SchemaRef,
    /// Where the columns of each piece end, the first beginning where the last of the piece before ended.
    pieces: Vec<Vec<u64>>,
    rows: usize,
    largest_column_bytes: usize,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spill").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Spill {
    /// An empty one for rows with this schema, in a directory that exists.
    pub(crate) fn create(directory: &Path, schema: &SchemaRef) -> Result<Self, SpillError> {
        let directory = directory.to_owned();
        match tempfile::tempfile_in(&directory) {
            Ok(file) => Ok(Self {
                file,
                directory,
                schema: schema.clone(),
                pieces: Vec::new(),
                rows: 0,
                largest_column_bytes: 0,
            }),
            Err(source) => Err(SpillError::Create { directory, source }),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory that is needed at a time to read the rows back, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.largest_column_bytes
    }

    /// Adds the next rows.
    pub(crate) fn push(&mut self, rows: Rows) -> Result<(), SpillError> {
        let start = self.pieces.last().and_then(|ends| ends.last()).copied().unwrap_or_default();
        self.rows += rows.len;
        let written = self.write(start, rows.columns);
        self.pieces.push(written.map_err(|source| self.error(source))?);
        Ok(())
    }

    fn write(&mut self, start: u64, columns: Vec<ArrayRef>) -> Result<Vec<u64>, ArrowError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        let mut ends = Vec::with_capacity(columns.len());
        let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        for (field, column) in self.schema.fields().iter().zip(columns) {
            self.largest_column_bytes += column.get_buffer_memory_size() / self.schema.fields().len();
            let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
            let mut stream = StreamWriter::try_new(&mut buffered, &schema)?;
            stream.write(&RecordBatch::try_new(schema, vec![column])?)?;
            stream.finish()?;
            ends.push(buffered.stream_position()?);
        }
        buffered.flush()?;
        Ok(ends)
    }

    /// Reads a column of all pieces, in order.
    pub(crate) fn column(&self, column: usize) -> Result<Vec<ArrayRef>, SpillError> {
        let mut start = 0;
        let mut arrays = Vec::with_capacity(self.pieces.len());
        for ends in &self.pieces {
            let from = if column == 0 { start } else { ends[column - 1] };
            arrays.push(self.read(from, ends[column]).map_err(|source| self.error(source))?);
            start = ends.last().copied().unwrap_or(start);
        }
        Ok(arrays)
    }

    fn read(&self, from: u64, to: u64) -> Result<ArrayRef, ArrowError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(from))?;
        let stream =
            StreamReader::try_new(BufReader::with_capacity(BUFFER_BYTES, file.take(to - from)), None)?;
        let batches = stream.collect::<Result<Vec<_>, _>>()?;
        match batches.as_slice() {
            [batch] => Ok(batch.column(0).clone()),
            _ => Err(ArrowError::IpcError(format!("{} batches where one was written", batches.len()))),
        }
    }

    fn error(&self, source: ArrowError) -> SpillError {
        SpillError::Arrow { directory: self.directory.clone(), source }
    }
}
