//! What stands in the SQL, and is passed over or taken for something else when it is planned.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, JoinConstraint,
    JoinOperator, Query, Select, SetExpr, SetOperator, SetQuantifier, Spanned, TableFactor, TableWithJoins,
    Visit, Visitor,
};

use super::Refused;
use crate::error::QueryError;

/// Looks for what the planner passes over.
pub(crate) fn check_statement(statement: &Statement, sql: &str) -> Result<(), QueryError> {
    let statement = match statement {
        Statement::Explain(explained) => return check_statement(&explained.statement, sql),
        Statement::Statement(statement) => statement,
        _ => return Ok(()),
    };
    match statement.visit(&mut Syntax) {
        ControlFlow::Break(refused) => Err(refused.error(sql)),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Syntax;

impl Visitor for Syntax {
    type Break = Refused;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refused> {
        let Query { fetch, locks, for_clause, settings, format_clause, pipe_operators, .. } = query;
        if fetch.is_some() {
            return ControlFlow::Break(Refused::new("FETCH FIRST is not supported", "LIMIT does the same"));
        }
        if !pipe_operators.is_empty() {
            return ControlFlow::Break(Refused::new("`|>` is not supported", "write the query as a SELECT"));
        }
        if !locks.is_empty() || for_clause.is_some() || settings.is_some() || format_clause.is_some() {
            let what = "what stands behind the query is not supported";
            return ControlFlow::Break(Refused::new(what, "a query ends with ORDER BY, LIMIT or OFFSET"));
        }
        set_operations(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refused> {
        for TableWithJoins { relation: _, joins } in &select.from {
            check_joins(joins)?;
        }
        let Select {
            select_modifiers,
            exclude,
            into,
            prewhere,
            connect_by,
            distribute_by,
            value_table_mode,
            ..
        } = select;
        let has_modifiers = matches!(&select.group_by,
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty());
        let (what, instead) = if prewhere.is_some() {
            ("PREWHERE is not supported", "WHERE does the same")
        } else if !connect_by.is_empty() {
            ("CONNECT BY is not supported", "WITH RECURSIVE does the same")
        } else if !distribute_by.is_empty() {
            ("DISTRIBUTE BY is not supported", "leave it out")
        } else if into.is_some() {
            ("SELECT … INTO is not supported", "--output FILE writes the answer to a file")
        } else if has_modifiers {
            ("WITH behind GROUP BY is not supported", "GROUP BY ROLLUP (…) and CUBE (…) are")
        } else if exclude.is_some() || value_table_mode.is_some() || select_modifiers.is_some() {
            ("this form of SELECT is not supported", "name the columns that are wanted")
        } else {
            return ControlFlow::Continue(());
        };
        ControlFlow::Break(Refused::new(what, instead).at(select.span()))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Refused> {
        let (sample, others) = match table {
            TableFactor::Table {
                sample,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                index_hints,
                ..
            } => {
                let others = !with_hints.is_empty()
                    || version.is_some()
                    || *with_ordinality
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_hints.is_empty();
                (sample.is_some(), others)
            }
            TableFactor::Derived { sample, .. } => (sample.is_some(), false),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                check_joins(&table_with_joins.joins)?;
                (false, false)
            }
            _ => (false, false),
        };
        if sample {
            let instead = "RANDOM() < 0.01 in WHERE keeps about one row in a hundred; `flowlake sample` makes sample dumps";
            return ControlFlow::Break(
                Refused::new("TABLESAMPLE is not supported", instead).at(table.span()),
            );
        }
        if others {
            let refused =
                Refused::new("what stands behind the table's name is not supported", "leave it out");
            return ControlFlow::Break(refused.at(table.span()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<Refused> {
        let refused = match expr {
            ast::Expr::AnyOp { .. } => {
                Refused::new("ANY is not supported", "IN (SELECT …) and EXISTS (SELECT …) are")
            }
            ast::Expr::AllOp { .. } => Refused::new(
                "ALL is not supported",
                "NOT EXISTS (SELECT …) is, and a comparison with (SELECT MAX(…) …)",
            ),
            // The pattern would be one of a regular expression, found anywhere in the text.
            ast::Expr::SimilarTo { .. } => {
                Refused::new("SIMILAR TO is not supported", "LIKE is, and regular expressions: x ~ '^…$'")
            }
            ast::Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. } => {
                Refused::new("`^` means different things in different dialects", "POWER(a, b) is a power")
            }
            ast::Expr::Function(function) if is_format_of_others(function) => Refused::new(
                "a format of TO_CHAR has signs such as %Y-%m-%d here",
                "%Y, %m, %d, %H, %M and %S are the parts of a time",
            ),
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(refused.at(expr.span()))
    }
}

/// `TO_CHAR(t, 'YYYY-MM')`, which would be the text `YYYY-MM`.
fn is_format_of_others(function: &ast::Function) -> bool {
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(arguments) = &function.args else { return false };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(format)))) = arguments.args.get(1)
    else {
        return false;
    };
    let text = format.value.clone().into_string();
    ["to_char", "date_format"].contains(&name.as_str()) && text.is_some_and(|text| !text.contains('%'))
}

/// Those of a body, which may be nested, as in `a UNION b EXCEPT ALL c`.
fn set_operations(body: &SetExpr) -> ControlFlow<Refused> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
        return ControlFlow::Continue(());
    };
    let all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    if all && *op != SetOperator::Union {
        let what = match op {
            SetOperator::Intersect => "INTERSECT ALL is not supported",
            _ => "EXCEPT ALL is not supported",
        };
        let instead =
            "without ALL, each row comes once; ROW_NUMBER() OVER (PARTITION BY …) tells equal rows apart";
        return ControlFlow::Break(Refused::new(what, instead).at(right.span()));
    }
    set_operations(left)?;
    set_operations(right)
}

fn check_joins(joins: &[ast::Join]) -> ControlFlow<Refused> {
    for join in joins {
        let refused = match &join.join_operator {
            // The column that both have would be that of the left side, which may not be there.
            JoinOperator::Right(by) | JoinOperator::RightOuter(by) | JoinOperator::FullOuter(by)
                if matches!(by, JoinConstraint::Using(_) | JoinConstraint::Natural) =>
            {
                Refused::new(
                    "RIGHT and FULL joins with USING or NATURAL are not supported",
                    "ON a.x = b.x is; COALESCE(a.x, b.x) is then the column of both",
                )
            }
            JoinOperator::Semi(_) => {
                Refused::new("SEMI JOIN is not supported", "it is written LEFT SEMI JOIN")
            }
            JoinOperator::Anti(_) => {
                Refused::new("ANTI JOIN is not supported", "it is written LEFT ANTI JOIN")
            }
            JoinOperator::AsOf { .. } => Refused::new(
                "ASOF JOIN is not supported",
                "ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) = 1 takes the last one before",
            ),
            JoinOperator::CrossApply | JoinOperator::OuterApply => {
                Refused::new("APPLY is not supported", "JOIN LATERAL (SELECT …) is")
            }
            JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => Refused::new(
                "this form of JOIN is not supported",
                "JOIN, LEFT, RIGHT, FULL and CROSS JOIN are",
            ),
            _ => continue,
        };
        return ControlFlow::Break(refused.at(join.relation.span()));
    }
    ControlFlow::Continue(())
}
