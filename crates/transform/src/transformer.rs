//! A recipe at work on the batches of one dump.

use flowlake_ingest::{DIRECTION, Device, Direction, DirectionSet, Directions};
use polars::prelude::{BooleanChunked, ChunkFull, Column, DataFrame, Expr, IntoLazy, OptFlags, PolarsResult};

use crate::error::TransformError;
use crate::evidence::ColumnEvidence;
use crate::plan::{OutputColumn, output_columns, output_expressions};
use crate::recipe::Recipe;
use crate::repair::{repaired, repaired_columns, touched};

/// All that these plans need of the optimiser: they have no joins, scans or filters, and are made anew for every batch.
const PLAN: OptFlags = OptFlags::TYPE_COERCION.union(OptFlags::SIMPLIFY_EXPR);

/// Rows of the lake from one batch of raw rows, in the same order, with everything that was counted on the way.
#[derive(Debug, Clone)]
pub struct FlowBatch {
    /// The rows.
    pub rows: DataFrame,
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
    output: Vec<Expr>,
    repaired: Vec<Expr>,
    /// Whether a rule looks at a field that is repaired. Otherwise rows are removed first: what is not kept need not be
    /// repaired.
    repair_first: bool,
    /// Leading rules that look at nothing but the direction: the decoder applies them.
    by_direction: Vec<DirectionSet>,
}

impl Transformer {
    /// Prepares a recipe for the dump of a device.
    #[must_use]
    pub fn new(recipe: &Recipe, device: &Device) -> Self {
        Self {
            output: output_expressions(recipe, &device.name),
            repaired: repaired_columns(&recipe.repairs),
            by_direction: directions_removed(recipe),
            repair_first: recipe.filters.iter().any(|rule| rule.column != DIRECTION),
            recipe: recipe.clone(),
        }
    }

    /// The columns it gives, in order.
    #[must_use]
    pub fn columns(recipe: &Recipe) -> Vec<OutputColumn> {
        output_columns(recipe)
    }

    /// Flows that the first rules remove whatever else is in them: the decoder need not make rows of them.
    #[must_use]
    pub fn left_out(&self) -> DirectionSet {
        let removed = |direction: &Direction| self.by_direction.iter().any(|set| set.contains(*direction));
        Direction::ALL.into_iter().filter(removed).collect()
    }

    /// Transforms a batch: `flows` is in the raw schema with directions, without flows of the directions that are
    /// [left out](Self::left_out); `directions` counts also those.
    ///
    /// # Errors
    /// [`TransformError`] when an expression does not fit its columns.
    pub fn apply(&self, flows: DataFrame, directions: Directions) -> Result<FlowBatch, TransformError> {
        let failed = |step| move |source| TransformError { recipe: self.recipe.name.clone(), step, source };
        let flows =
            if self.repair_first { self.repair(flows).map_err(failed("repair values"))? } else { flows };
        let (kept, removed) = self.filter(flows, directions).map_err(failed("filter rows"))?;
        let kept =
            if self.repair_first { kept } else { self.repair(kept).map_err(failed("repair values"))? };
        let evidence = self.evidence(&kept).map_err(failed("count evidence"))?;
        let (rows, repairs) = self.derive(kept).map_err(failed("derive columns"))?;
        Ok(FlowBatch { rows, removed, repairs, evidence })
    }

    /// Removes rows: each by the first rule that holds for it.
    fn filter(&self, flows: DataFrame, directions: Directions) -> PolarsResult<(DataFrame, Vec<u64>)> {
        let mut kept: Option<BooleanChunked> = None;
        let mut removed = Vec::with_capacity(self.recipe.filters.len());
        let mut before = DirectionSet::default();
        for set in &self.by_direction {
            let mut rows = 0;
            for direction in Direction::ALL.into_iter().filter(|direction| set.contains(*direction)) {
                if !before.contains(direction) {
                    before.insert(direction);
                    rows += directions.count(direction);
                }
            }
            removed.push(rows);
        }
        let left_out = removed.len();
        for rule in &self.recipe.filters[left_out..] {
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
            Some(kept) if removed[left_out..].iter().any(|rows| *rows > 0) => {
                Ok((flows.filter(&kept)?, removed))
            }
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
        let repairs = self.recipe.repairs.iter().map(|repair| touched(*repair, &repaired));
        let repairs = repairs.collect::<PolarsResult<_>>()?;
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

/// The directions that each of the leading rules about directions removes.
fn directions_removed(recipe: &Recipe) -> Vec<DirectionSet> {
    let rules = recipe.filters.iter().take_while(|rule| rule.column == DIRECTION);
    rules.map(|rule| rule.values.iter().filter_map(|name| Direction::from_name(name)).collect()).collect()
}
