//! The recipe language: what a lake holds, as data.
//!
//! It stays small on purpose: filters, columns that are copied or derived by one of a documented set of operations, tables,
//! and fields that are dropped with a reason. Anything unknown is an error that names file and line, and every raw field
//! must be used or dropped, so that nothing is lost by being forgotten. Here is what a recipe says; [`parse`] reads it.

mod condition;
mod derivation;
mod parse;

use std::collections::BTreeMap;

use flowlake_ingest::DIRECTION;
use flowlake_ingest::schema::{FIELDS, Kind, field_index};
use serde::Deserialize;

pub use condition::{Condition, IpFamily};
pub use derivation::{Derivation, TimePart};

use crate::repair::Repair;

/// A recipe that was read and checked.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its name, a slug.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file, as it was read.
    pub text: String,
    /// Repairs to make, in a fixed order.
    pub repairs: Vec<Repair>,
    /// Rules that remove rows, in order.
    pub filters: Vec<FilterRule>,
    /// Tables by name.
    pub tables: BTreeMap<String, LookupTable>,
    /// Columns in the order of the files.
    pub columns: Vec<OutputSpec>,
    /// Raw fields that are left out.
    pub dropped: Vec<DroppedField>,
}

/// A rule that removes rows.
#[derive(Debug, Clone)]
pub struct FilterRule {
    /// Name under which removed rows are counted.
    pub rule: String,
    /// What it is for.
    pub description: String,
    /// Which rows it removes.
    pub condition: Condition,
}

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a text field.
    Text(String),
    /// Of an integer field.
    Integer(i64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
        }
    }
}

/// A table from one or more integer columns to text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupTable {
    /// Columns whose values are looked up.
    pub keys: Vec<String>,
    /// What is given for everything not listed.
    pub default: String,
    /// Rows: the value, then one integer a key.
    rows: Vec<Vec<toml::Value>>,
    /// The same rows, checked.
    #[serde(skip)]
    pub entries: Vec<(Vec<i64>, String)>,
}

/// A column of the lake.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// Its name.
    pub name: String,
    /// How it is made.
    pub derivation: Derivation,
    /// What stands where there is no value.
    pub fill: Option<Fill>,
    /// What it is for.
    pub role: Role,
    /// Unit of its values.
    pub unit: Option<String>,
    /// What it holds, for people.
    pub description: String,
}

/// What stands in a column where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// In a column of text.
    Text(String),
    /// In a column of integers.
    Integer(i64),
    /// In a column of floating-point numbers.
    Float(f64),
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What a model predicts.
    Target,
    /// Identifies a device, a peer or a row.
    Identifier,
    /// An input of a model.
    Feature,
    /// Says when.
    Time,
}

/// A raw field that is left out.
#[derive(Debug, Clone)]
pub struct DroppedField {
    /// Its name.
    pub name: String,
    /// What is claimed of its values.
    pub claim: Claim,
    /// The reason in words.
    pub detail: String,
}

/// What a reason claims of a field's values; a build checks it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// One value, or none.
    Constant,
    /// The most frequent value has at least this share of the rows.
    NearConstant {
        /// 0 to 1.
        min_share: f64,
    },
    /// Values other than the most frequent one hardly repeat: fewer than two rows a value.
    Noise,
    /// Nothing: the field is not part of the product.
    NotInProduct,
}

impl Claim {
    /// Name of the reason in a recipe and a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::NearConstant { .. } => "nearConstant",
            Self::Noise => "noise",
            Self::NotInProduct => "notInProduct",
        }
    }
}

/// Columns a recipe can use that are no raw fields, beside the direction and the line.
pub(crate) const DEVICE_NAME: &str = "deviceName";
pub(crate) const DEVICE_CLASS: &str = "deviceClass";
pub(crate) const DUMP: &str = "dump";

/// The column that says which month a row belongs to.
pub const FLOW_START: &str = "flowStartMilliseconds";

/// Name of the column, last of all and not to be written, that says so where a recipe has no timestamps.
pub const FLOW_START_HELPER: &str = "helper:flowStartMilliseconds";

impl Recipe {
    /// Whether the lake has the flow start as a column. Otherwise the last column of each batch, which is not to be written,
    /// is [`FLOW_START_HELPER`].
    #[must_use]
    pub fn has_flow_start(&self) -> bool {
        self.columns.iter().any(|column| column.derivation.is_timestamp())
    }

