//! Conditions: which rows a rule removes.

use serde::Deserialize;
use toml::Spanned;

use flowlake_ingest::DIRECTION;
use flowlake_ingest::schema::field_index;

use super::{Class, FLOW_START, Value, class_of, is_address, values_for};

/// Which rows a rule removes. All but [`Condition::Duplicates`] look at a single row, after repairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The column has one of these values.
    In {
        /// Direction, or a raw field of text or integers.
        column: String,
        /// The values.
        values: Vec<Value>,
    },
    /// The number is above this.
    Above {
        /// A raw field.
        column: String,
        /// The largest number that stays.
        limit: i64,
    },
    /// The number is below this.
    Below {
        /// A raw field.
        column: String,
        /// The smallest number that stays.
        limit: i64,
    },
    /// One of these raw fields has no value.
    Missing {
        /// The fields.
        columns: Vec<String>,
    },
    /// One of these addresses is of this family.
    Ip {
        /// Raw fields.
        columns: Vec<String>,
        /// The family.
        family: IpFamily,
    },
    /// An earlier line of the dump has the same values in all raw fields.
    Duplicates,
    /// The flow started before this; milliseconds since 1970, UTC. No recipe says so, a command line does.
    StartsBefore(i64),
    /// The flow started at this time or later; as above.
    StartsFrom(i64),
}

/// Families of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Condition {
    /// The columns it looks at; none where it looks at all raw fields as they were written.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::In { column, .. } | Self::Above { column, .. } | Self::Below { column, .. } => vec![column],
            Self::Missing { columns } | Self::Ip { columns, .. } => {
                columns.iter().map(String::as_str).collect()
            }
            Self::Duplicates => Vec::new(),
            Self::StartsBefore(_) | Self::StartsFrom(_) => vec![FLOW_START],
        }
    }

    /// The condition in words, as an end to "removes rows …".
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::In { column, values } => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                format!("with {column} in {}", values.join(", "))
            }
            Self::Above { column, limit } => format!("with {column} above {limit}"),
            Self::Below { column, limit } => format!("with {column} below {limit}"),
            Self::Missing { columns } => format!("without {}", columns.join(" or without ")),
            Self::Ip { columns, family } => {
                let family = if *family == IpFamily::V4 { "IPv4" } else { "IPv6" };
                format!("with an {family} address in {}", columns.join(" or "))
            }
            Self::Duplicates => "that equal an earlier one of the dump in all raw fields".to_owned(),
            Self::StartsBefore(_) => format!("whose {FLOW_START} is too early"),
            Self::StartsFrom(_) => format!("whose {FLOW_START} is too late"),
        }
    }
}

/// The table behind `remove`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionEntry {
    column: Option<Spanned<String>>,
    r#in: Option<Spanned<Vec<toml::Value>>>,
    above: Option<Spanned<i64>>,
    below: Option<Spanned<i64>>,
    missing: Option<Spanned<bool>>,
    missing_any: Option<Spanned<Vec<String>>>,
    ip: Option<Spanned<String>>,
    duplicates: Option<Spanned<String>>,
}

const TESTS: &str =
    "`in`, `above`, `below`, `missing` or `ip` with a `column`, or `missing_any`, or `duplicates`";

/// What is wrong, and at which byte of the file.
type Wrong = (usize, String);

impl ConditionEntry {
    /// The condition; `offset` is where its rule stands.
    pub(super) fn check(self, offset: usize) -> Result<Condition, Wrong> {
        let tests = [
            self.r#in.is_some(),
            self.above.is_some(),
            self.below.is_some(),
            self.missing.is_some(),
            self.missing_any.is_some(),
            self.ip.is_some(),
            self.duplicates.is_some(),
        ];
        let count = tests.iter().filter(|given| **given).count();
        if count != 1 {
            return Err((offset, format!("`remove` needs exactly one of {TESTS}; it has {count}")));
        }
        if let Some(fields) = &self.missing_any {
            self.without_column("missing_any")?;
            if fields.as_ref().is_empty() {
                return Err((fields.span().start, "`missing_any` names no fields".to_owned()));
            }
            for field in fields.as_ref() {
                raw_field(field).map_err(|message| (fields.span().start, message))?;
            }
            return Ok(Condition::Missing { columns: fields.as_ref().clone() });
        }
        if let Some(what) = &self.duplicates {
            self.without_column("duplicates")?;
            if what.as_ref() != "raw" {
                let message = format!(
                    "unknown duplicates `{}`, expected `raw`: all raw fields are equal",
                    what.as_ref()
                );
                return Err((what.span().start, message));
            }
            return Ok(Condition::Duplicates);
        }
        let Some(column) = &self.column else {
            return Err((
                offset,
                "`remove` needs a `column`, unless it is `missing_any` or `duplicates`".to_owned(),
            ));
        };
        let wrong = |message: String| (column.span().start, message);
        let name = column.as_ref().clone();
        if let Some(values) = &self.r#in {
            let values = values_for(&name, values.as_ref()).map_err(wrong)?;
            return Ok(Condition::In { column: name, values });
        }
        if let Some(missing) = &self.missing {
            if !*missing.as_ref() {
                return Err((missing.span().start, "`missing` can only be true".to_owned()));
            }
            raw_field(&name).map_err(wrong)?;
            return Ok(Condition::Missing { columns: vec![name] });
        }
        if let Some(family) = &self.ip {
            if !is_address(&name) {
                return Err(wrong(format!("`{name}` is no IP address")));
            }
            let family = match family.as_ref().as_str() {
                "v4" => IpFamily::V4,
                "v6" => IpFamily::V6,
                other => {
                    let message = format!("unknown family `{other}`, expected v4 or v6");
                    return Err((family.span().start, message));
                }
            };
            return Ok(Condition::Ip { columns: vec![name], family });
        }
        if !matches!(class_of(&name), Some(Class::Integer | Class::Number)) {
            return Err(wrong(format!("`{name}` is no number to compare with a threshold")));
        }
        match (&self.above, &self.below) {
            (Some(limit), _) => Ok(Condition::Above { column: name, limit: *limit.as_ref() }),
            (_, Some(limit)) => Ok(Condition::Below { column: name, limit: *limit.as_ref() }),
            (None, None) => Err((offset, format!("`remove` needs exactly one of {TESTS}"))),
        }
    }

    fn without_column(&self, test: &str) -> Result<(), Wrong> {
        match &self.column {
            Some(column) => Err((column.span().start, format!("`{test}` goes without a `column`"))),
            None => Ok(()),
        }
    }
}

fn raw_field(name: &str) -> Result<(), String> {
    if field_index(name).is_some() {
        Ok(())
    } else if name == DIRECTION {
        Err(format!("`{DIRECTION}` is never missing"))
    } else {
        Err(format!("`{name}` is no raw field"))
    }
}
