//! Rules for the optimizer: what it makes of a plan has to stay right, and fast.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::Transformed;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    Aggregate, Expr, FetchType, Join, LogicalPlan, LogicalPlanBuilder, Projection, TableScan, is_true,
};
use datafusion::optimizer::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Joins that keep all rows of their right side have the sides changed: a condition on both sides is pushed into a right join by
/// the names of its columns alone, so that one of the left side is taken for the other's.
#[derive(Debug)]
pub(crate) struct KeptOnTheLeft;

impl OptimizerRule for KeptOnTheLeft {
    fn name(&self) -> &'static str {
        "joins_keep_the_left_side"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        match plan {
            LogicalPlan::Join(join) if keeps_the_right(join.join_type) => {
                let schema = Arc::clone(&join.schema);
                let Join {
                    left,
                    right,
                    on,
                    filter,
                    join_type,
                    join_constraint,
                    null_equality,
                    null_aware,
                    ..
                } = join;
                let on = on.into_iter().map(|(left, right)| (right, left)).collect();
                let swapped = join_type.swap();
                let join = Join::try_new(
                    right,
                    left,
                    on,
                    filter,
                    swapped,
                    join_constraint,
                    null_equality,
                    null_aware,
                )?;
                let join = Arc::new(LogicalPlan::Join(join));
                // In the order that they had; a column of a join has the same name on whatever side it is.
                let columns = schema.columns().into_iter().map(Expr::Column).collect();
                Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new_with_schema(
                    columns, join, schema,
                )?)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn keeps_the_right(join: JoinType) -> bool {
    matches!(join, JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark)
}

/// Conditions on partition columns are made ones that are never null: of a null, the pruning of files takes what stands in its
/// place for the answer.
#[derive(Debug)]
pub(crate) struct KnownPartitions {
    /// Names of the partition columns.
    pub(crate) columns: Vec<String>,
}

impl OptimizerRule for KnownPartitions {
    fn name(&self) -> &'static str {
        "conditions_on_partitions_are_known"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        let LogicalPlan::TableScan(scan) = plan else { return Ok(Transformed::no(plan)) };
        let of_partitions = |filter: &Expr| {
            let columns = filter.column_refs();
            !columns.is_empty()
                && columns.iter().all(|column| self.columns.contains(&column.name))
                && !matches!(filter, Expr::IsTrue(_))
        };
        if !scan.filters.iter().any(of_partitions) {
            return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
        }
        let known = |filter: Expr| if of_partitions(&filter) { is_true(filter) } else { filter };
        let filters = scan.filters.iter().cloned().map(known).collect();
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { filters, ..scan })))
    }
}

/// `IN (SELECT …)` and `EXISTS` look at each value of the other side once: the join that is made of them walks over all
/// that are equal, for every row.
#[derive(Debug)]
pub(crate) struct EachOnce;

impl OptimizerRule for EachOnce {
    fn name(&self) -> &'static str {
        "each_value_of_a_semi_join_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>, DataFusionError> {
        match plan {
            LogicalPlan::Join(join) if asks_whether(join.join_type) && !is_distinct(&join.right) => {
                let columns: Vec<Expr> =
                    join.right.schema().columns().into_iter().map(Expr::Column).collect();
                let once = if columns.is_empty() {
                    // All that is asked is whether there is a row.
                    LogicalPlanBuilder::from(Arc::clone(&join.right)).limit(0, Some(1))?.build()?
                } else {
                    LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&join.right), columns, Vec::new())?)
                };
                let right = Arc::new(once);
                Ok(Transformed::yes(LogicalPlan::Join(Join { right, ..join })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn asks_whether(join: JoinType) -> bool {
    matches!(join, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark)
}

/// Whether rows differ from each other already. Projections above only drop or rename what was made distinct by this rule.
fn is_distinct(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Distinct(_) => true,
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.is_empty(),
        LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(1)))),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(projection) => is_distinct(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_distinct(&alias.input),
        _ => false,
    }
}
