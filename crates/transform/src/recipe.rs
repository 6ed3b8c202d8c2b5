//! The recipe language: what a lake holds, as data.
//!
//! It stays small on purpose: filters, columns that are copied or derived by one of a documented set of operations, tables,
//! and fields that are dropped with a reason. Anything unknown is an error that names file and line, and every raw field
//! must be used or dropped, so that nothing is lost by being forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flowlake_ingest::schema::{FIELDS, Kind, field_index};
use flowlake_ingest::{ConfigError, DIRECTION, Direction};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

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
    /// Column it looks at.
    pub column: String,
    /// Text values that are removed.
    pub values: Vec<String>,
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
    /// What it is for.
    pub role: Role,
    /// Unit of its values.
    pub unit: Option<String>,
    /// What it holds, for people.
    pub description: String,
}

/// How a column is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Derivation {
    /// A field as it is, after repairs.
    Copy(String),
    /// The UTC date of a timestamp.
    Date(String),
    /// The UTC time of day of a timestamp, as `HH:MM:SS.mmm`.
    TimeOfDay(String),
    /// A value looked up in the table of this name.
    Lookup(String),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    name: Spanned<String>,
    title: String,
    #[serde(default)]
    repairs: Vec<Spanned<String>>,
    #[serde(default)]
    filter: Vec<FilterEntry>,
    #[serde(default)]
    tables: BTreeMap<String, Spanned<LookupTable>>,
    column: Vec<ColumnEntry>,
    #[serde(default)]
    dropped: Vec<DroppedEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterEntry {
    rule: Spanned<String>,
    remove: Condition,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    column: Spanned<String>,
    r#in: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    name: Spanned<String>,
    from: Option<Spanned<String>>,
    derive: Option<Spanned<Derivation>>,
    role: Role,
    unit: Option<String>,
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DroppedEntry {
    name: Spanned<String>,
    reason: Spanned<String>,
    min_share: Option<Spanned<f64>>,
    detail: String,
}

/// Columns a recipe can use that are no raw fields.
pub(crate) const DEVICE_NAME: &str = "deviceName";

/// The column that says which month a row belongs to.
pub const FLOW_START: &str = "flowStartMilliseconds";

/// Columns that are directory names and so cannot be in the files.
const PARTITION_COLUMNS: [&str; 2] = ["month", "deviceClass"];

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, and the line when one is to blame.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = fs_err::read_to_string(path).map_err(|error| ConfigError::unreadable(&error))?;
        Self::parse(&text, &file)
    }

    /// Parses a recipe; `file` is its name in errors.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let parsed: RecipeFile =
            toml::from_str(text).map_err(|error| ConfigError::toml(file, text, &error))?;
        let at = |offset: usize, message: String| ConfigError::at(file, text, offset, message);
        let name = parsed.name.as_ref();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(at(parsed.name.span().start, format!("recipe name `{name}` is no slug")));
        }

        let mut repairs = BTreeSet::new();
        for repair in &parsed.repairs {
            let known = Repair::from_name(repair.as_ref()).ok_or_else(|| {
                let names: Vec<_> = Repair::ALL.iter().map(|repair| repair.name()).collect();
                at(
                    repair.span().start,
                    format!("unknown repair `{}`, expected one of {}", repair.as_ref(), names.join(", ")),
                )
            })?;
            repairs.insert(known);
        }

        let mut filters: Vec<FilterRule> = Vec::new();
        for entry in parsed.filter {
            let offset = entry.rule.span().start;
            let rule = entry.rule.into_inner();
            if filters.iter().any(|filter| filter.rule == rule) {
                return Err(at(offset, format!("rule `{rule}` is there twice")));
            }
            let column = entry.remove.column;
            let is_text = column.as_ref() == DIRECTION
                || field_index(column.as_ref()).is_some_and(|i| FIELDS[i].kind.is_text());
            if !is_text {
                return Err(at(
                    column.span().start,
                    format!("`{}` is no text column to filter by", column.as_ref()),
                ));
            }
            if column.as_ref() == DIRECTION
                && let Some(unknown) =
                    entry.remove.r#in.iter().find(|value| Direction::from_name(value).is_none())
            {
                let names = Direction::ALL.map(Direction::name).join(", ");
                return Err(at(offset, format!("`{unknown}` is no direction, expected one of {names}")));
            }
            filters.push(FilterRule {
                rule,
                description: entry.description,
                column: column.into_inner(),
                values: entry.remove.r#in,
            });
        }

        let mut tables = BTreeMap::new();
        for (name, table) in parsed.tables {
            let offset = table.span().start;
            let mut table = table.into_inner();
            table.check(&name).map_err(|message| at(offset, message))?;
            tables.insert(name, table);
        }

        let mut columns: Vec<OutputSpec> = Vec::new();
        for entry in parsed.column {
            let offset = entry.name.span().start;
            let name = entry.name.into_inner();
            // Compared without case, as SQL engines do.
            if columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
                return Err(at(offset, format!("column `{name}` is there twice (case makes no difference)")));
            }
            if name.is_empty() || PARTITION_COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(&name)) {
                return Err(at(
                    offset,
                    format!("column `{name}` cannot be in the files: it is a partition column"),
                ));
            }
            let (derivation, offset) = match (entry.from, entry.derive) {
                (Some(_), Some(derive)) => {
                    return Err(at(
                        derive.span().start,
                        format!("column `{name}` has both `from` and `derive`"),
                    ));
                }
                (Some(from), None) => (Derivation::Copy(from.as_ref().clone()), from.span().start),
                (None, Some(derive)) => (derive.as_ref().clone(), derive.span().start),
                (None, None) => (Derivation::Copy(name.clone()), offset),
            };
            check_derivation(&derivation, &tables).map_err(|message| at(offset, message))?;
            columns.push(OutputSpec {
                name,
                derivation,
                role: entry.role,
                unit: entry.unit,
                description: entry.description,
            });
        }

        let mut dropped: Vec<DroppedField> = Vec::new();
        for entry in parsed.dropped {
            let offset = entry.name.span().start;
            let name = entry.name.as_ref();
            if field_index(name).is_none() {
                return Err(at(offset, format!("`{name}` is no raw field")));
            }
            if dropped.iter().any(|field| field.name == *name) {
                return Err(at(offset, format!("`{name}` is dropped twice")));
            }
            let claim = entry.claim().map_err(|(offset, message)| at(offset, message))?;
            dropped.push(DroppedField { name: entry.name.into_inner(), claim, detail: entry.detail });
        }

        let recipe = Self {
            name: parsed.name.into_inner(),
            title: parsed.title,
            digest: Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
            repairs: repairs.into_iter().collect(),
            filters,
            tables,
            columns,
            dropped,
        };
        recipe.check_flow_start().map_err(|message| ConfigError::whole(file, message))?;
        recipe.check_fields_accounted().map_err(|message| ConfigError::whole(file, message))?;
        Ok(recipe)
    }

    /// Raw fields a column is made from.
    #[must_use]
    pub fn sources(&self, derivation: &Derivation) -> Vec<String> {
        match derivation {
            Derivation::Copy(name) | Derivation::Date(name) | Derivation::TimeOfDay(name) => {
                vec![name.clone()]
            }
            Derivation::Lookup(table) => {
                self.tables.get(table).map(|table| table.keys.clone()).unwrap_or_default()
            }
        }
    }

    /// Months are told by [`FLOW_START`], which a reader of a lake finds as its first timestamp.
    fn check_flow_start(&self) -> Result<(), String> {
        let timestamp = |column: &&OutputSpec| {
            matches!(&column.derivation, Derivation::Copy(name)
                if field_index(name).is_some_and(|i| FIELDS[i].kind == Kind::Timestamp))
        };
        let copied = Derivation::Copy(FLOW_START.to_owned());
        match self.columns.iter().find(timestamp) {
            Some(first) if first.name == FLOW_START && first.derivation == copied => Ok(()),
            _ => Err(format!(
                "the first timestamp column must be `{FLOW_START}`, copied from the field: it tells the month of a row"
            )),
        }
    }

    /// Every raw field is in a column or dropped, and not both.
    fn check_fields_accounted(&self) -> Result<(), String> {
        let used: BTreeSet<String> =
            self.columns.iter().flat_map(|column| self.sources(&column.derivation)).collect();
        for field in &self.dropped {
            if used.contains(&field.name) {
                return Err(format!("`{}` is dropped, but a column is made from it", field.name));
            }
        }
        let forgotten: Vec<&str> = FIELDS
            .iter()
            .map(|field| field.name)
            .filter(|name| !used.contains(*name) && !self.dropped.iter().any(|field| field.name == *name))
            .collect();
        if forgotten.is_empty() {
            Ok(())
        } else {
            Err(format!("neither in a [[column]] nor [[dropped]] with a reason: {}", forgotten.join(", ")))
        }
    }
}

