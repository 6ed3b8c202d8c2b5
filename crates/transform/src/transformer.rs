//! A recipe at work on the batches of one dump.

use flowlake_ingest::{DIRECTION, Direction, DirectionSet, Directions};
use polars::prelude::{
    BooleanChunked, Column, DataFrame, Expr, IntoLazy, NewChunkedArray, OptFlags, PlSmallStr, PolarsResult,
};

use crate::duplicates::{Fingerprint, fingerprints};
use crate::error::TransformError;
use crate::evidence::ColumnEvidence;
use crate::plan::{OutputColumn, is_repaired, output_columns, output_expressions, removes};
use crate::recipe::{Condition, Recipe, Value};
use crate::repair::{repaired, repaired_columns, touched};

/// All that these plans need of the optimiser: they have no joins, scans or filters, and are made anew for every batch.
const PLAN: OptFlags = OptFlags::TYPE_COERCION.union(OptFlags::SIMPLIFY_EXPR);

/// Rows of the lake from one batch of raw rows, in the same order, with everything that was counted on the way.
#[derive(Debug, Clone)]
pub struct FlowBatch {
    /// The rows. Where the recipe has no flow start, [`FLOW_START_HELPER`](crate::FLOW_START_HELPER) is the last column.
    pub rows: DataFrame,
    /// Rows removed by each rule of the recipe.
    pub removed: Vec<u64>,
    /// Values changed by each repair of the recipe, over the rows kept.
    pub repairs: Vec<u64>,
    /// IPv6 addresses that each of [`Recipe::ipv4_columns`] could not hold, over the rows kept.
    pub not_encoded: Vec<u64>,
    /// Evidence of each dropped field, over the rows kept.
    pub evidence: Vec<ColumnEvidence>,
}

/// A batch on its way, with all rules applied that stand before the one about duplicates.
#[derive(Debug, Clone)]
pub struct Screened {
    flows: DataFrame,
    removed: Vec<u64>,
    /// One a row, if the recipe removes duplicates.
    pub fingerprints: Vec<Fingerprint>,
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
    /// The rules behind those, up to the one about duplicates, and the rules behind that.
    before: Vec<Expr>,
    after: Vec<Expr>,
    duplicates: bool,
}

/// What the rows of a dump have in common.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Name of the device.
    pub device: &'a str,
    /// Its class.
    pub device_class: &'a str,
    /// Name of the dump.
    pub dump: &'a str,
}

