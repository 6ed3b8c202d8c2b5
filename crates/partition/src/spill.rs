//! Rows that wait on disk for their row group.
//!
//! When a writer may hold no more rows in memory, some go to a temporary file, as Arrow IPC streams. It has no name, so that
//! nothing of it is left however the process ends. Where rows waited makes no difference to what becomes of them.

use std::fs::File;
use std::io::{self, Cursor};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::row_buffer::Rows;

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

/// The temporary file of a writer, for rows of all its months: a dump may have more months than a process may have files.
#[derive(Debug)]
pub(crate) struct SpillFile {
    file: File,
    directory: PathBuf,
    end: AtomicU64,
}

impl SpillFile {
    /// An empty one, in a directory that exists.
    pub(crate) fn create(directory: &Path) -> Result<Arc<Self>, SpillError> {
        let directory = directory.to_owned();
        match tempfile::tempfile_in(&directory) {
            Ok(file) => Ok(Arc::new(Self { file, directory, end: AtomicU64::new(0) })),
            Err(source) => Err(SpillError::Create { directory, source }),
        }
    }

    fn error(&self, source: ArrowError) -> SpillError {
        SpillError::Arrow { directory: self.directory.clone(), source }
    }
}

/// Rows on disk, column by column, in the pieces in which they came: a row group that was on disk is encoded without being
/// in memory as a whole again.
pub(crate) struct Spill {
    file: Arc<SpillFile>,
    schema: SchemaRef,
    /// Where the columns of each piece lie.
    pieces: Vec<Vec<Range<u64>>>,
    rows: usize,
    /// Memory of each column, in bytes.
    column_bytes: Vec<usize>,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spill").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Spill {
    /// An empty one for rows with this schema.
    pub(crate) fn new(file: Arc<SpillFile>, schema: &SchemaRef) -> Self {
        let column_bytes = vec![0; schema.fields().len()];
        Self { file, schema: schema.clone(), pieces: Vec::new(), rows: 0, column_bytes }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory that is needed at a time to read the rows back, in bytes, about: the largest column, and once more where it
    /// is joined.
    pub(crate) fn memory_bytes(&self) -> usize {
        2 * self.column_bytes.iter().max().copied().unwrap_or_default()
    }

    /// Adds the next rows.
    pub(crate) fn push(&mut self, rows: Rows) -> Result<(), SpillError> {
        self.rows += rows.len;
        let written = self.write(rows.columns);
        self.pieces.push(written.map_err(|source| self.file.error(source))?);
        Ok(())
    }

    fn write(&mut self, columns: Vec<ArrayRef>) -> Result<Vec<Range<u64>>, ArrowError> {
        let mut ranges = Vec::with_capacity(columns.len());
        let mut bytes = Vec::new();
        for (i, (field, column)) in self.schema.fields().iter().zip(columns).enumerate() {
            self.column_bytes[i] += column.get_buffer_memory_size();
            bytes.clear();
            let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
            let mut stream = StreamWriter::try_new(&mut bytes, &schema)?;
            stream.write(&RecordBatch::try_new(schema, vec![column])?)?;
            stream.finish()?;
            drop(stream);
            // Others of the writer's months may read meanwhile, but only the writer itself adds to the file.
            let start = self.file.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.file.file.write_all_at(&bytes, start)?;
            ranges.push(start..start + bytes.len() as u64);
        }
        Ok(ranges)
    }

    /// Reads a column of all pieces, in order.
    pub(crate) fn column(&self, column: usize) -> Result<Vec<ArrayRef>, SpillError> {
        let read = self.pieces.iter().map(|ranges| self.read(&ranges[column]));
        read.collect::<Result<_, _>>().map_err(|source| self.file.error(source))
    }

    fn read(&self, range: &Range<u64>) -> Result<ArrayRef, ArrowError> {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        self.file.file.read_exact_at(&mut bytes, range.start)?;
        let batches = StreamReader::try_new(Cursor::new(bytes), None)?.collect::<Result<Vec<_>, _>>()?;
        match batches.as_slice() {
            [batch] => Ok(batch.column(0).clone()),
            _ => Err(ArrowError::IpcError(format!("{} batches where one was written", batches.len()))),
        }
    }
}
