//! From a recipe to Polars expressions and the schema of what they give.

use flowlake_ingest::DIRECTION;
use flowlake_ingest::schema::{FIELDS, Kind, LINE, TCP_FLAG_LETTERS, field_index};

use crate::transformer::Labels;
use polars::prelude::{DataType, Expr, NamedFrom, Series, TimeUnit, col, lit, when};

use crate::kernels;
use crate::recipe::{
    Condition, DEVICE_CLASS, DEVICE_NAME, DUMP, Derivation, FLOW_START, FLOW_START_HELPER, Fill, IpFamily,
    OutputSpec, Recipe, Role, TimePart, Value,
};
use crate::repair::{Repair, repaired};

/// Type of a column of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// Text.
    Text,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit floating point.
    Float64,
    /// Days since 1970.
    Date,
    /// Milliseconds since 1970, UTC.
    TimestampMillis,
}

impl OutputType {
    /// Its name in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Date => "date",
            Self::TimestampMillis => "timestamp[ms, UTC]",
        }
    }

    fn polars(self) -> DataType {
        match self {
            Self::Text => DataType::String,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Date => DataType::Date,
            Self::TimestampMillis => DataType::Datetime(TimeUnit::Milliseconds, None),
        }
    }
}

/// A column of the lake: what a recipe makes, with everything a reader wants to know of it.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: OutputType,
    /// Unit of its values.
    pub unit: Option<String>,
    /// Whether nulls can occur.
    pub nullable: bool,
    /// What it is for.
    pub role: Role,
    /// What it holds, for people.
    pub description: String,
    /// Raw fields it is made from.
    pub source: Vec<String>,
    /// How.
    pub derivation: String,
    /// Whether nearly every value differs from the next: a dictionary would not pay.
    pub distinct_text: bool,
}

/// The output columns of a recipe.
pub(crate) fn output_columns(recipe: &Recipe) -> Vec<OutputColumn> {
    recipe.columns.iter().map(|spec| output_column(recipe, spec)).collect()
}

/// The column that is made of a specification.
pub(crate) fn output_column(recipe: &Recipe, spec: &OutputSpec) -> OutputColumn {
    let source = recipe.sources(&spec.derivation);
    let made = match &spec.derivation {
        Derivation::Copy(name) => {
            let how = match name.as_str() {
                DEVICE_NAME => "the device the catalogue gives to the dump".to_owned(),
                DEVICE_CLASS => "the class the catalogue gives to the device".to_owned(),
                DUMP => "name of the dump".to_owned(),
                LINE => "number of the line in the dump, from 1".to_owned(),
                DIRECTION => "which end has the MAC address of the device".to_owned(),
                _ => copy_derivation(recipe, name),
            };
            (field_type(recipe, name), how)
        }
        Derivation::Date(name) => (OutputType::Date, format!("UTC date of {name}")),
        Derivation::TimeOfDay(name) => (OutputType::Text, format!("UTC time of day of {name}")),
        Derivation::TimePart(part, name) => (OutputType::Int32, format!("UTC {} of {name}", part.name())),
        Derivation::Lookup(table) => {
            (OutputType::Text, format!("table {table} of the recipe by {}", source.join(", ")))
        }
        Derivation::OneHot { column, value } => {
            (OutputType::Int32, format!("1 if {column} is {value}, else 0"))
        }
        Derivation::InList { column, values } => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            (OutputType::Int32, format!("1 if {column} is one of {}, else 0", values.join(", ")))
        }
        Derivation::Flag { column, letter } => {
            (OutputType::Int32, format!("1 if {column} has the flag {letter}, else 0"))
        }
        Derivation::Ipv4Integer(name) => {
            (OutputType::Int64, format!("32-bit value of {name}, if it is IPv4"))
        }
        Derivation::Ratio { of, to } => (OutputType::Float64, format!("{of} / {to}, unless that is 0")),
    };
    let (data_type, mut derivation) = made;
    match &spec.fill {
        Some(Fill::Text(text)) => derivation += &format!("; {text:?} where missing"),
        Some(Fill::Integer(number)) => derivation += &format!("; {number} where missing"),
        Some(Fill::Float(number)) => derivation += &format!("; {number} where missing"),
        None => {}
    }
    OutputColumn {
        name: spec.name.clone(),
        data_type,
        unit: spec.unit.clone(),
        nullable: spec.fill.is_none() && nullable(recipe, &spec.derivation),
        role: spec.role,
        description: spec.description.clone(),
        // What is known of the dump is no raw field.
        source: source.into_iter().filter(|name| field_index(name).is_some()).collect(),
        derivation,
        distinct_text: matches!(spec.derivation, Derivation::TimeOfDay(_)),
    }
}

