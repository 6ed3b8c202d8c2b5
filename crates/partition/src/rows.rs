//! Reads rows of a lake back into Polars frames.
//!
//! Polars can read Parquet itself, but that feature brings its streaming engine and an HTTP stack into every build. What
//! this program asks of a lake needs a few columns of the files a manifest lists, and the `parquet` crate is here anyway.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType as ArrowType;
use flowlake_store::{LakeStore, StoreError};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use polars::prelude::{
    Column, DataFrame, DataType, Float64Chunked, Int32Chunked, Int64Chunked, IntoColumn, NewChunkedArray,
    PlSmallStr, PolarsError, Scalar, StringChunked, TimeUnit,
};

use crate::manifest::DataFile;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The file cannot be opened or fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file is not there.
    #[error("{name} is not there, but the manifest lists it")]
    Missing {
        /// Path or URL.
        name: String,
    },
    /// The file is no Parquet, or is damaged.
    #[error("cannot read {name}")]
    Parquet {
        /// Path or URL of the file.
        name: String,
        /// Why.
        source: ParquetError,
    },
    /// The columns do not make a frame.
    #[error("cannot make a frame of {name}")]
    Frame {
        /// Path or URL of the file.
        name: String,
        /// Why.
        source: PolarsError,
    },
}

/// The rows of a data file with the columns named, in the order of the file, and the partition columns `month` and
/// `deviceClass`. Names that are no columns of the file are passed over.
///
/// # Errors
/// [`RowsError`] naming the file.
pub fn read_rows(lake: &LakeStore, file: &DataFile, columns: &[&str]) -> Result<DataFrame, RowsError> {
    let name = lake.name(&file.path);
    let parquet = |source| RowsError::Parquet { name: name.clone(), source };
    let frame = |source| RowsError::Frame { name: name.clone(), source };
    let entry = lake.entry(&file.path)?.ok_or_else(|| RowsError::Missing { name: name.clone() })?;
    let opened = lake.fetch(&entry)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, options).map_err(parquet)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).build().map_err(parquet)?;
    let mut rows = DataFrame::default();
    for batch in reader {
        let batch = batch.map_err(|source| parquet(source.into()))?;
        rows.vstack_mut_owned(to_frame(&batch).map_err(frame)?).map_err(frame)?;
    }
    let height = rows.height();
    for (name, value) in [("month", &file.month), ("deviceClass", &file.device_class)] {
        let value = Scalar::from(PlSmallStr::from_str(value));
        rows.with_column(Column::new_scalar(name.into(), value, height)).map_err(frame)?;
    }
    Ok(rows)
}

fn to_frame(batch: &RecordBatch) -> Result<DataFrame, PolarsError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let name = PlSmallStr::from_str(field.name());
        column(name, array.as_ref())
    });
    DataFrame::new(batch.num_rows(), columns.collect::<Result<_, _>>()?)
}

/// A copy of an array as a Polars column.
fn column(name: PlSmallStr, array: &dyn Array) -> Result<Column, PolarsError> {
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
