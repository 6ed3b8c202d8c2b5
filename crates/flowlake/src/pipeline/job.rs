//! What all tasks of a build have in common, wherever they run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytesize::ByteSize;
use flowlake_ingest::{Catalogue, Limits};
use flowlake_partition::manifest::FORMAT_VERSION;
use flowlake_partition::publish::Outlet;
use flowlake_partition::table::TableSchema;
use flowlake_partition::writer::WriterOptions;
use flowlake_transform::{
    FLOW_START, FLOW_START_HELPER, OutputColumn, OutputType, Recipe, Role, Transformer,
};

use super::commit::{self, Merge};
use super::fragment::Fragment;
use super::memory::MemoryPlan;
use super::plan::Task;
use super::pool;
use crate::exit::{Exit, Failure};
use crate::open_files::enough_for;
use crate::progress::Progress;

/// What all tasks of a build are to do alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders<'a> {
    /// Name of the data set.
    pub(crate) dataset: &'a str,
    pub(crate) limits: &'a Limits,
    pub(crate) recipe: &'a Recipe,
}

/// That, and what of this machine may be used for it.
pub(crate) struct Job<'a> {
    orders: Orders<'a>,
    columns: Vec<OutputColumn>,
    table: Arc<TableSchema>,
    writer: WriterOptions,
    jobs: usize,
    memory: MemoryPlan,
    interrupted: &'static AtomicBool,
}

impl<'a> Job<'a> {
    /// # Errors
    /// When this machine lets so many threads have too little.
    pub(crate) fn new(
        orders: Orders<'a>,
        jobs: usize,
        memory_limit: Option<ByteSize>,
        interrupted: &'static AtomicBool,
    ) -> Result<Self, Failure> {
        let Orders { dataset, recipe, .. } = orders;
        enough_for(jobs)?;
        let memory = MemoryPlan::new(memory_limit, jobs, recipe.removes_duplicates())?;
        let columns = Transformer::columns(recipe);
        let table = if recipe.has_flow_start() {
            TableSchema::new(commit::table_columns(&columns), FLOW_START)
        } else {
            TableSchema::without_flow_start(commit::table_columns(&columns), FLOW_START_HELPER)
        };
        let table = Arc::new(table.map_err(|error| Failure::new(Exit::Defect, error))?);
        let writer = WriterOptions {
            key_value_metadata: vec![
                ("flowlake.formatVersion".to_owned(), FORMAT_VERSION.to_string()),
                ("flowlake.dataset".to_owned(), dataset.to_owned()),
                ("flowlake.recipe".to_owned(), recipe.name.clone()),
                ("flowlake.recipeDigest".to_owned(), recipe.digest.clone()),
            ],
            // Addresses are what people look flows up by, and nearly every row group spans them all: minimum and maximum
            // rule nothing out. What is made of no field, such as the dump, is the same in a whole file.
            bloom_filter_columns: columns
                .iter()
                .filter(|column| column.role == Role::Identifier && column.data_type == OutputType::Text)
                .filter(|column| !column.source.is_empty())
                .map(|column| column.name.clone())
                .collect(),
            ..WriterOptions::default()
        };
        Ok(Self { orders, columns, table, writer, jobs, memory, interrupted })
    }

    /// Runs tasks on this machine. What comes of them is in their order; their files are with the outlet.
    pub(crate) fn run(
        &self,
        tasks: &[Task],
        outlet: &dyn Outlet,
        progress: &Progress,
    ) -> Result<Vec<Fragment>, Failure> {
        let build = pool::Build {
            limits: self.orders.limits,
            recipe: self.orders.recipe,
            table: Arc::clone(&self.table),
            writer: self.writer.clone(),
            outlet,
            jobs: self.jobs,
            memory: self.memory,
            interrupted: self.interrupted,
            progress,
        };
        let fragments = pool::run(&build, tasks);
        progress.clear();
        fragments
    }

    /// What puts the fragments together.
    pub(crate) fn merge<'b>(&'b self, catalogue: &'b Catalogue) -> Merge<'b> {
        Merge::new(catalogue, self.orders.recipe, &self.columns)
    }
}