/// Whether a derivation can give no value.
fn nullable(recipe: &Recipe, derivation: &Derivation) -> bool {
    let missing = || recipe.sources(derivation).iter().any(|name| field_nullable(recipe, name));
    match derivation {
        Derivation::Lookup(_) => false,
        Derivation::Ratio { .. } => true,
        Derivation::Ipv4Integer(name) => {
            let only_ipv4 = recipe.filters.iter().any(|filter| {
                matches!(&filter.condition, Condition::Ip { columns, family: IpFamily::V6 } if columns.contains(name))
            });
            !only_ipv4 || missing()
        }
        _ => missing(),
    }
}

fn copy_derivation(recipe: &Recipe, name: &str) -> String {
    let repairs: Vec<&str> = repairs_of(recipe, name).map(Repair::name).collect();
    if repairs.is_empty() { "as written".to_owned() } else { format!("repaired: {}", repairs.join(", ")) }
}

/// Whether a repair of the recipe can change a field.
pub(crate) fn is_repaired(recipe: &Recipe, field: &str) -> bool {
    repairs_of(recipe, field).next().is_some()
}

/// Repairs of the recipe that can change a field.
fn repairs_of<'a>(recipe: &'a Recipe, field: &'a str) -> impl Iterator<Item = Repair> + 'a {
    recipe.repairs.iter().copied().filter(move |repair| match repair {
        Repair::MacTrailingColon => field.ends_with("MacAddress"),
        Repair::Ipv6Canonical | Repair::Ipv4Unspecified => field.ends_with("IPv4Address"),
        Repair::DurationMilliseconds => is_duration(field),
        Repair::FlowEndReasonClosed => field == "flowEndReason",
    })
}

fn is_duration(field: &str) -> bool {
    field_index(field).is_some_and(|i| FIELDS[i].kind == Kind::Thousandths)
}

fn field_type(recipe: &Recipe, name: &str) -> OutputType {
    if name == LINE {
        return OutputType::Int64;
    }
    let Some(i) = field_index(name) else {
        return OutputType::Text;
    };
    match FIELDS[i].kind {
        Kind::Timestamp => OutputType::TimestampMillis,
        Kind::Thousandths if recipe.repairs.contains(&Repair::DurationMilliseconds) => OutputType::Int64,
        Kind::Thousandths => OutputType::Float64,
        Kind::Integer(max) | Kind::Hex(max) if max <= i64::from(i32::MAX) => OutputType::Int32,
        Kind::Integer(_) | Kind::Hex(_) => OutputType::Int64,
        Kind::TcpFlags | Kind::Mac | Kind::Ip | Kind::Text => OutputType::Text,
    }
}

fn field_nullable(recipe: &Recipe, name: &str) -> bool {
    // The repaired duration is made from the times, which are always there.
    if name == "flowDurationMilliseconds" && recipe.repairs.contains(&Repair::DurationMilliseconds) {
        return false;
    }
    let removed = recipe.filters.iter().any(|filter| {
        matches!(&filter.condition, Condition::Missing { columns } if columns.iter().any(|column| column == name))
    });
    !removed && field_index(name).is_some_and(|i| !FIELDS[i].required)
}

/// One expression an output column, over raw fields and repaired columns, and one for the month if no column tells it.
pub(crate) fn output_expressions(recipe: &Recipe, labels: Labels<'_>) -> Vec<Expr> {
    let column = |spec: &OutputSpec| {
        let expression = match &spec.derivation {
            Derivation::Copy(name) if name == DEVICE_NAME => lit(labels.device.to_owned()),
            Derivation::Copy(name) if name == DEVICE_CLASS => lit(labels.device_class.to_owned()),
            Derivation::Copy(name) if name == DUMP => lit(labels.dump.to_owned()),
            other => derived(recipe, other),
        };
        let filled = match &spec.fill {
            Some(Fill::Text(text)) => expression.fill_null(lit(text.clone())),
            Some(Fill::Integer(number)) => {
                let data_type = output_column(recipe, spec).data_type.polars();
                expression.fill_null(lit(*number).cast(data_type))
            }
            Some(Fill::Float(number)) => expression.fill_null(lit(*number)),
            None => expression,
        };
        filled.alias(spec.name.as_str())
    };
    let helper = (!recipe.has_flow_start()).then(|| col(FLOW_START).alias(FLOW_START_HELPER));
    recipe.columns.iter().map(column).chain(helper).collect()
}

