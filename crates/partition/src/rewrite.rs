//! Writes the data files of a lake again with other values or fewer columns, as the build of such a lake would have.
//!
//! How a build writes a file is in the recipe, which a lake need not have any more. But the file itself shows it: its footer
//! tells encodings, bloom filters and key-value metadata ([`FileLayout`]). So a file that is written again with the values
//! it had has the bytes it had, if the same version of the program writes it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use parquet::basic::Encoding as ParquetEncoding;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use crate::encode::{EncodeError, Encoder, RowGroup};
use crate::layout::{DataPath, LayoutError, Month};
use crate::manifest::{Column, ColumnType, DataFile};
use crate::profile::TableProfile;
use crate::row_buffer::Rows;
use crate::table::{Encoding, TableColumn, TableError, TableSchema};
use crate::writer::file::OpenFile;
use crate::writer::{WriteError, WriterOptions};

/// What the keys of our own key-value metadata begin with.
const METADATA_PREFIX: &str = "flowlake.";

/// Why a data file cannot be written again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The entry's path is none that a data file can have.
    #[error("cannot write {path} again")]
    Path {
        /// Path of the original below its lake's root.
        path: String,
        /// Why.
        source: LayoutError,
    },
    /// Columns or rows that do not fit.
    #[error("cannot write {path} again")]
    Table {
        /// Path of the original below its lake's root.
        path: String,
        /// Why.
        source: TableError,
    },
    /// Rows cannot be encoded.
    #[error("cannot write {path} again")]
    Encode {
        /// Path of the original below its lake's root.
        path: String,
        /// Why.
        source: EncodeError,
    },
    /// The new file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// How a data file is written, beyond names and types of its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLayout {
    /// Columns without a dictionary: delta-encoded.
    pub delta_columns: BTreeSet<String>,
    /// Columns with bloom filters.
    pub bloom_filter_columns: BTreeSet<String>,
    /// Key-value pairs of the footer.
    pub key_value_metadata: Vec<(String, String)>,
}

impl FileLayout {
    /// What a footer tells. Of the key-value pairs only our own are taken: what others write there may say anything.
    pub(crate) fn of(metadata: &ParquetMetaData) -> Self {
        let file = metadata.file_metadata();
        let columns_where = |holds: fn(&ColumnChunkMetaData) -> bool| {
            let columns = file.schema_descr().columns().iter().enumerate();
            let chosen = columns.filter(|(i, _)| {
                let mut chunks = metadata.row_groups().iter().map(|group| group.column(*i));
                metadata.num_row_groups() > 0 && chunks.all(holds)
            });
            chosen.map(|(_, column)| column.name().to_owned()).collect()
        };
        let pairs = file.key_value_metadata().into_iter().flatten();
        Self {
            // A dictionary that was given up is still there; without one there never was any.
            delta_columns: columns_where(|chunk| {
                chunk.dictionary_page_offset().is_none()
                    && chunk.encodings().any(|encoding| {
                        matches!(
                            encoding,
                            ParquetEncoding::DELTA_BINARY_PACKED | ParquetEncoding::DELTA_BYTE_ARRAY
                        )
                    })
            }),
            bloom_filter_columns: columns_where(|chunk| chunk.bloom_filter_offset().is_some()),
            key_value_metadata: pairs
                .filter(|pair| pair.key.starts_with(METADATA_PREFIX))
                .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
                .collect(),
        }
    }

    fn table_column(&self, column: &Column) -> TableColumn {
        let encoding = match column.data_type {
            _ if !self.delta_columns.contains(&column.name) => Encoding::Auto,
            ColumnType::Float64 => Encoding::Auto,
            ColumnType::String => Encoding::DeltaText,
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Date | ColumnType::TimestampMillis => {
                Encoding::Delta
            }
        };
        TableColumn {
            name: column.name.clone(),
            data_type: column.data_type,
            nullable: column.nullable,
            encoding,
        }
    }
}

/// Writes what becomes of one data file.
#[derive(Debug)]
pub struct FileRewriter {
    original: DataFile,
    encoder: Arc<Encoder>,
    month: Month,
    file: OpenFile,
    row_groups: u64,
    profile: TableProfile,
}

