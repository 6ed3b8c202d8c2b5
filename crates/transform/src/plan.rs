//! From a recipe to Polars expressions and the schema of what they give.

use flowlake_ingest::DIRECTION;
use flowlake_ingest::schema::{FIELDS, Kind, field_index};
use polars::prelude::{DataType, Expr, TimeUnit, col, lit};

use crate::kernels;
use crate::recipe::{DEVICE_NAME, Derivation, OutputSpec, Recipe, Role};
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

fn output_column(recipe: &Recipe, spec: &OutputSpec) -> OutputColumn {
    let source = recipe.sources(&spec.derivation);
    let (data_type, nullable, derivation) = match &spec.derivation {
        Derivation::Copy(name) => {
            let made = if name == DEVICE_NAME {
                "the device the catalogue gives to the dump".to_owned()
            } else if name == DIRECTION {
                "which end has the MAC address of the device".to_owned()
            } else {
                copy_derivation(recipe, name)
            };
            (field_type(recipe, name), field_nullable(recipe, name), made)
        }
        Derivation::Date(name) => {
            (OutputType::Date, field_nullable(recipe, name), format!("UTC date of {name}"))
        }
        Derivation::TimeOfDay(name) => {
            (OutputType::Text, field_nullable(recipe, name), format!("UTC time of day of {name}"))
        }
        Derivation::Lookup(table) => {
            (OutputType::Text, false, format!("table {table} of the recipe by {}", source.join(", ")))
        }
    };
    OutputColumn {
        name: spec.name.clone(),
        data_type,
        unit: spec.unit.clone(),
        nullable,
        role: spec.role,
        description: spec.description.clone(),
        // Names of the recipe's own columns are no raw fields.
        source: source.into_iter().filter(|name| field_index(name).is_some()).collect(),
        derivation,
        distinct_text: matches!(spec.derivation, Derivation::TimeOfDay(_)),
    }
}

fn copy_derivation(recipe: &Recipe, name: &str) -> String {
    let repairs: Vec<&str> = repairs_of(recipe, name).map(Repair::name).collect();
    if repairs.is_empty() { "as written".to_owned() } else { format!("repaired: {}", repairs.join(", ")) }
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
    field_index(name).is_some_and(|i| !FIELDS[i].required)
}

/// One expression an output column, over raw fields and repaired columns.
pub(crate) fn output_expressions(recipe: &Recipe, device_name: &str) -> Vec<Expr> {
    recipe
        .columns
        .iter()
        .map(|spec| {
            let expression = match &spec.derivation {
                Derivation::Copy(name) if name == DEVICE_NAME => lit(device_name.to_owned()),
                Derivation::Copy(name) => field(recipe, name),
                Derivation::Date(name) => col(name.as_str()).cast(DataType::Date),
                Derivation::TimeOfDay(name) => {
                    col(name.as_str()).map(|column| kernels::time_of_day(&column), kernels::text_field)
                }
                Derivation::Lookup(table) => lookup(recipe, table),
            };
            expression.alias(spec.name.as_str())
        })
        .collect()
}

/// A field after repairs, in its output type.
fn field(recipe: &Recipe, name: &str) -> Expr {
    let expression = if repairs_of(recipe, name).next().is_some() { col(repaired(name)) } else { col(name) };
    let Some(i) = field_index(name) else {
        debug_assert_eq!(name, DIRECTION);
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
