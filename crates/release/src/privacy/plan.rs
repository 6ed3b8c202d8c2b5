//! What is done to each column of a lake.

use std::collections::BTreeSet;

use flowlake_partition::manifest::{
    Column, ColumnType, Configuration, ConfigurationFile, Manifest, Privacy, PrivateColumn, Treatment,
};

use super::addresses::{Kind, Kinds, addresses_in};
use super::key::Key;
use super::{IpTreatment, MacTreatment, PrivacyOptions};

/// Why what was asked for cannot be done to a lake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A column to leave out that is not there.
    #[error("the lake has no column {column} to leave out")]
    NoSuchColumn {
        /// The column.
        column: String,
    },
    /// Without it a reader would take another column for the flow start.
    #[error("column {column} cannot be left out: it says when a flow began, and so in which month it lies")]
    FlowStart {
        /// The column.
        column: String,
    },
    /// All columns would be left out.
    #[error("no column would be left")]
    NothingLeft,
    /// A treatment of addresses that are not there.
    #[error("the lake has no column of {kind} addresses left that could be treated")]
    NothingToTreat {
        /// `MAC` or `IP`.
        kind: &'static str,
    },
    /// A pseudonym of numbers would be text.
    #[error(
        "column {column} holds IP addresses as numbers, and a keyed digest is none: leave it out, or use ipcrypt-pfx"
    )]
    DigestOfNumbers {
        /// The column.
        column: String,
    },
    /// A column that says something about addresses without being one.
    #[error("column {column} is made of {field} in a way that cannot be pseudonymised: leave it out")]
    Derived {
        /// The column.
        column: String,
        /// Raw field of addresses.
        field: String,
    },
    /// What the recipe puts where there is no address is one.
    #[error(
        "column {column} has {fill} where there is no address, which cannot be told from the address {fill}: leave it out"
    )]
    AmbiguousFill {
        /// The column.
        column: String,
        /// What it is filled with.
        fill: String,
    },
    /// Pseudonyms need a key.
    #[error("pseudonyms need a key")]
    NoKey,
    /// A key that nothing uses.
    #[error("there is a key, but nothing that was asked for needs one")]
    KeyNotUsed,
}

/// What is done to one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnPlan {
    Keep,
    Drop,
    /// `fill` is what stands where there is no address, as the manifest writes it; it stays.
    Hmac {
        kind: Kind,
        fill: Option<String>,
    },
    IpcryptPfx {
        fill: Option<String>,
    },
}

impl ColumnPlan {
    fn treatment(&self) -> Option<Treatment> {
        match self {
            Self::Keep => None,
            Self::Drop => Some(Treatment::Dropped),
            Self::Hmac { .. } => Some(Treatment::HmacSha256),
            Self::IpcryptPfx { .. } => Some(Treatment::IpcryptPfx),
        }
    }
}

/// What is done to a lake: everything about a request that can be wrong was checked.
#[derive(Debug, Clone)]
pub struct PrivacyPlan {
    /// By position in the lake's columns.
    pub(super) columns: Vec<(Column, ColumnPlan)>,
    /// What was asked for, but for the key.
    asked: PrivacyOptions,
    /// Of pseudonyms, if there are any.
    pub(super) key: Option<Key>,
    /// Addresses that must be nowhere in the release as they are.
    pub(super) hidden: Kinds,
    /// Whether the recipe names addresses that are hidden.
    pub(super) recipe_names_hidden: bool,
    /// Whether the catalogue does. It lists the MAC addresses of the devices.
    pub(super) catalogue_names_hidden: bool,
    warnings: Vec<String>,
}