impl FileRewriter {
    /// Begins the file that takes the place of `original` in a lake whose files are below `root`: its month, device and
    /// number are the same. It gets `columns`, and is written as `layout` says.
    ///
    /// # Errors
    /// When `original` has no path of a data file, the columns cannot be, or the file cannot be made.
    pub fn create(
        root: &Path,
        original: &DataFile,
        columns: &[Column],
        layout: &FileLayout,
    ) -> Result<Self, RewriteError> {
        let path = || original.path.clone();
        let old: DataPath =
            original.path.parse().map_err(|source| RewriteError::Path { path: path(), source })?;
        let location = DataPath::new(old.key().clone(), old.device_name(), old.number())
            .map_err(|source| RewriteError::Path { path: path(), source })?;
        let schema = TableSchema::of_lake(columns.iter().map(|column| layout.table_column(column)).collect())
            .map_err(|source| RewriteError::Table { path: path(), source })?;
        let bloom_filter_columns = columns.iter().map(|column| &column.name);
        let options = WriterOptions {
            key_value_metadata: layout.key_value_metadata.clone(),
            bloom_filter_columns: bloom_filter_columns
                .filter(|name| layout.bloom_filter_columns.contains(*name))
                .cloned()
                .collect(),
            ..WriterOptions::default()
        };
        let encoder = Encoder::new(Arc::new(schema), &options)
            .map_err(|source| RewriteError::Encode { path: path(), source })?;
        Ok(Self {
            original: original.clone(),
            month: location.key().month(),
            file: OpenFile::create(root, location, &encoder)?,
            row_groups: 0,
            profile: encoder.schema().profile(),
            encoder: Arc::new(encoder),
        })
    }

    /// Writes the next rows as a row group of their own. All but the last batch of a file must have as many rows as
    /// [`DataFileRows`](crate::scan::DataFileRows) gives at a time, which are those of a row group.
    ///
    /// # Errors
    /// When the rows do not have the columns, lie in another month, or cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), RewriteError> {
        self.check(batch)
            .map_err(|source| RewriteError::Table { path: self.original.path.clone(), source })?;
        let group = RowGroup {
            encoder: Arc::clone(&self.encoder),
            month: self.month,
            index: self.row_groups,
            spilled: None,
            in_memory: Rows { len: batch.num_rows(), columns: batch.columns().to_vec() },
            in_memory_bytes: batch.get_array_memory_size(),
        };
        let encoded = group
            .encode()
            .map_err(|source| RewriteError::Encode { path: self.original.path.clone(), source })?;
        self.profile.merge(&encoded.profile);
        self.row_groups += 1;
        Ok(self.file.write(encoded)?)
    }

    /// Whether a batch has exactly the columns, and nulls only where they may be.
    fn check(&self, batch: &RecordBatch) -> Result<(), TableError> {
        let expected = self.encoder.schema().arrow_schema();
        let found = batch.schema();
        for position in 0..expected.fields().len().max(found.fields().len()) {
            let name = |schema: &arrow_schema::Schema| {
                schema.fields().get(position).map_or_else(|| "none".to_owned(), |field| field.name().clone())
            };
            let (expected_name, found_name) = (name(&expected), name(&found));
            if expected_name != found_name {
                return Err(TableError::ColumnName { position, expected: expected_name, found: found_name });
            }
            let (field, values) = (expected.field(position), batch.column(position));
            if values.data_type() != field.data_type() {
                let column = &self.encoder.schema().columns()[position];
                return Err(TableError::ColumnType {
                    name: expected_name,
                    expected: crate::table::type_name(column.data_type),
                    found: values.data_type().to_string(),
                });
            }
            if values.null_count() > 0 && !field.is_nullable() {
                return Err(TableError::Nulls { name: expected_name, nulls: values.null_count() });
            }
        }
        Ok(())
    }

    /// Makes the file durable and gives it its name. Gives its entry, and the profile of its rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(DataFile, TableProfile), RewriteError> {
        let mut file = self.file.close()?;
        // Where no column says when flows began, only the manifest ever did.
        if self.encoder.schema().flow_start_position().is_none() || file.rows == 0 {
            file.min_flow_start = self.original.min_flow_start;
            file.max_flow_start = self.original.max_flow_start;
        }
        Ok((file, self.profile))
    }
}

#[cfg(test)]
mod tests;