impl DroppedEntry {
    fn claim(&self) -> Result<Claim, (usize, String)> {
        let claim = match (self.reason.as_ref().as_str(), &self.min_share) {
            ("nearConstant", Some(share)) if (0.0..=1.0).contains(share.as_ref()) => {
                return Ok(Claim::NearConstant { min_share: *share.as_ref() });
            }
            ("nearConstant", _) => {
                return Err((
                    self.reason.span().start,
                    "reason `nearConstant` needs `min_share`, 0 to 1".to_owned(),
                ));
            }
            ("constant", _) => Claim::Constant,
            ("noise", _) => Claim::Noise,
            ("notInProduct", _) => Claim::NotInProduct,
            (other, _) => {
                let message = format!(
                    "unknown reason `{other}`, expected one of constant, nearConstant, noise, notInProduct"
                );
                return Err((self.reason.span().start, message));
            }
        };
        match &self.min_share {
            Some(share) => {
                Err((share.span().start, format!("`min_share` has no meaning for reason `{}`", claim.name())))
            }
            None => Ok(claim),
        }
    }
}

impl LookupTable {
    fn check(&mut self, name: &str) -> Result<(), String> {
        if self.keys.is_empty() {
            return Err(format!("table `{name}` has no keys"));
        }
        for key in &self.keys {
            let integer = field_index(key).is_some_and(|i| matches!(FIELDS[i].kind, Kind::Integer(_)));
            if !integer {
                return Err(format!("table `{name}`: key `{key}` is no integer field"));
            }
        }
        for row in &self.rows {
            let value = row.first().and_then(toml::Value::as_str);
            let keys: Option<Vec<i64>> = row.iter().skip(1).map(toml::Value::as_integer).collect();
            match (value, keys) {
                (Some(value), Some(keys)) if keys.len() == self.keys.len() => {
                    if self.entries.iter().any(|(known, _)| *known == keys) {
                        return Err(format!("table `{name}` lists {keys:?} twice"));
                    }
                    self.entries.push((keys, value.to_owned()));
                }
                _ => {
                    return Err(format!(
                        "table `{name}`: a row is a text and {} integer(s), found {row:?}",
                        self.keys.len()
                    ));
                }
            }
        }
        Ok(())
    }
}

fn check_derivation(derivation: &Derivation, tables: &BTreeMap<String, LookupTable>) -> Result<(), String> {
    match derivation {
        Derivation::Copy(name) => {
            if name == DEVICE_NAME || name == DIRECTION || field_index(name).is_some() {
                Ok(())
            } else {
                Err(format!("`{name}` is no raw field, nor {DEVICE_NAME} or {DIRECTION}"))
            }
        }
        Derivation::Date(name) | Derivation::TimeOfDay(name) => {
            if field_index(name).is_some_and(|i| FIELDS[i].kind == Kind::Timestamp) {
                Ok(())
            } else {
                Err(format!("`{name}` is no timestamp"))
            }
        }
        Derivation::Lookup(table) => {
            if tables.contains_key(table) {
                Ok(())
            } else {
                Err(format!("there is no [tables.{table}]"))
            }
        }
    }
}