impl PrivacyPlan {
    /// What is to be done to the lake of this manifest.
    ///
    /// # Errors
    /// When that cannot be done to this lake, or not with this key.
    pub fn new(options: &PrivacyOptions, manifest: &Manifest) -> Result<Self, PlanError> {
        match (&options.key, options.needs_key()) {
            (None, true) => return Err(PlanError::NoKey),
            (Some(_), false) => return Err(PlanError::KeyNotUsed),
            _ => {}
        }
        let lake = &manifest.schema.columns;
        for name in &options.drop {
            if lake.iter().all(|column| column.name != *name) {
                return Err(PlanError::NoSuchColumn { column: name.clone() });
            }
        }
        let columns = lake
            .iter()
            .map(|column| Ok((column.clone(), column_plan(options, column)?)))
            .collect::<Result<Vec<_>, PlanError>>()?;
        check_left(&columns)?;
        // What is asked for holds for the whole release, whether or not a column of it is left.
        let mut hidden = Kinds::default();
        for kind in Kind::ALL {
            let asked = match kind {
                Kind::Mac => options.mac != MacTreatment::Keep,
                Kind::Ip => options.ip != IpTreatment::Keep,
            };
            if !asked {
                continue;
            }
            hidden.add(kind);
            let by_name = |column: &Column| options.drop.contains(&column.name);
            let in_columns = columns.iter().any(|(column, _)| !by_name(column) && made_of(column, kind));
            if !in_columns && !is_told_elsewhere(manifest, kind) {
                return Err(PlanError::NothingToTreat { kind: kind.name() });
            }
        }
        for (column, plan) in &columns {
            for kind in Kind::ALL.into_iter().filter(|kind| made_of(column, *kind)) {
                if *plan != ColumnPlan::Keep {
                    hidden.add(kind);
                }
            }
        }
        let names_hidden = |file: fn(&Configuration) -> &ConfigurationFile| {
            let text = manifest.configuration.as_ref().and_then(|files| file(files).text.as_deref());
            text.is_some_and(|text| !addresses_in(text, hidden).is_empty())
        };
        let recipe_names_hidden = names_hidden(|files| &files.recipe);
        let catalogue_names_hidden = hidden.contains(Kind::Mac) || names_hidden(|files| &files.catalogue);
        let warnings = warnings(&columns, hidden, recipe_names_hidden, catalogue_names_hidden);
        let key = options.key.clone();
        let mut asked = PrivacyOptions { key: None, ..options.clone() };
        let mut named = BTreeSet::new();
        asked.drop.retain(|column| named.insert(column.clone()));
        Ok(Self { columns, asked, key, hidden, recipe_names_hidden, catalogue_names_hidden, warnings })
    }

    /// Addresses of kinds that are to be hidden in a text of the release, such as a document: what somebody wrote into a
    /// catalogue or recipe stays as it is. Those that are no one's, such as multicast groups, do not count.
    #[must_use]
    pub fn addresses_in(&self, text: &str) -> BTreeSet<String> {
        addresses_in(text, self.hidden)
    }

    /// What whoever releases the lake should know before.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What the manifest of the release says about all this.
    #[must_use]
    pub fn privacy(&self) -> Privacy {
        let columns = self.columns.iter().filter_map(|(column, plan)| {
            Some(PrivateColumn { name: column.name.clone(), treatment: plan.treatment()? })
        });
        Privacy {
            mac: self.asked.mac.treatment(),
            ip: self.asked.ip.treatment(),
            drop: self.asked.drop.clone(),
            columns: columns.collect(),
            key_check: self.key.as_ref().map(Key::check),
            rejected_lines_withheld: true,
        }
    }

    /// The columns of the release, without profiles of rows that are not counted yet.
    pub(super) fn released_columns(&self) -> Vec<Column> {
        let released = self.columns.iter().filter_map(|(column, plan)| {
            let how = match plan {
                ColumnPlan::Drop => return None,
                ColumnPlan::Keep => "",
                ColumnPlan::Hmac { .. } => "; pseudonymised with HMAC-SHA-256",
                ColumnPlan::IpcryptPfx { .. } => "; pseudonymised with ipcrypt-pfx",
            };
            let derivation = format!("{}{how}", column.derivation);
            Some(Column { derivation, profile: None, ..column.clone() })
        });
        released.collect()
    }
}

/// Whether a column is made of addresses of a kind, in whatever way.
fn made_of(column: &Column, kind: Kind) -> bool {
    column.source.iter().any(|field| Kind::of_field(field) == Some(kind))
}

fn column_plan(options: &PrivacyOptions, column: &Column) -> Result<ColumnPlan, PlanError> {
    if options.drop.contains(&column.name) {
        return Ok(ColumnPlan::Drop);
    }
    let mut plan = ColumnPlan::Keep;
    for field in &column.source {
        let Some(kind) = Kind::of_field(field) else { continue };
        let (drop, keep) = match kind {
            Kind::Mac => (options.mac == MacTreatment::Drop, options.mac == MacTreatment::Keep),
            Kind::Ip => (options.ip == IpTreatment::Drop, options.ip == IpTreatment::Keep),
        };
        if drop {
            return Ok(ColumnPlan::Drop);
        }
        if keep {
            continue;
        }
        // Recipes make text of an address by copying it, and a large number by reading it as one. Whatever else there is of
        // one field compares it with addresses that the recipe names.
        let numbers = column.data_type == ColumnType::Int64 && kind == Kind::Ip;
        if column.source.len() > 1 || !(numbers || column.data_type == ColumnType::String) {
            return Err(PlanError::Derived { column: column.name.clone(), field: field.clone() });
        }
        let fill = fill(column);
        if let Some(fill) = fill.as_ref().filter(|fill| is_address(fill, kind, numbers)) {
            return Err(PlanError::AmbiguousFill { column: column.name.clone(), fill: fill.clone() });
        }
        plan = match (kind, options.ip) {
            (Kind::Ip, IpTreatment::IpcryptPfx) => ColumnPlan::IpcryptPfx { fill },
            _ if numbers => return Err(PlanError::DigestOfNumbers { column: column.name.clone() }),
            _ => ColumnPlan::Hmac { kind, fill },
        };
    }
    Ok(plan)
}

