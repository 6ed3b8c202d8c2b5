//! Rows that wait in memory for their row group.
//!
//! Rows come in frames of a few thousand and wait, some for long. They are copied together into one large array a column:
//! memory freed in such pieces can be used again, where many small ones among short-lived others would leave gaps. Text
//! waits as numbers in a dictionary: addresses, flags and services are few, and four bytes stand for sixteen or more.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{PrimitiveBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt32Type,
};
use arrow_array::{Array, ArrayRef, DictionaryArray, StringViewArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use crate::table::{Encoding, TableSchema};

/// Neighbouring rows, column by column.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) len: usize,
    pub(crate) columns: Vec<ArrayRef>,
}

impl Rows {
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        Self { len, columns: self.columns.iter().map(|column| column.slice(start, len)).collect() }
    }
}

/// The schema with which rows wait: as that of frames, with dictionaries for text that recurs.
pub(crate) fn waiting_schema(table: &TableSchema) -> SchemaRef {
    let arrow = table.frame_schema();
    let columns = table.columns().iter().map(Some).chain([None]);
    let fields = arrow.fields().iter().zip(columns).map(|(field, column)| {
        let distinct = column.is_some_and(|column| column.encoding == Encoding::DeltaText);
        let recurs = field.data_type() == &DataType::Utf8View && !distinct;
        let dictionary = || DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8View));
        let data_type = if recurs { dictionary() } else { field.data_type().clone() };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A column as it is encoded, from one that waited.
pub(crate) fn without_dictionary(column: ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = column.as_dictionary::<UInt32Type>();
            take(dictionary.values(), dictionary.keys(), None)
        }
        _ => Ok(column),
    }
}

/// Rows being gathered.
pub(crate) struct RowBuffer {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

enum Column {
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Date(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMillisecondType>),
    /// Text that is nearly unique.
    Text(StringViewBuilder),
    Dictionary(DictionaryBuffer),
}

impl std::fmt::Debug for RowBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowBuffer")
            .field("rows", &self.rows)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl RowBuffer {
    /// An empty one for rows that wait with this [schema](waiting_schema).
    pub(crate) fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Int32 => Column::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Column::Int64(PrimitiveBuilder::new()),
            DataType::Float64 => Column::Float64(PrimitiveBuilder::new()),
            DataType::Date32 => Column::Date(PrimitiveBuilder::new()),
            DataType::Utf8View => Column::Text(StringViewBuilder::new()),
            DataType::Dictionary(..) => Column::Dictionary(DictionaryBuffer::default()),
            // The types of a table are few; what is left is a timestamp.
            other => Column::Timestamp(PrimitiveBuilder::new().with_data_type(other.clone())),
        });
        Self { columns: columns.collect(), rows: 0, bytes: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Memory of the rows, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Adds rows with the schema of the table.
    pub(crate) fn append(&mut self, rows: &Rows) {
        for (column, values) in self.columns.iter_mut().zip(&rows.columns) {
            self.bytes += match column {
                Column::Int32(builder) => append(builder, values),
                Column::Int64(builder) => append(builder, values),
                Column::Float64(builder) => append(builder, values),
                Column::Date(builder) => append(builder, values),
                Column::Timestamp(builder) => append(builder, values),
                Column::Dictionary(buffer) => buffer.append(values.as_string_view()),
                Column::Text(builder) => {
                    let values = values.as_string_view();
                    builder.append_array(values);
                    // Text too long for its view stays where it is, and keeps all of that memory.
                    values.len() * size_of::<u128>()
                        + values.data_buffers().iter().map(|buffer| buffer.capacity()).sum::<usize>()
                }
            };
        }
        self.rows += rows.len;
    }

    /// Takes all rows out.
    pub(crate) fn take(&mut self) -> Rows {
        let columns = self.columns.iter_mut().map(|column| -> ArrayRef {
            match column {
                Column::Int32(builder) => Arc::new(builder.finish()),
                Column::Int64(builder) => Arc::new(builder.finish()),
                Column::Float64(builder) => Arc::new(builder.finish()),
                Column::Date(builder) => Arc::new(builder.finish()),
                Column::Timestamp(builder) => Arc::new(builder.finish()),
                Column::Text(builder) => Arc::new(builder.finish()),
                Column::Dictionary(buffer) => Arc::new(buffer.finish()),
            }
        });
        let columns = columns.collect();
        self.bytes = 0;
        Rows { len: std::mem::take(&mut self.rows), columns }
    }
}

/// Adds values; gives their size in bytes.
fn append<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, values: &ArrayRef) -> usize {
    builder.append_array(values.as_primitive::<T>());
    values.len() * size_of::<T::Native>()
}

/// Text being gathered: each distinct value once.
#[derive(Default)]
struct DictionaryBuffer {
    keys: PrimitiveBuilder<UInt32Type>,
    values: StringViewBuilder,
    known: HashMap<Box<str>, u32>,
}

/// About what a value costs beside its characters: its view and its place in the map.
const VALUE_BYTES: usize = 96;
/// Values remembered by their views.
const SLOTS: usize = 256;

impl DictionaryBuffer {
    /// Adds values; gives what memory they take, in bytes.
    fn append(&mut self, values: &StringViewArray) -> usize {
        let mut bytes = values.len() * size_of::<u32>();
        // Equal views are equal values, and a frame mostly has the same view for the same value.
        let mut seen = [(0_u128, None); SLOTS];
        for (row, view) in values.views().iter().enumerate() {
            if values.is_null(row) {
                self.keys.append_null();
                continue;
            }
            let mixed = (*view ^ (*view >> 64)) as u64;
            let slot = (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize;
            let key = match seen[slot] {
                (known, Some(key)) if known == *view => key,
                _ => {
                    let value = values.value(row);
                    let key = match self.known.get(value) {
                        Some(key) => *key,
                        None => {
                            let key = self.known.len() as u32;
                            self.known.insert(value.into(), key);
                            self.values.append_value(value);
                            bytes += 2 * value.len() + VALUE_BYTES;
                            key
                        }
                    };
                    seen[slot] = (*view, Some(key));
                    key
                }
            };
            self.keys.append_value(key);
        }
        bytes
    }

    fn finish(&mut self) -> DictionaryArray<UInt32Type> {
        self.known.clear();
        // Every key was made from the number of values before it.
        DictionaryArray::new(self.keys.finish(), Arc::new(self.values.finish()))
    }
}
