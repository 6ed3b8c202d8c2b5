//! Encodes row groups: the part of writing that costs time, apart from any file.
//!
//! A [`RowGroup`] has all its rows before the first is encoded, joined column by column. So the encoder sees the same
//! arrays however the rows arrived, and neither page borders nor dictionaries depend on how frames were cut, on threads
//! or on timing. Row groups know nothing of each other: any thread may encode any of them, and the writer puts the
//! results into files in order.

use std::io;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, NullArray};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding as ParquetEncoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr, WriterVersion,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};
use polars::prelude::DataFrame;

use crate::arrow_bridge;
use crate::digest::{BlockDigest, BlockDigests, DigestError};
use crate::layout::{Month, timestamp_text};
use crate::manifest::ColumnType;
use crate::profile::TableProfile;
use crate::row_buffer::{Rows, waiting_schema, without_dictionary};
use crate::spill::{Spill, SpillError};
use crate::table::{Encoding, TableColumn, TableSchema};
use crate::writer::WriterOptions;

/// Share of row groups without a value that a bloom filter does not rule out.
const BLOOM_FILTER_FPP: f64 = 0.01;

/// What a column chunk takes beside its bytes, about: statistics, page index, heads of buffers.
const CHUNK_BYTES: usize = 3 * 1024;

/// Why a row group cannot be encoded, or an encoder not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Parquet refuses the options or the schema.
    #[error("Parquet does not take this schema or these options")]
    Setup {
        /// Why.
        source: ParquetError,
    },
    /// Rows could not be read back from disk.
    #[error("cannot read back rows of {month} that waited on disk")]
    Spill {
        /// Month of the row group.
        month: Month,
        /// Why.
        source: SpillError,
    },
    /// A column could not be handed to the encoder.
    #[error("cannot hand over column {column} of {month}")]
    Bridge {
        /// The column.
        column: String,
        /// Month of the row group.
        month: Month,
        /// Why.
        source: ArrowError,
    },
    /// A column could not be digested.
    #[error("cannot digest the rows of {month}")]
    Digest {
        /// Month of the row group.
        month: Month,
        /// Why.
        source: DigestError,
    },
    /// A column could not be encoded.
    #[error("cannot encode column {column} of {month}")]
    Column {
        /// The column.
        column: String,
        /// Month of the row group.
        month: Month,
        /// Why.
        source: ParquetError,
    },
    /// A row lies in another month than its file.
    #[error("a flow that began at {flow_start} was given to the file of {month}")]
    WrongMonth {
        /// Month of the row group.
        month: Month,
        /// Flow start of the row, RFC 3339.
        flow_start: String,
    },
}

/// What all row groups of a dump share: schema, properties, and the factory of column writers.
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: Arc<TableSchema>,
    arrow_schema: SchemaRef,
    frame_schema: SchemaRef,
    waiting_schema: SchemaRef,
    parquet_schema: TypePtr,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
}

impl Encoder {
    pub(crate) fn new(schema: Arc<TableSchema>, options: &WriterOptions) -> Result<Self, EncodeError> {
        let setup = |source| EncodeError::Setup { source };
        let arrow_schema = schema.arrow_schema();
        let parquet_schema = ArrowSchemaConverter::new()
            .schema_root("schema")
            .convert(&arrow_schema)
            .map_err(setup)?
            .root_schema_ptr();
        let properties = Arc::new(properties(&schema, options).map_err(setup)?);
        // The factory takes schema and properties from a file writer; this one writes nowhere.
        let unused = SerializedFileWriter::new(io::sink(), parquet_schema.clone(), properties.clone())
            .map_err(setup)?;
        let factory = ArrowRowGroupWriterFactory::new(&unused, arrow_schema.clone());
        let (frame_schema, waiting_schema) = (schema.frame_schema(), waiting_schema(&schema));
        Ok(Self { schema, arrow_schema, frame_schema, waiting_schema, parquet_schema, properties, factory })
    }

    pub(crate) fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// What every row group takes, however few its rows, in bytes.
    pub(crate) fn row_group_bytes(&self) -> usize {
        self.schema.columns().len() * CHUNK_BYTES
    }

