//! What the optimizer or the execution of a plan gets wrong.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{InList, InSubquery, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Subquery};

use super::Refused;
use crate::error::QueryError;

/// Longest text that REPEAT and the like make: of each row, and whatever the limit for memory is.
const MAX_TEXT_CHARS: i64 = 65_536;

/// Looks through a plan before anything is optimized.
pub(crate) fn check_plan(plan: &LogicalPlan, sql: &str) -> Result<(), QueryError> {
    let selected = selected(plan);
    let mut refused = None;
    let looked = plan.apply_with_subqueries(|plan| {
        refused = match plan {
            LogicalPlan::Filter(filter) => in_condition(&filter.predicate, true),
            other => other.expressions().iter().find_map(in_value),
        };
        let expressions = plan.expressions();
        if refused.is_none() {
            refused = expressions.iter().find_map(|value| find(value, anywhere));
        }
        let is_selected = selected.is_some_and(|selected| std::ptr::eq(selected, plan));
        if refused.is_none() && matches!(plan, LogicalPlan::Projection(_)) && !is_selected {
            refused = expressions.iter().any(Expr::is_volatile).then(computed_twice);
        }
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    looked.map_err(QueryError::Run)?;
    refused.map_or(Ok(()), |refused| Err(refused.error(sql)))
}

/// What the outermost SELECT gives, which nothing takes up again.
fn selected(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Projection(_) => Some(plan),
        LogicalPlan::Sort(sort) => selected(&sort.input),
        LogicalPlan::Limit(limit) => selected(&limit.input),
        LogicalPlan::Explain(explain) => selected(&explain.plan),
        _ => None,
    }
}

fn computed_twice() -> Refused {
    Refused::new(
        "RANDOM() and UUID() in a subquery would be computed anew wherever they are used",
        "they can stand in WHERE and ORDER BY, and in what the query selects; --output keeps them",
    )
}

/// In a condition, where what is unknown is as good as false unless something is made of it.
fn in_condition(condition: &Expr, conjunct: bool) -> Option<Refused> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            in_condition(left, conjunct).or_else(|| in_condition(right, conjunct))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => forgotten_null(condition)
            .or_else(|| in_condition(left, false))
            .or_else(|| in_condition(right, false)),
        Expr::InSubquery(inner) if inner.negated && !inner.subquery.outer_ref_columns.is_empty() => {
            // A null among other rows of the subquery would count for all of them.
            Some(Refused::new(
                "NOT IN (SELECT …) is not supported with columns of the query around it",
                "NOT EXISTS (SELECT … WHERE a.x = b.x) is",
            ))
        }
        Expr::InSubquery(inner) if conjunct || !inner.negated => in_value(&inner.expr),
        other => in_value(other),
    }
}

/// Where it makes a difference whether a value is unknown or false, which is not told apart.
fn in_value(value: &Expr) -> Option<Refused> {
    find(value, |expr| match expr {
        Expr::InSubquery(_) => Some(Refused::new(
            "IN (SELECT …) is supported in WHERE, beside AND and OR; NOT IN (SELECT …) beside AND",
            "EXISTS (SELECT … WHERE a.x = b.x) can stand anywhere in WHERE",
        )),
        other => forgotten_null(other),
    })
}

/// `x IN (1, 2) AND x IN (3)` is made one list, here an empty one, which is false where x is null. So is
/// `x NOT IN (1, 2) OR x NOT IN (3)`, which is made true.
fn forgotten_null(value: &Expr) -> Option<Refused> {
    let Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) = value else {
        return None;
    };
    let mut seen: Vec<&Expr> = Vec::new();
    let mut waiting = vec![value];
    while let Some(next) = waiting.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op: same, right }) if same == op => {
                waiting.extend([&**left, &**right]);
            }
            Expr::InList(InList { expr, negated, .. }) if *op == Operator::And || *negated => {
                if seen.contains(&&**expr) {
                    return Some(Refused::new(
                        "several lists of IN for one column are not supported here",
                        "one list does the same",
                    ));
                }
                seen.push(expr);
            }
            _ => {}
        }
    }
    None
}

/// What is wrong wherever it stands.
fn anywhere(expr: &Expr) -> Option<Refused> {
    match expr {
        Expr::ScalarSubquery(inner) if counted_and_filtered(inner) => Some(Refused::new(
            "HAVING is not supported in a subquery that uses columns of the query around it",
            "a CASE around what is selected does the same",
        )),
        Expr::Exists(exists) if asks_of_all_rows(&exists.subquery) => Some(of_all_rows()),
        Expr::InSubquery(InSubquery { subquery, .. }) if asks_of_all_rows(subquery) => Some(of_all_rows()),
        Expr::WindowFunction(window) => running_difference(window),
        Expr::ScalarFunction(function) if ["repeat", "lpad", "rpad"].contains(&function.func.name()) => {
            let short = |length: &Expr| match length {
                Expr::Literal(ScalarValue::Int64(length), _) => {
                    length.is_none_or(|length| length <= MAX_TEXT_CHARS)
                }
                _ => false,
            };
            (!function.args.get(1).is_some_and(short)).then(|| {
                Refused::new("REPEAT, LPAD and RPAD make texts of at most 65,536 characters", "give a number")
            })
        }
        _ => None,
    }
}

/// `(SELECT COUNT(*) … HAVING …)` of each row: without rows it would be 0, whatever HAVING says.
fn counted_and_filtered(inner: &Subquery) -> bool {
    !inner.outer_ref_columns.is_empty()
        && holds(
            inner,
            |plan| matches!(plan, LogicalPlan::Filter(filter) if matches!(&*filter.input, LogicalPlan::Aggregate(_))),
        )
}

/// A subquery of each row that has a row without any to look at, or passes some over: neither is kept when it is made a join.
fn asks_of_all_rows(inner: &Subquery) -> bool {
    !inner.outer_ref_columns.is_empty()
        && holds(inner, |plan| match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            LogicalPlan::Limit(limit) => limit.skip.is_some(),
            _ => false,
        })
}

fn of_all_rows() -> Refused {
    Refused::new(
        "an aggregate or OFFSET is not supported in EXISTS and IN with columns of the query around them",
        "compare with the aggregate as a value: x = (SELECT COUNT(*) …)",
    )
}

/// Spreads of frames that rows leave again: what was added is subtracted, and what remains is noise, or below zero.
fn running_difference(window: &WindowFunction) -> Option<Refused> {
    let name = window.fun.name().to_lowercase();
    let of_squares = ["var", "stddev", "covar", "corr", "regr_"].iter().any(|begin| name.starts_with(begin));
    let slides = !window.params.window_frame.is_ever_expanding();
    (of_squares && slides).then(|| {
        Refused::new(
            "VAR, STDDEV, COVAR, CORR and REGR are not supported over frames that rows leave again",
            "begin the frame with UNBOUNDED PRECEDING, or group by intervals of time",
        )
    })
}

fn holds(inner: &Subquery, check: impl Fn(&LogicalPlan) -> bool) -> bool {
    inner.subquery.exists(|plan| Ok(check(plan))).unwrap_or(true)
}

fn find(value: &Expr, check: impl Fn(&Expr) -> Option<Refused>) -> Option<Refused> {
    let mut found = None;
    let _: Result<_, DataFusionError> = value.apply(|expr| {
        found = check(expr);
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}