/// What a recipe puts where there is no value, as the derivation says: `…; "none" where missing`, `…; -1 where missing`.
fn fill(column: &Column) -> Option<String> {
    let (_, fill) = column.derivation.strip_suffix(" where missing")?.rsplit_once("; ")?;
    Some(fill.to_owned())
}

/// Whether what a column is filled with could be an address.
fn is_address(fill: &str, kind: Kind, numbers: bool) -> bool {
    if numbers { fill.parse::<u32>().is_ok() } else { kind.is(fill.trim_matches('"')) }
}

/// Checks that what is left is a table that readers of a lake understand.
fn check_left(columns: &[(Column, ColumnPlan)]) -> Result<(), PlanError> {
    let flow_start = columns
        .iter()
        .find(|(column, _)| column.data_type == ColumnType::TimestampMillis && !column.nullable);
    match flow_start {
        Some((column, ColumnPlan::Drop)) => Err(PlanError::FlowStart { column: column.name.clone() }),
        _ if columns.iter().all(|(_, plan)| *plan == ColumnPlan::Drop) => Err(PlanError::NothingLeft),
        _ => Ok(()),
    }
}

/// Whether something else than a column tells addresses of this kind: the catalogue those of the devices, and evidence the most
/// frequent one of a field.
fn is_told_elsewhere(manifest: &Manifest, kind: Kind) -> bool {
    let in_catalogue = kind == Kind::Mac && manifest.configuration.is_some();
    in_catalogue || manifest.dropped_columns.iter().any(|field| Kind::of_field(&field.name) == Some(kind))
}

fn warnings(
    columns: &[(Column, ColumnPlan)],
    hidden: Kinds,
    recipe_names_hidden: bool,
    catalogue_names_hidden: bool,
) -> Vec<String> {
    let kept = |kind: Kind| {
        let kept = columns.iter().filter(move |(column, plan)| {
            *plan == ColumnPlan::Keep && made_of(column, kind) && column.data_type == ColumnType::String
        });
        let names: BTreeSet<&str> = kept.map(|(column, _)| column.name.as_str()).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let mut warnings = Vec::new();
    if hidden.contains(Kind::Mac)
        && let Some(names) = kept(Kind::Ip)
    {
        warnings.push(format!(
            "IPv6 addresses can contain MAC addresses (those made of them by EUI-64, and solicited-node multicast), and {names} \
             stay as they are"
        ));
    }
    if hidden.contains(Kind::Ip) && !hidden.contains(Kind::Mac) {
        let catalogue = (!catalogue_names_hidden).then(|| "those of the devices in the catalogue".to_owned());
        let kept: Vec<String> = kept(Kind::Mac).into_iter().chain(catalogue).collect();
        if !kept.is_empty() {
            warnings.push(format!(
                "MAC addresses tell IPv6 addresses that are made of them, and multicast groups; {} stay as they are",
                kept.join(" and ")
            ));
        }
        if catalogue_names_hidden {
            warnings
                .push("the catalogue names what looks like an IP address: its text is withheld".to_owned());
        }
    }
    for kind in Kind::ALL.into_iter().filter(|kind| hidden.contains(*kind)) {
        let partly = columns.iter().any(|(column, plan)| *plan == ColumnPlan::Keep && made_of(column, kind));
        if partly {
            warnings.push(format!(
                "some columns of {} addresses are left out, but others stay as they are",
                kind.name()
            ));
        }
    }
    if recipe_names_hidden {
        warnings.push(
            "the recipe names addresses of a kind that is hidden: its text is withheld, but its digest confirms a guess, and \
             descriptions of columns are as the recipe has them"
                .to_owned(),
        );
    }
    warnings
}
