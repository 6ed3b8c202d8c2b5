//! Rows of Parquet files as Polars frames.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType as ArrowType;
use fs_err as fs;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use polars::prelude::{
    Column, DataFrame, DataType, Float64Chunked, Int32Chunked, Int64Chunked, IntoColumn, NewChunkedArray,
    PlSmallStr, PolarsError, PolarsResult, StringChunked, TimeUnit,
};

/// All rows of a Parquet file.
#[track_caller]
pub(crate) fn read_frame(path: &Path) -> DataFrame {
    let file = fs::File::open(path).expect("a file").into_parts().0;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).expect("a Parquet file");
    let reader = builder.build().expect("it can be read");
    let mut rows = DataFrame::default();
    for batch in reader {
        let frame = to_frame(&batch.expect("it can be read")).expect("a frame");
        rows.vstack_mut_owned(frame).expect("the same columns");
    }
    rows
}

fn to_frame(batch: &RecordBatch) -> PolarsResult<DataFrame> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let name = PlSmallStr::from_str(field.name());
        column(name, array.as_ref())
    });
    DataFrame::new(batch.num_rows(), columns.collect::<Result<_, _>>()?)
}

/// A copy of an array as a Polars column.
fn column(name: PlSmallStr, array: &dyn Array) -> PolarsResult<Column> {
    Ok(match array.data_type() {
        ArrowType::Utf8 => {
            StringChunked::from_iter_options(name, array.as_string::<i32>().iter()).into_column()
        }
        ArrowType::Utf8View => {
            StringChunked::from_iter_options(name, array.as_string_view().iter()).into_column()
        }
        ArrowType::Int32 => {
            Int32Chunked::from_iter_options(name, array.as_primitive::<Int32Type>().iter()).into_column()
        }
        ArrowType::Int64 => {
            Int64Chunked::from_iter_options(name, array.as_primitive::<Int64Type>().iter()).into_column()
        }
        ArrowType::Float64 => {
            Float64Chunked::from_iter_options(name, array.as_primitive::<Float64Type>().iter()).into_column()
        }
        ArrowType::Date32 => Int32Chunked::from_iter_options(name, array.as_primitive::<Date32Type>().iter())
            .into_column()
            .cast(&DataType::Date)?,
        ArrowType::Timestamp(_, _) => {
            let millis = array.as_primitive::<TimestampMillisecondType>().iter();
            let millis = Int64Chunked::from_iter_options(name, millis).into_column();
            millis.cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?
        }
        other => {
            return Err(PolarsError::SchemaMismatch(format!("a lake has no columns of type {other}").into()));
        }
    })
}