    /// Whether a rule removes duplicates.
    #[must_use]
    pub fn removes_duplicates(&self) -> bool {
        self.filters.iter().any(|filter| filter.condition == Condition::Duplicates)
    }

    /// Adds rules, behind all others, that remove flows that started before `from`, and at `to` or later: milliseconds since
    /// 1970, UTC, each with the name under which the rows are counted.
    pub fn keep_starts(&mut self, from: Option<(i64, String)>, to: Option<(i64, String)>) {
        let before = from.map(|(millis, rule)| (Condition::StartsBefore(millis), rule));
        let after = to.map(|(millis, rule)| (Condition::StartsFrom(millis), rule));
        self.filters.extend(before.into_iter().chain(after).map(|(condition, rule)| FilterRule {
            rule,
            description: "Asked for on the command line".to_owned(),
            condition,
        }));
    }

    /// Columns of the rows, beside [`FLOW_START`], that a derivation uses: raw fields for the most part.
    #[must_use]
    pub fn sources(&self, derivation: &Derivation) -> Vec<String> {
        match derivation {
            Derivation::Copy(name)
            | Derivation::Date(name)
            | Derivation::TimeOfDay(name)
            | Derivation::TimePart(_, name)
            | Derivation::OneHot { column: name, .. }
            | Derivation::InList { column: name, .. }
            | Derivation::Flag { column: name, .. }
            | Derivation::Ipv4Integer(name) => vec![name.clone()],
            Derivation::Ratio { of, to } => vec![of.clone(), to.clone()],
            Derivation::Lookup(table) => {
                self.tables.get(table).map(|table| table.keys.clone()).unwrap_or_default()
            }
        }
    }

    /// Names of the columns that hold IPv4 addresses as numbers, and cannot hold IPv6 ones, each with its field.
    #[must_use]
    pub fn ipv4_columns(&self) -> Vec<(&str, &str)> {
        let columns = self.columns.iter().filter_map(|column| match &column.derivation {
            Derivation::Ipv4Integer(field) => Some((column.name.as_str(), field.as_str())),
            _ => None,
        });
        columns.collect()
    }
}

/// What can be done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Integer,
    /// A number that may have decimals.
    Number,
    Flags,
    Timestamp,
}

/// The class of a raw field, or of the direction.
fn class_of(column: &str) -> Option<Class> {
    if column == DIRECTION {
        return Some(Class::Text);
    }
    field_index(column).map(|i| match FIELDS[i].kind {
        Kind::Mac | Kind::Ip | Kind::Text => Class::Text,
        Kind::Integer(_) | Kind::Hex(_) => Class::Integer,
        Kind::Thousandths => Class::Number,
        Kind::TcpFlags => Class::Flags,
        Kind::Timestamp => Class::Timestamp,
    })
}

fn is_address(column: &str) -> bool {
    field_index(column).is_some_and(|i| FIELDS[i].kind == Kind::Ip)
}

/// Values to compare a column with, which must be of its type.
fn values_for(column: &str, values: &[toml::Value]) -> Result<Vec<Value>, String> {
    let class = class_of(column).ok_or_else(|| format!("`{column}` is no raw field, nor {DIRECTION}"))?;
    let (name, parse): (_, fn(&toml::Value) -> Option<Value>) = match class {
        Class::Text => ("text", |value| value.as_str().map(|text| Value::Text(text.to_owned()))),
        Class::Integer => ("integers", |value| value.as_integer().map(Value::Integer)),
        Class::Number | Class::Flags | Class::Timestamp => {
            return Err(format!("`{column}` is neither text nor integer: it cannot be compared with a list"));
        }
    };
    let value = |value| parse(value).ok_or_else(|| format!("`{column}` holds {name}, not {value}"));
    let parsed: Vec<Value> = values.iter().map(value).collect::<Result<_, _>>()?;
    if column == DIRECTION {
        for value in &parsed {
            if let Value::Text(text) = value
                && flowlake_ingest::Direction::from_name(text).is_none()
            {
                let names = flowlake_ingest::Direction::ALL.map(flowlake_ingest::Direction::name).join(", ");
                return Err(format!("`{text}` is no direction, expected one of {names}"));
            }
        }
    }
    Ok(parsed)
}
