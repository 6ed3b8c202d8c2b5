//! Forms and compressions, and the writer of one file that they add up to.

use std::io;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use flowlake_partition::manifest::Manifest;
use fs_err as fs;

use crate::arrow::ArrowWriter;
use crate::csv::Csv;
use crate::ndjson::Ndjson;
use crate::sink::Sink;
use crate::text::TextWriter;

/// The form rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 with a header, but line feeds alone end lines. Nothing between commas is null, `""` is empty text.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// The Arrow IPC file format, also known as Feather version 2.
    Arrow,
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip around the file.
    Gzip,
    /// zstd around the file; inside it for Arrow.
    Zstd,
}

/// A form with a compression it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    format: Format,
    compression: Compression,
}

/// Arrow files are compressed inside, buffer by buffer, so that a reader can still take single columns and batches; gzip
/// is not among the ways the format has for that. Around the file it would hide it from every reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Arrow files cannot be compressed with gzip")]
pub struct UnsupportedCompression;

impl Encoding {
    /// A form with a compression.
    ///
    /// # Errors
    /// [`UnsupportedCompression`] for Arrow with gzip.
    pub fn new(format: Format, compression: Compression) -> Result<Self, UnsupportedCompression> {
        match (format, compression) {
            (Format::Arrow, Compression::Gzip) => Err(UnsupportedCompression),
            _ => Ok(Self { format, compression }),
        }
    }

    /// What file names end in, such as `.csv.gz`.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match (self.format, self.compression) {
            (Format::Csv, Compression::None) => ".csv",
            (Format::Csv, Compression::Gzip) => ".csv.gz",
            (Format::Csv, Compression::Zstd) => ".csv.zst",
            (Format::Ndjson, Compression::None) => ".ndjson",
            (Format::Ndjson, Compression::Gzip) => ".ndjson.gz",
            (Format::Ndjson, Compression::Zstd) => ".ndjson.zst",
            // The compression is part of the format, and every reader knows it.
            (Format::Arrow, _) => ".arrow",
        }
    }
}

/// The partition columns of rows: directory names in a lake, columns in an export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partition<'a> {
    pub(crate) month: &'a str,
    pub(crate) device_class: &'a str,
}

impl<'a> Partition<'a> {
    /// Their names, in the order engines add them in.
    pub(crate) const NAMES: [&'static str; 2] = ["month", "deviceClass"];

    pub(crate) fn values(self) -> [&'a str; 2] {
        [self.month, self.device_class]
    }
}

/// Writes one file, of any form.
pub(crate) enum FileWriter {
    Csv(TextWriter<Csv>),
    Ndjson(TextWriter<Ndjson>),
    Arrow(Box<ArrowWriter>),
}

impl FileWriter {
    /// Begins a file of rows with the columns of `schema` and the partition columns.
    pub(crate) fn new(
        file: fs::File,
        encoding: Encoding,
        schema: &Schema,
        manifest: &Manifest,
    ) -> io::Result<Self> {
        let compression = encoding.compression;
        Ok(match encoding.format {
            Format::Csv => Self::Csv(TextWriter::new(Sink::new(file, compression)?, schema)?),
            Format::Ndjson => Self::Ndjson(TextWriter::new(Sink::new(file, compression)?, schema)?),
            Format::Arrow => {
                let compressed = compression == Compression::Zstd;
                Self::Arrow(Box::new(ArrowWriter::new(file, compressed, schema, manifest)?))
            }
        })
    }

    /// Appends rows of one partition.
    pub(crate) fn write(&mut self, rows: &RecordBatch, partition: Partition<'_>) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.write(rows, partition),
            Self::Ndjson(writer) => writer.write(rows, partition),
            Self::Arrow(writer) => writer.write(rows, partition),
        }
    }

    /// Ends the file; its size in bytes.
    pub(crate) fn finish(self) -> io::Result<u64> {
        match self {
            Self::Csv(writer) => writer.finish(),
            Self::Ndjson(writer) => writer.finish(),
            Self::Arrow(writer) => writer.finish(),
        }
    }
}
