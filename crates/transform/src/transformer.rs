//! A recipe at work on the batches of one dump.

use flowlake_ingest::Device;
use polars::prelude::{BooleanChunked, ChunkFull, Column, DataFrame, Expr, IntoLazy, OptFlags, PolarsResult};

use crate::direction::{DIRECTION, Directions, directions};
use crate::error::TransformError;
use crate::evidence::ColumnEvidence;
use crate::kernels::canonical_mac;
use crate::plan::{OutputColumn, output_columns, output_expressions};
use crate::recipe::Recipe;
use crate::repair::{DESTINATION_MAC, SOURCE_MAC, repaired, repaired_columns, touched};

/// All that these plans need of the optimiser: they have no joins, scans or filters, and are made anew for every batch.
const PLAN: OptFlags = OptFlags::TYPE_COERCION.union(OptFlags::SIMPLIFY_EXPR);

/// Rows of the lake from one batch of raw rows, in the same order, with everything that was counted on the way.
#[derive(Debug, Clone)]
pub struct FlowBatch {
    /// The rows.
    pub rows: DataFrame,
    /// Flows by direction, before any rule.
    pub directions: Directions,
    /// Rows removed by each rule of the recipe.
    pub removed: Vec<u64>,
    /// Values changed by each repair of the recipe, over the rows kept.
    pub repairs: Vec<u64>,
    /// Evidence of each dropped field, over the rows kept.
    pub evidence: Vec<ColumnEvidence>,
}

/// Applies a recipe to the batches of one dump. Holds no state between them.
pub struct Transformer {
    recipe: Recipe,
    device: Device,
    output: Vec<Expr>,
    repaired: Vec<Expr>,
    touched: Vec<Expr>,
    /// Whether a rule looks at a field that is repaired. Otherwise rows are removed first: what is not kept need not be
    /// repaired.
    repair_first: bool,
}

impl Transformer {
    /// Prepares a recipe for the dump of a device.
    #[must_use]
    pub fn new(recipe: &Recipe, device: &Device) -> Self {
        let touched = recipe.repairs.iter().map(|repair| touched(*repair).alias(repair.name())).collect();
        Self {
            output: output_expressions(recipe, &device.name),
            repaired: repaired_columns(&recipe.repairs),
            touched,
            repair_first: recipe.filters.iter().any(|rule| rule.column != DIRECTION),
            recipe: recipe.clone(),
            device: device.clone(),
        }
    }

    /// The columns it gives, in order.
    #[must_use]
    pub fn columns(recipe: &Recipe) -> Vec<OutputColumn> {
        output_columns(recipe)
    }

    /// Transforms a batch: `flows` is in the raw schema.
    ///
    /// # Errors
    /// [`TransformError`] when an expression does not fit its columns.
    pub fn apply(&self, flows: DataFrame) -> Result<FlowBatch, TransformError> {
        let failed = |step| move |source| TransformError { recipe: self.recipe.name.clone(), step, source };
        let (flows, directions) = self.with_directions(flows).map_err(failed("tell directions"))?;
        let flows =
            if self.repair_first { self.repair(flows).map_err(failed("repair values"))? } else { flows };
        let (kept, removed) = self.filter(flows).map_err(failed("filter rows"))?;
        let kept =
            if self.repair_first { kept } else { self.repair(kept).map_err(failed("repair values"))? };
        let evidence = self.evidence(&kept).map_err(failed("count evidence"))?;
        let (rows, repairs) = self.derive(kept).map_err(failed("derive columns"))?;
        Ok(FlowBatch { rows, directions, removed, repairs, evidence })
    }

    fn with_directions(&self, mut flows: DataFrame) -> PolarsResult<(DataFrame, Directions)> {
        let source = canonical_mac(flows.column("sourceMacAddress")?)?;
        let destination = canonical_mac(flows.column("destinationMacAddress")?)?;
        let (direction, counts) = directions(&source, &destination, self.device.mac)?;
        flows.with_column(source.with_name(SOURCE_MAC.into()))?;
        flows.with_column(destination.with_name(DESTINATION_MAC.into()))?;
        flows.with_column(direction)?;
        Ok((flows, counts))
    }

    /// Removes rows: each by the first rule that holds for it.
    fn filter(&self, flows: DataFrame) -> PolarsResult<(DataFrame, Vec<u64>)> {
        let mut kept: Option<BooleanChunked> = None;
        let mut removed = Vec::with_capacity(self.recipe.filters.len());
        for rule in &self.recipe.filters {
            let column = match flows.column(&repaired(&rule.column)) {
                Ok(column) => column.str()?,
                Err(_) => flows.column(&rule.column)?.str()?,
            };
            let holds: BooleanChunked = column
                .iter()
                .map(|value| value.is_some_and(|value| rule.values.iter().any(|listed| listed == value)))
                .collect();
            let still = match kept {
                Some(kept) => kept,
                None => BooleanChunked::full(DIRECTION.into(), true, flows.height()),
            };
            let taken = &still & &holds;
            removed.push(u64::from(taken.sum().unwrap_or_default()));
            kept = Some(&still & &!&holds);
        }
        match kept {
            Some(kept) if removed.iter().any(|rows| *rows > 0) => Ok((flows.filter(&kept)?, removed)),
            _ => Ok((flows, removed)),
        }
    }

    fn evidence(&self, kept: &DataFrame) -> PolarsResult<Vec<ColumnEvidence>> {
        self.recipe
            .dropped
            .iter()
            .map(|field| {
                let mut evidence = ColumnEvidence::new(&field.name);
                evidence.count(kept.column(&field.name)?)?;
                Ok(evidence)
            })
            .collect()
    }

    fn repair(&self, flows: DataFrame) -> PolarsResult<DataFrame> {
        flows.lazy().with_optimizations(PLAN).with_columns(&self.repaired).collect()
    }

    fn derive(&self, repaired: DataFrame) -> PolarsResult<(DataFrame, Vec<u64>)> {
        let mut repairs = Vec::with_capacity(self.touched.len());
        if !self.touched.is_empty() {
            let counts = repaired.clone().lazy().with_optimizations(PLAN).select(&self.touched).collect()?;
            for count in counts.columns() {
                repairs.push(count.i64()?.get(0).unwrap_or_default().cast_unsigned());
            }
        }
        let height = repaired.height();
        let rows = repaired.lazy().with_optimizations(PLAN).select(&self.output).collect()?;
        // A literal alone gives one row, also where there is none.
        let columns: Vec<Column> = rows.into_columns();
        let columns = columns
            .into_iter()
            .map(|column| if column.len() == height { column } else { column.new_from_index(0, height) });
        Ok((DataFrame::new(height, columns.collect())?, repairs))
    }
}
