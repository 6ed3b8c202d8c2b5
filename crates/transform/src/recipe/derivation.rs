//! Derivations: how a column is made.

use std::collections::BTreeMap;

use flowlake_ingest::DIRECTION;
use flowlake_ingest::schema::{LINE, TCP_FLAG_LETTERS, field_index};
use serde::Deserialize;

use super::{Class, DEVICE_CLASS, DEVICE_NAME, DUMP, LookupTable, Value, class_of, is_address, values_for};

/// How a column is made. Where a value it needs is missing, it has none either, if not said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derivation {
    /// A field as it is, after repairs.
    Copy(String),
    /// The UTC date of a timestamp.
    Date(String),
    /// The UTC time of day of a timestamp, as `HH:MM:SS.mmm`.
    TimeOfDay(String),
    /// A part of a timestamp in UTC, as a number.
    TimePart(TimePart, String),
    /// A value looked up in the table of this name; never missing.
    Lookup(String),
    /// 1 where the field has this value, else 0.
    OneHot {
        /// Direction, or a raw field of text or integers.
        column: String,
        /// The value.
        value: Value,
    },
    /// 1 where the field has one of these values, else 0.
    InList {
        /// As above.
        column: String,
        /// The values.
        values: Vec<Value>,
    },
    /// 1 where this TCP flag is set, else 0.
    Flag {
        /// A field of TCP flags.
        column: String,
        /// The flag, one of `ECUAPRSF`.
        letter: char,
    },
    /// An IPv4 address as its 32-bit value; missing where the address is IPv6.
    Ipv4Integer(String),
    /// One number divided by another; missing where that is 0.
    Ratio {
        /// The dividend.
        of: String,
        /// The divisor.
        to: String,
    },
}

/// A part of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePart {
    /// The year.
    Year,
    /// 1 to 12.
    Month,
    /// Day of the month, 1 to 31.
    Day,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59.
    Second,
    /// Of the second, 0 to 999.
    Millisecond,
}

impl TimePart {
    /// Its name in recipes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
        }
    }
}

/// The table behind `derive`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DerivationEntry {
    Date(String),
    TimeOfDay(String),
    Year(String),
    Month(String),
    Day(String),
    Hour(String),
    Minute(String),
    Second(String),
    Millisecond(String),
    Lookup(String),
    OneHot { column: String, value: toml::Value },
    InList { column: String, values: Vec<toml::Value> },
    Flag { column: String, letter: String },
    Ipv4Integer(String),
    Ratio { of: String, to: String },
}

impl Derivation {
    /// Whether it gives a timestamp.
    pub(crate) fn is_timestamp(&self) -> bool {
        matches!(self, Self::Copy(name) if class_of(name) == Some(Class::Timestamp))
    }

    /// A copy of a field, or of something that is known of the dump.
    pub(super) fn copy(name: &str) -> Result<Self, String> {
        let known = [DEVICE_NAME, DEVICE_CLASS, DUMP, LINE, DIRECTION];
        if known.contains(&name) || field_index(name).is_some() {
            Ok(Self::Copy(name.to_owned()))
        } else {
            Err(format!("`{name}` is no raw field, nor one of {}", known.join(", ")))
        }
    }
}

impl DerivationEntry {
    pub(super) fn check(self, tables: &BTreeMap<String, LookupTable>) -> Result<Derivation, String> {
        let part = |part, name| Ok(Derivation::TimePart(part, timestamp(name)?));
        match self {
            Self::Date(name) => Ok(Derivation::Date(timestamp(name)?)),
            Self::TimeOfDay(name) => Ok(Derivation::TimeOfDay(timestamp(name)?)),
            Self::Year(name) => part(TimePart::Year, name),
            Self::Month(name) => part(TimePart::Month, name),
            Self::Day(name) => part(TimePart::Day, name),
            Self::Hour(name) => part(TimePart::Hour, name),
            Self::Minute(name) => part(TimePart::Minute, name),
            Self::Second(name) => part(TimePart::Second, name),
            Self::Millisecond(name) => part(TimePart::Millisecond, name),
            Self::Lookup(table) if tables.contains_key(&table) => Ok(Derivation::Lookup(table)),
            Self::Lookup(table) => Err(format!("there is no [tables.{table}]")),
            Self::OneHot { column, value } => {
                let mut values = values_for(&column, &[value])?;
                Ok(Derivation::OneHot { column, value: values.remove(0) })
            }
            Self::InList { column, values } => {
                let values = values_for(&column, &values)?;
                if values.is_empty() {
                    return Err("`values` is empty".to_owned());
                }
                Ok(Derivation::InList { column, values })
            }
            Self::Flag { column, letter } => {
                if class_of(&column) != Some(Class::Flags) {
                    return Err(format!("`{column}` holds no TCP flags"));
                }
                let known: String = TCP_FLAG_LETTERS.iter().map(|(letter, _)| *letter as char).collect();
                match letter.parse::<char>() {
                    Ok(flag) if known.contains(flag) => Ok(Derivation::Flag { column, letter: flag }),
                    _ => Err(format!("unknown TCP flag `{letter}`, expected one letter of {known}")),
                }
            }
            Self::Ipv4Integer(name) if is_address(&name) => Ok(Derivation::Ipv4Integer(name)),
            Self::Ipv4Integer(name) => Err(format!("`{name}` is no IP address")),
            Self::Ratio { of, to } => {
                for name in [&of, &to] {
                    if !matches!(class_of(name), Some(Class::Integer | Class::Number)) {
                        return Err(format!("`{name}` is no number"));
                    }
                }
                Ok(Derivation::Ratio { of, to })
            }
        }
    }
}

fn timestamp(name: String) -> Result<String, String> {
    match class_of(&name) {
        Some(Class::Timestamp) => Ok(name),
        _ => Err(format!("`{name}` is no timestamp")),
    }
}
