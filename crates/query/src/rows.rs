//! Answers as CSV, NDJSON, JSON or Parquet, written as they come.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use flowlake_export::text::{Csv, Dialect, Ndjson};

use crate::cells::Cells;
use crate::error::QueryError;

/// Bytes of text that are gathered before they are written.
const PIECE_BYTES: usize = 256 * 1024;

/// What the rows of an answer are given to, one piece after the other.
pub trait RowWriter {
    /// Takes some rows.
    ///
    /// # Errors
    /// When they cannot be written, or a value has no spelling.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError>;

    /// Writes what ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(&mut self) -> Result<(), QueryError>;
}

/// What an object of JSON, one of many in a list, looks like: a line of NDJSON without its end.
struct Json;

impl Dialect for Json {
    const NULL: &'static [u8] = Ndjson::NULL;
    const ROW_END: &'static [u8] = b"}";

    fn header(_names: &[&str], out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn before(position: usize, name: &str, out: &mut Vec<u8>) {
        Ndjson::before(position, name, out);
    }

    fn text(text: &str, out: &mut Vec<u8>) {
        Ndjson::text(text, out);
    }

    fn time(text: &[u8], out: &mut Vec<u8>) {
        Ndjson::time(text, out);
    }

    fn float(value: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
        Ndjson::float(value, out)
    }

    fn json(json: &str, out: &mut Vec<u8>) {
        Ndjson::json(json, out);
    }
}

struct Text<W, D> {
    out: W,
    names: Vec<String>,
    buffer: Vec<u8>,
    /// Between rows, and after the last.
    separators: (&'static [u8], &'static [u8]),
    is_first: bool,
    dialect: std::marker::PhantomData<D>,
}

impl<W: Write, D: Dialect> Text<W, D> {
    fn new(out: W, schema: &Schema, separators: (&'static [u8], &'static [u8])) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut buffer = Vec::with_capacity(PIECE_BYTES + 4096);
        D::header(&names.iter().map(String::as_str).collect::<Vec<_>>(), &mut buffer);
        Self { out, names, buffer, separators, is_first: true, dialect: std::marker::PhantomData }
    }
}

impl<W: Write, D: Dialect> RowWriter for Text<W, D> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        let columns = rows
            .columns()
            .iter()
            .zip(&self.names)
            .map(|(column, name)| Cells::new(name, column))
            .collect::<Result<Vec<_>, _>>()?;
        let before = self.names.iter().enumerate().map(|(position, name)| {
            let mut text = Vec::new();
            D::before(position, name, &mut text);
            text
        });
        let before: Vec<Vec<u8>> = before.collect();
        for row in 0..rows.num_rows() {
            if !self.is_first {
                self.buffer.extend_from_slice(self.separators.0);
            }
            self.is_first = false;
            for (before, cells) in before.iter().zip(&columns) {
                self.buffer.extend_from_slice(before);
                cells.write::<D>(row, &mut self.buffer)?;
            }
            self.buffer.extend_from_slice(D::ROW_END);
            if self.buffer.len() >= PIECE_BYTES {
                self.out.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        // An answer that comes slowly is seen as it comes.
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), QueryError> {
        self.buffer.extend_from_slice(self.separators.1);
        self.out.write_all(&self.buffer)?;
        Ok(self.out.flush()?)
    }
}

/// Rows as CSV with a header; null is nothing, empty text is `""`.
pub fn csv<'a>(out: impl Write + 'a, schema: &Schema) -> Box<dyn RowWriter + 'a> {
    Box::new(Text::<_, Csv>::new(out, schema, (b"", b"")))
}

/// Rows as an object of JSON a line.
///
/// # Errors
/// When two columns have the same name.
pub fn ndjson<'a>(out: impl Write + 'a, schema: &Schema) -> Result<Box<dyn RowWriter + 'a>, QueryError> {
    check_names(schema)?;
    Ok(Box::new(Text::<_, Ndjson>::new(out, schema, (b"", b""))))
}

/// Rows as a list of objects of JSON.
///
/// # Errors
/// When two columns have the same name.
pub fn json<'a>(out: impl Write + 'a, schema: &Schema) -> Result<Box<dyn RowWriter + 'a>, QueryError> {
    check_names(schema)?;
    Ok(Box::new(Text::<_, Json>::new(out, schema, (b",\n", b"]\n"))))
}

/// Readers take values by their names, and would take one of them for both.
fn check_names(schema: &Schema) -> Result<(), QueryError> {
    let mut seen = BTreeSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        Some(field) => Err(QueryError::Repeated { column: field.name().clone() }),
        None => Ok(()),
    }
}

struct Parquet<W: Write + Send> {
    writer: ArrowWriter<W>,
    /// With types that every reader knows.
    schema: SchemaRef,
}

impl<W: Write + Send> RowWriter for Parquet<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        let columns = rows.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                cast(column, field.data_type())
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>();
        let rows = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns));
        let rows = rows.map_err(|error| QueryError::Write(std::io::Error::other(error)))?;
        self.writer.write(&rows).map_err(written)
    }

    fn finish(&mut self) -> Result<(), QueryError> {
        self.writer.finish().map(drop).map_err(written)
    }
}

/// The column as Parquet has it; `None` where readers would take it for something else.
fn stored(field: &Field) -> Option<Field> {
    let data_type = match field.data_type() {
        // It has no seconds, and these would be numbers.
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Null | DataType::Duration(_) | DataType::Interval(_) => return None,
        other => other.clone(),
    };
    // Plans may be of another mind about it than rows.
    Some(Field::new(field.name(), data_type, true))
}

fn written(error: ParquetError) -> QueryError {
    QueryError::Write(match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(error) => std::io::Error::other(error),
        },
        error => std::io::Error::other(error),
    })
}

/// Rows as a Parquet file.
///
/// # Errors
/// When two columns have the same name, or one is of a type that Parquet does not have.
pub fn parquet<'a>(
    out: impl Write + Send + 'a,
    schema: &SchemaRef,
) -> Result<Box<dyn RowWriter + 'a>, QueryError> {
    check_names(schema)?;
    let fields = schema.fields().iter().map(|field| {
        stored(field).ok_or_else(|| QueryError::Type {
            column: field.name().clone(),
            data_type: field.data_type().to_string(),
        })
    });
    let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?));
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    // Plain types that every reader knows, and no schema of Arrow's in the metadata.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let writer = ArrowWriter::try_new_with_options(out, Arc::clone(&schema), options).map_err(written)?;
    Ok(Box::new(Parquet { writer, schema }))
}