    /// The schema with which rows wait.
    pub(crate) fn waiting_schema(&self) -> &SchemaRef {
        &self.waiting_schema
    }

    /// The rows of a frame that has the schema, on the other side.
    pub(crate) fn rows(&self, frame: &DataFrame, month: Month) -> Result<Rows, EncodeError> {
        let columns = frame.columns().iter().zip(self.frame_schema.fields()).map(|(values, field)| {
            arrow_bridge::to_arrow(values.as_materialized_series(), field.data_type())
                .map_err(|source| EncodeError::Bridge { column: field.name().clone(), month, source })
        });
        Ok(Rows { len: frame.height(), columns: columns.collect::<Result<_, _>>()? })
    }

    /// A writer of one file with this schema and these properties.
    pub(crate) fn file_writer<W: io::Write + Send>(
        &self,
        sink: W,
    ) -> Result<SerializedFileWriter<W>, ParquetError> {
        SerializedFileWriter::new(sink, self.parquet_schema.clone(), self.properties.clone())
    }
}

fn properties(schema: &TableSchema, options: &WriterOptions) -> Result<WriterProperties, ParquetError> {
    let metadata: Vec<KeyValue> = options
        .key_value_metadata
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(options.compression_level)?))
        // Per column chunk in the footer and per page in the page index: engines skip both.
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(64))
        .set_column_index_truncate_length(Some(64))
        .set_key_value_metadata((!metadata.is_empty()).then_some(metadata));
    for column in schema.columns() {
        builder = column_properties(builder, column);
    }
    for name in &options.bloom_filter_columns {
        let path = ColumnPath::from(name.as_str());
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FILTER_FPP)
            // As many as there can be: what was not needed is folded away when the row group is complete.
            .set_column_bloom_filter_max_ndv(path, options.rows_per_row_group as u64);
    }
    Ok(builder.build())
}

fn column_properties(builder: WriterPropertiesBuilder, column: &TableColumn) -> WriterPropertiesBuilder {
    let encoding = match (column.encoding, column.data_type) {
        (Encoding::Auto, ColumnType::TimestampMillis) | (Encoding::Delta, _) => {
            ParquetEncoding::DELTA_BINARY_PACKED
        }
        (Encoding::DeltaText, _) => ParquetEncoding::DELTA_BYTE_ARRAY,
        (Encoding::Auto, _) => return builder,
    };
    let path = ColumnPath::from(column.name.as_str());
    builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
}

/// Rows of one row group, in order, not yet encoded. Made by [`DatasetWriter`](crate::writer::DatasetWriter).
#[derive(Debug)]
pub struct RowGroup {
    pub(crate) encoder: Arc<Encoder>,
    pub(crate) month: Month,
    /// Position among the row groups of its month, from 0, over all files.
    pub(crate) index: u64,
    /// Its first rows, where they wait on disk.
    pub(crate) spilled: Option<Spill>,
    /// The others.
    pub(crate) in_memory: Rows,
    pub(crate) in_memory_bytes: usize,
}

