//! Reads a recipe file, and checks it before any row is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flowlake_ingest::schema::{FIELDS, Kind, field_index};
use flowlake_ingest::{ConfigError, read_config};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::condition::ConditionEntry;
use super::derivation::DerivationEntry;
use super::{
    Claim, Condition, Derivation, DroppedField, FLOW_START, FLOW_START_HELPER, Fill, FilterRule, IpFamily,
    LookupTable, OutputSpec, Recipe, Role,
};
use crate::plan::{OutputType, output_column};
use crate::repair::Repair;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecipeFile {
    name: Spanned<String>,
    title: String,
    #[serde(default)]
    repairs: Vec<Spanned<String>>,
    ip_encoding: Option<Spanned<String>>,
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
    remove: ConditionEntry,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    name: Spanned<String>,
    from: Option<Spanned<String>>,
    derive: Option<Spanned<DerivationEntry>>,
    fill: Option<Spanned<toml::Value>>,
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

/// Columns that are directory names and so cannot be in the files.
const PARTITION_COLUMNS: [&str; 2] = ["month", "deviceClass"];

/// Rule that `ip_encoding = "drop"` stands for.
const IPV6_RULE: &str = "ipv6";

/// A file and its text, to say where something is wrong.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn at(self, offset: usize, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, self.text, offset, message)
    }
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, and the line when one is to blame.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = read_config(path)?;
        Self::parse(&text, &file)
    }

    /// Parses a recipe; `file` is its name in errors.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let parsed: RecipeFile =
            toml::from_str(text).map_err(|error| ConfigError::toml(file, text, &error))?;
        let source = Source { file, text };
        let name = parsed.name.as_ref();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(source.at(parsed.name.span().start, format!("recipe name `{name}` is no slug")));
        }
        let repairs = repairs(&parsed.repairs, source)?;
        let filters = filters(parsed.filter, source)?;
        let mut tables = BTreeMap::new();
        for (name, table) in parsed.tables {
            let offset = table.span().start;
            let mut table = table.into_inner();
            table.check(&name).map_err(|message| source.at(offset, message))?;
            tables.insert(name, table);
        }
        let mut recipe = Self {
            name: parsed.name.into_inner(),
            title: parsed.title,
            text: text.to_owned(),
            digest: Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
            repairs,
            filters,
            tables,
            columns: Vec::new(),
            dropped: dropped(parsed.dropped, source)?,
        };
        for entry in parsed.column {
            recipe.add_column(entry, source)?;
        }
        if let Some(encoding) = parsed.ip_encoding {
            recipe.encode_addresses(&encoding, source)?;
        }
        recipe.check_flow_start().map_err(|message| ConfigError::whole(file, message))?;
        recipe.check_fields_accounted().map_err(|message| ConfigError::whole(file, message))?;
        Ok(recipe)
    }

    fn add_column(&mut self, entry: ColumnEntry, source: Source<'_>) -> Result<(), ConfigError> {
        let offset = entry.name.span().start;
        let name = entry.name.into_inner();
        // Compared without case, as SQL engines do.
        if self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            let message = format!("column `{name}` is there twice (case makes no difference)");
            return Err(source.at(offset, message));
        }
        if name.is_empty() || PARTITION_COLUMNS.iter().any(|column| column.eq_ignore_ascii_case(&name)) {
            let message = format!("column `{name}` cannot be in the files: it is a partition column");
            return Err(source.at(offset, message));
        }
        if name == FLOW_START_HELPER {
            return Err(source.at(offset, format!("column `{name}` has a name that is kept for flowlake")));
        }
        let (derivation, offset) = match (entry.from, entry.derive) {
            (Some(_), Some(derive)) => {
                let message = format!("column `{name}` has both `from` and `derive`");
                return Err(source.at(derive.span().start, message));
            }
            (Some(from), None) => (Derivation::copy(from.as_ref()), from.span().start),
            (None, Some(derive)) => {
                let offset = derive.span().start;
                (derive.into_inner().check(&self.tables), offset)
            }
            (None, None) => (Derivation::copy(&name), offset),
        };
        let mut column = OutputSpec {
            name,
            derivation: derivation.map_err(|message| source.at(offset, message))?,
            fill: None,
            role: entry.role,
            unit: entry.unit,
            description: entry.description,
        };
        if let Some(fill) = entry.fill {
            let made = output_column(self, &column);
            let value = filling(fill.as_ref(), made.data_type).ok_or_else(|| {
                format!("`{}` cannot stand in a column of {}", fill.as_ref(), made.data_type.name())
            });
            column.fill = Some(value.map_err(|message| source.at(fill.span().start, message))?);
        }
        self.columns.push(column);
        Ok(())
    }

    /// What becomes of addresses that have no 32-bit value: `null`, or their rows are removed by a rule of its own.
    fn encode_addresses(
        &mut self,
        encoding: &Spanned<String>,
        source: Source<'_>,
    ) -> Result<(), ConfigError> {
        let wrong = |message: &str| source.at(encoding.span().start, message);
        let columns: BTreeSet<String> =
            self.ipv4_columns().into_iter().map(|(_, field)| field.to_owned()).collect();
        if columns.is_empty() {
            return Err(wrong("`ip_encoding` has no meaning without a column made by `ipv4_integer`"));
        }
        match encoding.as_ref().as_str() {
            "null" => Ok(()),
            "drop" if self.filters.iter().any(|filter| filter.rule == IPV6_RULE) => {
                Err(wrong("`ip_encoding = \"drop\"` is the rule `ipv6`: there is one already"))
            }
            "drop" => {
                self.filters.push(FilterRule {
                    rule: IPV6_RULE.to_owned(),
                    description: "An IPv6 address has no 32-bit value".to_owned(),
                    condition: Condition::Ip { columns: columns.into_iter().collect(), family: IpFamily::V6 },
                });
                Ok(())
            }
            other => Err(wrong(&format!("unknown `ip_encoding` `{other}`, expected null or drop"))),
        }
    }

    /// Months are told by [`FLOW_START`], which a reader of a lake finds as its first timestamp, if it has any.
    fn check_flow_start(&self) -> Result<(), String> {
        let copied = Derivation::Copy(FLOW_START.to_owned());
        match self.columns.iter().find(|column| column.derivation.is_timestamp()) {
            Some(first) if first.name != FLOW_START || first.derivation != copied => Err(format!(
                "the first timestamp column must be `{FLOW_START}`, copied from the field: it tells the month of a row"
            )),
            _ => Ok(()),
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

fn repairs(names: &[Spanned<String>], source: Source<'_>) -> Result<Vec<Repair>, ConfigError> {
    let mut repairs = BTreeSet::new();
    for name in names {
        let known = Repair::from_name(name.as_ref()).ok_or_else(|| {
            let names: Vec<_> = Repair::ALL.iter().map(|repair| repair.name()).collect();
            let message = format!("unknown repair `{}`, expected one of {}", name.as_ref(), names.join(", "));
            source.at(name.span().start, message)
        })?;
        repairs.insert(known);
    }
    Ok(repairs.into_iter().collect())
}

fn filters(entries: Vec<FilterEntry>, source: Source<'_>) -> Result<Vec<FilterRule>, ConfigError> {
    let mut filters: Vec<FilterRule> = Vec::new();
    for entry in entries {
        let offset = entry.rule.span().start;
        let rule = entry.rule.into_inner();
        // Rules of the command line are named with spaces, as `before --from 2019-08-01`: no recipe may have one of those.
        if rule.is_empty() || !rule.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            let message = format!("rule name {rule:?} is no slug: letters, digits, `-` and `_`");
            return Err(source.at(offset, message));
        }
        if filters.iter().any(|filter| filter.rule == rule) {
            return Err(source.at(offset, format!("rule `{rule}` is there twice")));
        }
        let condition = entry.remove.check(offset).map_err(|(offset, message)| source.at(offset, message))?;
        if condition == Condition::Duplicates
            && filters.iter().any(|filter| filter.condition == Condition::Duplicates)
        {
            return Err(source.at(offset, "duplicates are removed by an earlier rule already"));
        }
        filters.push(FilterRule { rule, description: entry.description, condition });
    }
    Ok(filters)
}

fn dropped(entries: Vec<DroppedEntry>, source: Source<'_>) -> Result<Vec<DroppedField>, ConfigError> {
    let mut dropped: Vec<DroppedField> = Vec::new();
    for entry in entries {
        let offset = entry.name.span().start;
        let name = entry.name.as_ref();
        if field_index(name).is_none() {
            return Err(source.at(offset, format!("`{name}` is no raw field")));
        }
        if dropped.iter().any(|field| field.name == *name) {
            return Err(source.at(offset, format!("`{name}` is dropped twice")));
        }
        let claim = entry.claim().map_err(|(offset, message)| source.at(offset, message))?;
        dropped.push(DroppedField { name: entry.name.into_inner(), claim, detail: entry.detail });
    }
    Ok(dropped)
}

/// The value as one of a column of this type.
fn filling(value: &toml::Value, data_type: OutputType) -> Option<Fill> {
    match (data_type, value) {
        (OutputType::Text, toml::Value::String(text)) => Some(Fill::Text(text.clone())),
        (OutputType::Int32, toml::Value::Integer(number)) if i32::try_from(*number).is_ok() => {
            Some(Fill::Integer(*number))
        }
        (OutputType::Int64, toml::Value::Integer(number)) => Some(Fill::Integer(*number)),
        (OutputType::Float64, toml::Value::Integer(number)) => Some(Fill::Float(*number as f64)),
        (OutputType::Float64, toml::Value::Float(number)) if number.is_finite() => Some(Fill::Float(*number)),
        _ => None,
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
