//! Plans that mean what their SQL says, where the engine's own would not.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions::datetime::expr_fn::to_local_time;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, Volatility,
    create_udf, lit,
};
use datafusion::physical_expr_common::datum::apply;

use crate::scan::ZONE;

/// What a date with hours is.
const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The plan with what is computed in it put right.
///
/// # Errors
/// When the SQL asks for a part of a duration that has none, and when schemas do not fit.
pub(crate) fn mended(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let mut schema = DFSchema::empty();
        for input in plan.inputs() {
            schema.merge(input.schema());
        }
        let signed = matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Filter(_));
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let mended = expression.transform_up(|expression| value(expression, &schema, signed))?;
            Ok(mended.update_data(|expression| name.restore(expression)))
        })?;
        // Types change, and those of what is above with them.
        plan.map_data(LogicalPlan::recompute_schema)
    });
    plan.map(|plan| plan.data)
}

fn value(expression: Expr, schema: &DFSchema, signed: bool) -> Result<Transformed<Expr>, DataFusionError> {
    match expression {
        Expr::BinaryExpr(binary) => arithmetic(binary, schema),
        // The clock of a place; it would stay an instant, which has the clock of UTC.
        Expr::Cast(instant) if is_moved(&instant, schema) => {
            Ok(Transformed::yes(to_local_time(vec![Expr::Cast(instant)])))
        }
        Expr::ScalarFunction(function) if function.func.name() == "date_part" => {
            let [Expr::Literal(part, _), of] = &function.args[..] else {
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            };
            let part = part.try_as_str().flatten().unwrap_or_default().to_owned();
            match of.get_type(schema) {
                Ok(DataType::Duration(unit)) => Ok(Transformed::yes(part_of_duration(&part, of, unit)?)),
                _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
            }
        }
        // ROW_NUMBER and the like: with a number below zero they would become decimals.
        Expr::Column(_) if signed && expression.get_type(schema).is_ok_and(|of| of == DataType::UInt64) => {
            Ok(Transformed::yes(cast(expression, DataType::Int64)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// `x AT TIME ZONE z` of an instant. Casts to TIMESTAMPTZ have the zone of the session.
fn is_moved(cast: &Cast, schema: &DFSchema) -> bool {
    let to_place = matches!(cast.field.data_type(), DataType::Timestamp(_, Some(zone)) if &**zone != ZONE);
    to_place && matches!(cast.expr.get_type(schema), Ok(DataType::Timestamp(_, Some(_))))
}

fn arithmetic(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>, DataFusionError> {
    let BinaryExpr { left, op, right } = binary;
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        // What has no type is said later, by what gives types.
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    };
    if left_type.is_integer() && right_type.is_integer() {
        if let Some(exact) = exact(op) {
            let operands = vec![widened(*left, &left_type), widened(*right, &right_type)];
            let function = ScalarFunction::new_udf(Arc::clone(exact), operands);
            return Ok(Transformed::yes(Expr::ScalarFunction(function)));
        }
        if matches!(op, Operator::Divide | Operator::Modulo) && !is_number_but_zero(&right) {
            let right = Box::new(nullif(widened(*right, &right_type), lit(0_i64)));
            let left = Box::new(widened(*left, &left_type));
            return Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })));
        }
    }
    let intervals = [&left_type, &right_type].iter().all(|of| matches!(of, DataType::Interval(_)));
    if intervals && op.negate().is_some() {
        let text = "intervals cannot be compared, because months and days have no fixed length; durations in seconds \
                    can: EXTRACT(EPOCH FROM a - b)";
        return Err(DataFusionError::Plan(text.to_owned()));
    }
    let additive = matches!(op, Operator::Plus | Operator::Minus);
    let is_time = |of: &DataType, other: &DataType, expression: &Expr| {
        additive
            && *of == DataType::Date32
            && matches!(other, DataType::Interval(_))
            && !has_whole_days(expression)
    };
    // A date with hours is a time; the hours would be dropped.
    let (left, right, mended) = if is_time(&left_type, &right_type, &right) {
        (Box::new(cast(*left, TIME)), right, true)
    } else if is_time(&right_type, &left_type, &left) {
        (left, Box::new(cast(*right, TIME)), true)
    } else {
        (left, right, false)
    };
    let binary = Expr::BinaryExpr(BinaryExpr { left, op, right });
    Ok(if mended { Transformed::yes(binary) } else { Transformed::no(binary) })
}

fn widened(operand: Expr, of: &DataType) -> Expr {
    if *of == DataType::Int64 { operand } else { cast(operand, DataType::Int64) }
}

fn is_number_but_zero(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Int64(Some(number)), _) if *number != 0)
}

/// Sums, differences and products of whole numbers that fail where they do not fit, instead of wrapping around in silence.
fn exact(op: Operator) -> Option<&'static Arc<ScalarUDF>> {
    // One of each, so that equal expressions are equal.
    static SUM: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function_of("exact_sum", numeric::add));
    static DIFFERENCE: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| function_of("exact_difference", numeric::sub));
    static PRODUCT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function_of("exact_product", numeric::mul));
    match op {
        Operator::Plus => Some(&SUM),
        Operator::Minus => Some(&DIFFERENCE),
        Operator::Multiply => Some(&PRODUCT),
        _ => None,
    }
}

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

fn function_of(name: &'static str, kernel: Kernel) -> Arc<ScalarUDF> {
    let function = move |operands: &[ColumnarValue]| match operands {
        [left, right] => apply(left, right, kernel),
        _ => Err(DataFusionError::Internal(format!("{name} takes two numbers"))),
    };
    let operands = vec![DataType::Int64, DataType::Int64];
    Arc::new(create_udf(name, operands, DataType::Int64, Volatility::Immutable, Arc::new(function)))
}

fn has_whole_days(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => interval.nanoseconds == 0,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => interval.milliseconds == 0,
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => true,
        _ => false,
    }
}

/// Seconds with their fraction. Other parts would be the whole duration in that unit, and not a part.
fn part_of_duration(part: &str, of: &Expr, unit: TimeUnit) -> Result<Expr, DataFusionError> {
    if !part.eq_ignore_ascii_case("epoch") {
        let text =
            format!("no {part} can be extracted from a duration, only EPOCH, which is all of it in seconds");
        return Err(DataFusionError::Plan(text));
    }
    let in_a_second = match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    Ok(cast(cast(of.clone(), DataType::Int64), DataType::Float64) / lit(in_a_second))
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), data_type))
}