impl Transformer {
    /// Prepares a recipe for a dump of a device.
    #[must_use]
    pub fn new(recipe: &Recipe, labels: Labels<'_>) -> Self {
        let by_direction = directions_removed(recipe);
        let conditions: Vec<&Condition> = recipe.filters.iter().map(|rule| &rule.condition).collect();
        let mut parts = conditions[by_direction.len()..].split(|rule| **rule == Condition::Duplicates);
        let mut masks = || -> Vec<Expr> {
            parts.next().unwrap_or_default().iter().filter_map(|rule| removes(recipe, rule)).collect()
        };
        Self {
            output: output_expressions(recipe, labels),
            repaired: repaired_columns(&recipe.repairs),
            repair_first: conditions
                .iter()
                .any(|rule| rule.columns().iter().any(|column| is_repaired(recipe, column))),
            before: masks(),
            after: masks(),
            duplicates: recipe.removes_duplicates(),
            by_direction,
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

    /// Whether a rule removes duplicates. Then somebody who sees all batches in order has to tell
    /// [`finish`](Self::finish) which rows are none.
    #[must_use]
    pub fn removes_duplicates(&self) -> bool {
        self.duplicates
    }

    /// The first step: rules that look at single rows, up to the one about duplicates. `flows` is in the raw schema with
    /// directions, without flows of the directions that are [left out](Self::left_out); `directions` counts also those.
    ///
    /// # Errors
    /// [`TransformError`] when an expression does not fit its columns.
    pub fn screen(&self, flows: DataFrame, directions: Directions) -> Result<Screened, TransformError> {
        let flows =
            if self.repair_first { self.failing("repair values", self.repair(flows))? } else { flows };
        let mut removed = self.left_out_by_rule(directions);
        let flows = self.failing("filter rows", filter(flows, &self.before, &mut removed))?;
        let fingerprints = if self.duplicates { fingerprints(&flows) } else { Ok(Vec::new()) };
        let fingerprints = self.failing("take fingerprints", fingerprints)?;
        Ok(Screened { flows, removed, fingerprints })
    }

    /// The second step: everything else. `first` says of each row whether it is no duplicate; it is not looked at if no rule
    /// removes those.
    ///
    /// # Errors
    /// As [`Self::screen`].
    pub fn finish(&self, screened: Screened, first: &[bool]) -> Result<FlowBatch, TransformError> {
        let Screened { mut flows, mut removed, .. } = screened;
        if self.duplicates {
            let duplicates = first.iter().filter(|first| !**first).count();
            removed.push(duplicates as u64);
            if duplicates > 0 {
                let first = BooleanChunked::from_slice(PlSmallStr::EMPTY, first);
                flows = self.failing("remove duplicates", flows.filter(&first))?;
            }
        }
        let kept = self.failing("filter rows", filter(flows, &self.after, &mut removed))?;
        let kept = if self.repair_first { kept } else { self.failing("repair values", self.repair(kept))? };
        let evidence = self.failing("count evidence", self.evidence(&kept))?;
        let not_encoded = self.failing("count addresses", self.not_encoded(&kept))?;
        let (rows, repairs) = self.failing("derive columns", self.derive(kept))?;
        Ok(FlowBatch { rows, removed, repairs, not_encoded, evidence })
    }

    fn failing<T>(&self, step: &'static str, result: PolarsResult<T>) -> Result<T, TransformError> {
        result.map_err(|source| TransformError { recipe: self.recipe.name.clone(), step, source })
    }

    /// Rows that each of the leading rules about the direction removes.
    fn left_out_by_rule(&self, directions: Directions) -> Vec<u64> {
        let mut before = DirectionSet::default();
        let rows = self.by_direction.iter().map(|set| {
            let mut rows = 0;
            for direction in Direction::ALL.into_iter().filter(|direction| set.contains(*direction)) {
                if !before.contains(direction) {
                    before.insert(direction);
                    rows += directions.count(direction);
                }
            }
            rows
        });
        rows.collect()
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

    fn not_encoded(&self, kept: &DataFrame) -> PolarsResult<Vec<u64>> {
        let count = |(_, field): (&str, &str)| {
            let name = if is_repaired(&self.recipe, field) { repaired(field) } else { field.to_owned() };
            let ipv6 = kept.column(&name)?.str()?.iter().flatten().filter(|address| address.contains(':'));
            Ok(ipv6.count() as u64)
        };
        self.recipe.ipv4_columns().into_iter().map(count).collect()
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

/// Removes rows, each by the first rule that holds for it, and counts them for each rule.
fn filter(flows: DataFrame, rules: &[Expr], removed: &mut Vec<u64>) -> PolarsResult<DataFrame> {
    if rules.is_empty() || flows.height() == 0 {
        removed.extend(rules.iter().map(|_| 0));
        return Ok(flows);
    }
    let masks = rules.iter().enumerate().map(|(i, rule)| rule.clone().alias(i.to_string()));
    let masks = flows.clone().lazy().with_optimizations(PLAN).select(masks.collect::<Vec<_>>()).collect()?;
    let mut gone: Option<BooleanChunked> = None;
    for mask in masks.columns() {
        let holds = mask.bool()?;
        // Rows that an earlier rule removed count there.
        let taken = gone.as_ref().map_or_else(|| holds.clone(), |gone| holds & &!gone);
        removed.push(u64::from(taken.sum().unwrap_or_default()));
        gone = Some(gone.as_ref().map_or_else(|| holds.clone(), |gone| gone | holds));
    }
    match gone {
        Some(gone) if gone.any() => flows.filter(&!&gone),
        _ => Ok(flows),
    }
}

/// The directions that each of the leading rules about directions removes.
fn directions_removed(recipe: &Recipe) -> Vec<DirectionSet> {
    let by_direction = recipe.filters.iter().map_while(|rule| match &rule.condition {
        Condition::In { column, values } if column == DIRECTION => Some(values),
        _ => None,
    });
    let direction = |value: &Value| match value {
        Value::Text(name) => Direction::from_name(name),
        Value::Integer(_) => None,
    };
    by_direction.map(|values| values.iter().filter_map(direction).collect()).collect()
}
