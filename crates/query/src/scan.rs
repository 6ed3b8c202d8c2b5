//! The table `flows`: a listing of the data files of a manifest.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use flowlake_partition::manifest::{Column, ColumnType, DataFile, Manifest};
use flowlake_partition::scan::check_path;
use flowlake_store::LakeStore;

use crate::error::QueryError;
use crate::files::Files;
use crate::optimized::{EachOnce, KeptOnTheLeft, KnownPartitions};
use crate::spills::Spills;

/// The name of the only table.
pub const TABLE: &str = "flows";

/// The zone of times that name none, and of casts.
pub(crate) const ZONE: &str = "+00:00";

/// Functions that make lists of any length, whatever the limit for memory is.
const UNBOUNDED: [&str; 7] =
    ["range", "generate_series", "gen_series", "array_repeat", "list_repeat", "array_resize", "list_resize"];

/// What a query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads.
    pub jobs: usize,
    /// Bytes of rows that are kept at a time; what does not fit waits in temporary files.
    pub memory_bytes: usize,
}

/// The rows of a lake as a table, of which nothing has been read yet.
pub struct Flows {
    pub(crate) context: SessionContext,
    /// Knows why a read failed.
    pub(crate) files: Arc<Files>,
    /// Knows why a row could not wait.
    pub(crate) spills: Arc<Spills>,
    pub(crate) limits: Limits,
}

impl Flows {
    /// All rows of a lake.
    ///
    /// # Errors
    /// When a data file is not there or has another size than the manifest says. In object stores that comes out when a
    /// file is read, and of files that no query needs not at all.
    pub fn of(lake: &LakeStore, manifest: &Manifest, limits: Limits) -> Result<Self, QueryError> {
        Self::of_files(lake, manifest, &manifest.files.iter().collect::<Vec<_>>(), limits)
    }

    /// The rows of some data files of a lake.
    ///
    /// # Errors
    /// As for [`Flows::of`].
    pub fn of_files(
        lake: &LakeStore,
        manifest: &Manifest,
        files: &[&DataFile],
        limits: Limits,
    ) -> Result<Self, QueryError> {
        for file in files {
            check_path(file)?;
        }
        if let LakeStore::Directory(_) = lake {
            check_sizes(lake, files)?;
        }
        let files = Arc::new(Files::new(lake, files));
        let spills = Arc::<Spills>::default();
        let context = session(limits, &spills).map_err(QueryError::Run)?;
        let columns = manifest.schema.partition_by.iter().map(|column| column.name.clone()).collect();
        context.add_optimizer_rule(Arc::new(KeptOnTheLeft));
        context.add_optimizer_rule(Arc::new(EachOnce));
        context.add_optimizer_rule(Arc::new(KnownPartitions { columns }));
        let table = table(&context, manifest).map_err(QueryError::Run)?;
        let store = ObjectStoreUrl::parse(format!("{}://lake", Files::SCHEME)).map_err(QueryError::Run)?;
        context.register_object_store(store.as_ref(), Arc::<Files>::clone(&files));
        context.register_table(TABLE, Arc::new(table)).map_err(QueryError::Run)?;
        Ok(Self { context, files, spills, limits })
    }
}

fn session(limits: Limits, spills: &Arc<Spills>) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.jobs)
        .with_information_schema(true)
        // It would read the footers of all files before it knows which are needed.
        .with_collect_statistics(false);
    let options = config.options_mut();
    // Columns have capital letters, and are called as they are called everywhere else.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some(ZONE.to_owned());
    options.execution.parquet.pushdown_filters = true;
    // What MIN(x) has found so far would be made a condition on x for all that is computed beside it.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    // Sides would be changed so that a join keeps its right one: see `KeptOnTheLeft`.
    options.optimizer.join_reordering = false;
    // Refuses plans for columns of which one side may be null and the other may not.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Ours are smaller, and what is read too much of the ends of many files adds up.
    options.execution.parquet.metadata_size_hint = Some(32 * 1024);
    // Half of its default, which is more than a small limit has to give.
    options.execution.sort_spill_reservation_bytes =
        (limits.memory_bytes / (8 * limits.jobs.max(1))).min(10 << 20);
    // What was put aside is put together again a batch of each part at a time, and all of those have to fit.
    options.execution.batch_size = ConfigNonZeroUsize::try_new(batch_rows(limits))?;
    let pool = Arc::new(FairSpillPool::new(limits.memory_bytes));
    let factory = Arc::<Spills>::clone(spills);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Custom(factory))
        .with_max_spill_merge_fan_in(merged_at_a_time(limits));
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    for function in UNBOUNDED {
        context.deregister_udf(function);
    }
    Ok(context)
}

fn batch_rows(limits: Limits) -> usize {
    (limits.memory_bytes / limits.jobs.max(1) / (128 * 1024)).clamp(256, 8192)
}

/// Parts of what was put aside that are put together at a time; 0 for all of them, which is faster where there is memory for it.
fn merged_at_a_time(limits: Limits) -> usize {
    if limits.memory_bytes / limits.jobs.max(1) < 256 << 20 { 8 } else { 0 }
}

fn table(context: &SessionContext, manifest: &Manifest) -> Result<ListingTable, DataFusionError> {
    let partition = manifest.schema.partition_by.iter().map(|column| (column.name.clone(), DataType::Utf8));
    // On its own the format has other options than the session.
    let format = ParquetFormat::default().with_options(context.state().default_table_options().parquet);
    let options = ListingOptions::new(Arc::new(format))
        .with_file_extension(".parquet")
        .with_table_partition_cols(partition.collect());
    let config = ListingTableConfig::new(ListingTableUrl::parse(format!("{}://lake/data/", Files::SCHEME))?)
        .with_listing_options(options)
        .with_schema(schema(&manifest.schema.columns));
    ListingTable::try_new(config)
}

fn check_sizes(lake: &LakeStore, files: &[&DataFile]) -> Result<(), QueryError> {
    for file in files {
        let name = || lake.name(&file.path);
        let entry = lake.entry(&file.path)?.ok_or_else(|| QueryError::Missing { name: name() })?;
        if entry.bytes != file.bytes {
            return Err(QueryError::Bytes { name: name(), expected: file.bytes, found: entry.bytes });
        }
    }
    Ok(())
}

fn schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(&column.name, data_type(column.data_type), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn data_type(column: ColumnType) -> DataType {
    match column {
        ColumnType::String => DataType::Utf8View,
        // With 64 bits, because products of those of 32 would wrap around in silence.
        ColumnType::Int32 | ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Date => DataType::Date32,
        ColumnType::TimestampMillis => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    }
}