fn derived(recipe: &Recipe, derivation: &Derivation) -> Expr {
    let bit = |holds: Expr| holds.cast(DataType::Int32);
    match derivation {
        Derivation::Copy(name) => field(recipe, name),
        Derivation::Date(name) => col(name.as_str()).cast(DataType::Date),
        Derivation::TimeOfDay(name) => {
            col(name.as_str()).map(|column| kernels::time_of_day(&column), kernels::text_field)
        }
        Derivation::TimePart(part, name) => {
            let time = col(name.as_str()).dt();
            let number = match part {
                TimePart::Year => time.year(),
                TimePart::Month => time.month(),
                TimePart::Day => time.day(),
                TimePart::Hour => time.hour(),
                TimePart::Minute => time.minute(),
                TimePart::Second => time.second(),
                TimePart::Millisecond => time.millisecond(),
            };
            number.cast(DataType::Int32)
        }
        Derivation::Lookup(table) => lookup(recipe, table),
        Derivation::OneHot { column, value } => bit(equals_any(recipe, column, std::slice::from_ref(value))),
        Derivation::InList { column, values } => bit(equals_any(recipe, column, values)),
        Derivation::Flag { column, letter } => {
            let flags = TCP_FLAG_LETTERS.iter().find(|(known, _)| *known as char == *letter);
            let flag = flags.map_or(0, |(_, bit)| i64::from(*bit));
            bit(col(column.as_str()).and(lit(flag)).neq(lit(0_i64)))
        }
        Derivation::Ipv4Integer(name) => {
            field(recipe, name).map(|column| kernels::ipv4_integer(&column), kernels::int64_field)
        }
        Derivation::Ratio { of, to } => {
            let [of, to] = [of, to].map(|name| field(recipe, name).cast(DataType::Float64));
            // Without an `otherwise` there is no value.
            when(to.clone().neq(lit(0.0))).then(of / to).otherwise(lit(polars::prelude::NULL))
        }
    }
}

/// Whether a rule removes a row; `None` where that cannot be told from the row alone. Null is no.
pub(crate) fn removes(recipe: &Recipe, condition: &Condition) -> Option<Expr> {
    let any = |holds: Vec<Expr>| holds.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false));
    let start = || col(FLOW_START).cast(DataType::Int64);
    let holds = match condition {
        Condition::In { column, values } => equals_any(recipe, column, values),
        Condition::Above { column, limit } => field(recipe, column).gt(lit(*limit)),
        Condition::Below { column, limit } => field(recipe, column).lt(lit(*limit)),
        Condition::Missing { columns } => {
            any(columns.iter().map(|column| field(recipe, column).is_null()).collect())
        }
        Condition::Ip { columns, family } => {
            let ipv6 = |column: &String| {
                field(recipe, column).map(|column| kernels::is_ipv6(&column), kernels::boolean_field)
            };
            let ipv6 = columns.iter().map(ipv6);
            any(if *family == IpFamily::V6 { ipv6.collect() } else { ipv6.map(Expr::not).collect() })
        }
        Condition::StartsBefore(millis) => start().lt(lit(*millis)),
        Condition::StartsFrom(millis) => start().gt_eq(lit(*millis)),
        Condition::Duplicates => return None,
    };
    Some(holds.fill_null(lit(false)))
}

/// Whether a field has one of these values.
fn equals_any(recipe: &Recipe, column: &str, values: &[Value]) -> Expr {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::Text(text) => texts.push(text.as_str()),
            Value::Integer(number) => numbers.push(*number),
        }
    }
    // As lists: a chain of comparisons takes time and memory by the square of its length.
    let of_texts =
        (!texts.is_empty()).then(|| field(recipe, column).is_in(list(Series::new("".into(), texts)), false));
    let of_numbers = (!numbers.is_empty()).then(|| {
        field(recipe, column).cast(DataType::Int64).is_in(list(Series::new("".into(), numbers)), false)
    });
    of_texts.into_iter().chain(of_numbers).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

fn list(values: Series) -> Expr {
    lit(values).implode(true)
}

/// A field after repairs, in its output type.
fn field(recipe: &Recipe, name: &str) -> Expr {
    let expression = if is_repaired(recipe, name) { col(repaired(name)) } else { col(name) };
    let Some(i) = field_index(name) else {
        debug_assert!(name == DIRECTION || name == LINE, "{name} is no column of a raw batch");
        return expression;
    };
    match (FIELDS[i].kind, field_type(recipe, name)) {
        (Kind::TcpFlags, _) => {
            expression.map(|column| kernels::tcp_flag_letters(&column), kernels::text_field)
        }
        (Kind::Thousandths, OutputType::Float64) => expression.cast(DataType::Float64) / lit(1000.0),
        (Kind::Integer(_) | Kind::Hex(_), OutputType::Int32) => expression.cast(OutputType::Int32.polars()),
        _ => expression,
    }
}

fn lookup(recipe: &Recipe, table: &str) -> Expr {
    let Some(table) = recipe.tables.get(table) else {
        return lit("");
    };
    let keys: Vec<Expr> = table.keys.iter().map(|key| col(key.as_str())).collect();
    let table = table.clone();
    let kernel = move |columns: &mut [polars::prelude::Column]| kernels::lookup(columns, &table);
    keys[0].clone().map_many(kernel, &keys[1..], kernels::text_field_of_first)
}
