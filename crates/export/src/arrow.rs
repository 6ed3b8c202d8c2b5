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
        for piece in pieces(rows.clone(), MOST_TEXT_BYTES) {
            let columns = piece.columns().iter().map(plain);
            let partition = partition.values().map(|value| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, piece.num_rows())))
            });
            let columns = columns.chain(partition).collect();
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(to_io)?;
            self.writer.write(&batch).map_err(to_io)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.writer.finish().map_err(to_io)?;
        let file = self.writer.into_inner().map_err(to_io)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.metadata()?.len())
    }
}

/// Rows cut into halves until no column of a piece has more text than this, or a piece is a single row.
fn pieces(rows: RecordBatch, most_text_bytes: usize) -> Vec<RecordBatch> {
    let count = rows.num_rows();
    if count < 2 || rows.columns().iter().all(|values| text_bytes(values) <= most_text_bytes) {
        return vec![rows];
    }
    let half = count / 2;
    let halves = [rows.slice(0, half), rows.slice(half, count - half)];
    halves.into_iter().flat_map(|half| pieces(half, most_text_bytes)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, StringViewArray};

    #[test]
    fn rows_with_too_much_text_for_one_batch_are_cut_in_order() {
        let texts: Vec<String> = (0..100).map(|i| "x".repeat(i % 13)).collect();
        let columns: [(&str, ArrayRef); 2] = [
            ("number", Arc::new(Int32Array::from_iter_values(0..100))),
            ("text", Arc::new(texts.iter().map(Some).collect::<StringViewArray>())),
        ];
        let rows = RecordBatch::try_from_iter(columns).expect("a batch");
        assert_eq!(pieces(rows.clone(), usize::MAX), std::slice::from_ref(&rows));
        for most in [0, 11, 12, 50, 300] {
            let pieces = pieces(rows.clone(), most);
            assert!(pieces.len() > 1);
            let mut next = 0;
            for piece in pieces {
                assert!(piece.num_rows() == 1 || text_bytes(piece.column(1)) <= most);
                assert_eq!(piece, rows.slice(next, piece.num_rows()));
                next += piece.num_rows();
            }
            assert_eq!(next, 100);
        }
    }
}
