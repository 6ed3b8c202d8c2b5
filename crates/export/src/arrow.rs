//! Arrow: the IPC file format, which is also Feather version 2.
//!
//! Text is the plain `Utf8` type, not the views a lake is read with: readers of some languages do not know those yet. The
//! schema carries what a file that lies about on its own should say of itself: data set, licence, citation, recipe.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use flowlake_partition::manifest::Manifest;
use fs_err as fs;

use crate::format::Partition;

const BUFFER_BYTES: usize = 256 * 1024;

/// `Utf8` counts bytes in 31 bits, for all rows of a batch together: a batch with more text is cut.
const MOST_TEXT_BYTES: usize = i32::MAX as usize;

/// Writes an Arrow file.
pub(crate) struct ArrowWriter {
    writer: FileWriter<BufWriter<fs::File>>,
    schema: SchemaRef,
}

impl ArrowWriter {
    pub(crate) fn new(
        file: fs::File,
        compressed: bool,
        schema: &Schema,
        manifest: &Manifest,
    ) -> io::Result<Self> {
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Utf8View => Field::new(field.name(), DataType::Utf8, field.is_nullable()),
            _ => field.as_ref().clone(),
        });
        let partition = Partition::NAMES.map(|name| Field::new(name, DataType::Utf8, false));
        let Manifest { dataset, recipe, .. } = manifest;
        let metadata = [
            ("flowlake.dataset", &dataset.name),
            ("flowlake.title", &dataset.title),
            ("flowlake.licence", &dataset.licence),
            ("flowlake.citation", &dataset.citation),
            ("flowlake.url", &dataset.url),
            ("flowlake.recipe", &recipe.name),
            ("flowlake.recipeDigest", &recipe.digest),
        ];
        let metadata: BTreeMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        let fields: Vec<Field> = columns.chain(partition).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));

        let compression = compressed.then_some(CompressionType::ZSTD);
        let options = IpcWriteOptions::default().try_with_compression(compression).map_err(to_io)?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let writer = FileWriter::try_new_with_options(file, &schema, options).map_err(to_io)?;
        Ok(Self { writer, schema })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch, partition: Partition<'_>) -> io::Result<()> {
        let count = rows.num_rows();
        if count > 1 && rows.columns().iter().any(|values| text_bytes(values) > MOST_TEXT_BYTES) {
            let half = count / 2;
            self.write(&rows.slice(0, half), partition)?;
            return self.write(&rows.slice(half, count - half), partition);
        }
        let columns = rows.columns().iter().map(plain);
        let partition = partition.values().map(|value| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, count)))
        });
        let columns = columns.chain(partition).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(to_io)?;
        self.writer.write(&batch).map_err(to_io)
    }

    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.writer.finish().map_err(to_io)?;
        let file = self.writer.into_inner().map_err(to_io)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.metadata()?.len())
    }
}

/// Bytes of text in a column, 0 if it has none.
fn text_bytes(values: &ArrayRef) -> usize {
    let text = values.as_string_view_opt();
    text.map_or(0, |text| text.iter().flatten().map(str::len).sum())
}

/// A column with text in the plain type.
fn plain(values: &ArrayRef) -> ArrayRef {
    match values.as_string_view_opt() {
        Some(text) => Arc::new(text.iter().collect::<StringArray>()),
        None => Arc::clone(values),
    }
}

/// An error of the file itself is told as that; others are about the form.
fn to_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, source) => source,
        other => io::Error::other(other),
    }
}