impl RowGroup {
    /// Month of all its rows.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// Number of rows, never 0.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.spilled.as_ref().map_or(0, Spill::rows) + self.in_memory.len
    }

    /// Memory it takes until it is encoded, in bytes, about. Of rows on disk, a column is in memory at a time.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.spilled.as_ref().map_or(0, Spill::memory_bytes)
            + self.in_memory_bytes
            + self.encoder.row_group_bytes()
    }

    /// Encodes and compresses the rows, and takes their digest and profile. Touches no data file and shares nothing with other row
    /// groups, so any thread may do it; the bytes depend only on the rows, the schema and the options.
    ///
    /// # Errors
    /// When rows cannot be read back from disk, a column does not hold what the schema says, or a row lies in another
    /// month.
    pub fn encode(mut self) -> Result<EncodedRowGroup, EncodeError> {
        let rows = self.rows();
        let (month, index) = (self.month, self.index);
        let encoder = Arc::clone(&self.encoder);
        let position = encoder.schema.flow_start_position();
        let mut range = (i64::MAX, i64::MIN);
        let mut digests = BlockDigests::new(rows);
        let mut profile = encoder.schema.profile();
        let mut chunks = Vec::with_capacity(encoder.schema.columns().len());
        // Only encryption depends on the index of a row group.
        let writers =
            encoder.factory.create_column_writers(0).map_err(|source| EncodeError::Setup { source })?;
        let columns = encoder.schema.columns().iter().zip(encoder.arrow_schema.fields());
        for (i, ((column, field), mut writer)) in columns.zip(writers).enumerate() {
            let name = || column.name.clone();
            let array = self.take_column(i)?;
            if position == Some(i) {
                range = flow_start_range(&array, month)?;
            }
            digests
                .column(&column.name, column.data_type, &array)
                .map_err(|source| EncodeError::Digest { month, source })?;
            profile.count(i, &array);
            let chunk = compute_leaves(field, &array)
                .and_then(|leaves| leaves.iter().try_for_each(|leaf| writer.write(leaf)))
                .and_then(|()| writer.close())
                .map_err(|source| EncodeError::Column { column: name(), month, source })?;
            chunks.push(chunk);
        }
        // Behind the columns of the file stands what is not written.
        if let Some(position) = position.filter(|position| *position >= encoder.schema.columns().len()) {
            range = flow_start_range(&self.take_column(position)?, month)?;
        }
        let (min_flow_start, max_flow_start) = range;
        let blocks = digests.finish();
        Ok(EncodedRowGroup { month, index, rows, chunks, blocks, profile, min_flow_start, max_flow_start })
    }

    /// All values of a column, in one array. They are taken: memory is given back as soon as a column is encoded.
    fn take_column(&mut self, column: usize) -> Result<ArrayRef, EncodeError> {
        let month = self.month;
        let spilled = self.spilled.as_ref().map_or(Ok(Vec::new()), |spilled| spilled.column(column));
        let mut arrays = spilled.map_err(|source| EncodeError::Spill { month, source })?;
        if let Some(in_memory) = self.in_memory.columns.get_mut(column) {
            arrays.push(std::mem::replace(in_memory, Arc::new(NullArray::new(0))));
        }
        let arrays = arrays.into_iter().map(without_dictionary).collect::<Result<Vec<_>, _>>();
        let joined = arrays.and_then(|arrays| match arrays.as_slice() {
            [only] => Ok(only.clone()),
            _ => concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        });
        joined.map_err(|source| {
            let column = self.encoder.frame_schema.field(column).name().clone();
            EncodeError::Bridge { column, month, source }
        })
    }
}

/// The first and the last time of flows that all lie in a month.
fn flow_start_range(times: &ArrayRef, month: Month) -> Result<(i64, i64), EncodeError> {
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for &millis in times.as_primitive::<TimestampMillisecondType>().values() {
        min = min.min(millis);
        max = max.max(millis);
    }
    match [min, max].into_iter().find(|millis| !month.contains_millis(*millis)) {
        None => Ok((min, max)),
        Some(millis) => Err(EncodeError::WrongMonth { month, flow_start: timestamp_text(millis) }),
    }
}

/// A row group, encoded and compressed, on its way to
/// [`DatasetWriter::store`](crate::writer::DatasetWriter::store).
#[derive(Debug)]
pub struct EncodedRowGroup {
    pub(crate) month: Month,
    pub(crate) index: u64,
    pub(crate) rows: usize,
    pub(crate) chunks: Vec<ArrowColumnChunk>,
    pub(crate) blocks: Vec<BlockDigest>,
    pub(crate) profile: TableProfile,
    pub(crate) min_flow_start: i64,
    pub(crate) max_flow_start: i64,
}

impl EncodedRowGroup {
    /// Month of all its rows.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Size in the file, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.close().bytes_written).sum()
    }

    /// Memory it takes until it is stored, in bytes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        usize::try_from(self.bytes()).unwrap_or(usize::MAX) + self.chunks.len() * CHUNK_BYTES
    }
}
