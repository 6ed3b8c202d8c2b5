//! Puts the fragments of a build together: the manifest, and the judgement of the input.

use std::collections::HashMap;

use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::{
    Column, ColumnType, Configuration, ConfigurationFile, DataFile, Dataset, DroppedColumn, Evidence,
    FORMAT_VERSION, Manifest, MostFrequent, NotEncoded, RecipeReference, RemovedRows, Repair, Role,
    RowAccounting, Schema, Selection, Source, Tool, Totals, Warning,
};
use flowlake_partition::profile::{TableProfile, partition_profiles};
use flowlake_partition::table::{Encoding, TableColumn};
use flowlake_transform::{ColumnEvidence, OutputColumn, OutputType, Recipe, Role as RecipeRole};

use super::fragment::Fragment;
use crate::exit::{Exit, Failure};

/// Which columns the lake has, as the writer wants to know them.
pub(crate) fn table_columns(columns: &[OutputColumn]) -> Vec<TableColumn> {
    columns
        .iter()
        .map(|column| TableColumn {
            name: column.name.clone(),
            data_type: column_type(column.data_type),
            nullable: column.nullable,
            encoding: match column.data_type {
                OutputType::TimestampMillis => Encoding::Delta,
                OutputType::Text if column.distinct_text => Encoding::DeltaText,
                _ => Encoding::Auto,
            },
        })
        .collect()
}

/// Puts the fragments of a build together, one after the other, in the order of dump names.
pub(crate) struct Merge<'a> {
    catalogue: &'a Catalogue,
    recipe: &'a Recipe,
    columns: &'a [OutputColumn],
    sources: Vec<Source>,
    files: Vec<DataFile>,
    repairs: Vec<u64>,
    not_encoded: Vec<u64>,
    evidence: Vec<ColumnEvidence>,
    profile: TableProfile,
    warnings: Vec<Warning>,
    /// Dumps with too many rejected lines, and the first of these.
    read_badly: Vec<String>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, recipe: &'a Recipe, columns: &'a [OutputColumn]) -> Self {
        Self {
            catalogue,
            recipe,
            columns,
            sources: Vec::new(),
            files: Vec::new(),
            repairs: vec![0; recipe.repairs.len()],
            not_encoded: vec![0; recipe.ipv4_columns().len()],
            evidence: recipe.dropped.iter().map(|field| ColumnEvidence::new(&field.name)).collect(),
            profile: TableProfile::new(columns.iter().map(|column| column_type(column.data_type))),
            warnings: Vec::new(),
            read_badly: Vec::new(),
        }
    }

    /// Adds what came of the next dump.
    pub(crate) fn add(&mut self, fragment: Fragment) {
        self.read_badly.extend(read_badly(&fragment, self.catalogue.limits.max_rejected_share));
        self.warnings.extend(source_warnings(&fragment));
        for (sums, counts) in
            [(&mut self.repairs, &fragment.repairs), (&mut self.not_encoded, &fragment.not_encoded)]
        {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        self.evidence.iter_mut().zip(&fragment.evidence).for_each(|(sum, evidence)| sum.merge(evidence));
        self.profile.merge(&fragment.profile);
        self.files.extend(fragment.files);
        self.sources.push(fragment.source);
    }

    /// The manifest of all of them.
    ///
    /// # Errors
    /// When a dump was read too badly, or numbers do not add up.
    pub(crate) fn finish(
        self,
        selection: &Selection,
        plan_warnings: &[Warning],
    ) -> Result<Manifest, Failure> {
        let Self { catalogue, recipe, sources, mut files, mut warnings, .. } = self;
        if !self.read_badly.is_empty() {
            return Err(too_many_rejected(catalogue, &self.read_badly));
        }
        warnings.extend_from_slice(plan_warnings);
        let dropped_columns = dropped_columns(recipe, &self.evidence, &mut warnings);
        warnings.sort();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let row_accounting = RowAccounting {
            read: sources.iter().map(|source| source.read).sum(),
            kept: sources.iter().map(|source| source.kept).sum(),
            removed: sum_removed(recipe, &sources),
            rejected: sources.iter().map(|source| source.rejected).sum(),
        };
        let totals = Totals {
            dumps: sources.len() as u64,
            input_bytes: sources.iter().flat_map(|source| &source.parts).map(|part| part.bytes).sum(),
            files: files.len() as u64,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            content_digest: Some(Totals::content_digest_of(&files)),
        };
        let dataset = &catalogue.dataset;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            tool: Tool { name: "flowlake".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            release: None,
            dataset: Dataset {
                name: dataset.name.clone(),
                title: dataset.title.clone(),
                licence: dataset.licence.clone(),
                citation: dataset.citation.clone(),
                url: dataset.url.clone(),
            },
            recipe: RecipeReference { name: recipe.name.clone(), digest: recipe.digest.clone() },
            selection: (*selection != Selection::default()).then(|| selection.clone()),
            schema: profiled(schema(self.columns), &self.profile, &files),
            dropped_columns,
            row_accounting,
            repairs: named_repairs(recipe, &self.repairs),
            not_encoded: named_not_encoded(recipe, &self.not_encoded),
            sources: sources.into(),
            files: files.into(),
            totals,
            warnings: warnings.into(),
            configuration: Some(Configuration {
                catalogue: ConfigurationFile::of(&catalogue.text),
                recipe: ConfigurationFile::of(&recipe.text),
            }),
        };
        check_accounting(&manifest)?;
        Ok(manifest)
    }
}

/// The promise of a manifest: every row that was read is kept, removed or rejected, in each dump and in all, and the files
/// hold those that are kept. A manifest that breaks it is not published.
fn check_accounting(manifest: &Manifest) -> Result<(), Failure> {
    let mut in_files: HashMap<&str, u64> = HashMap::new();
    for file in &manifest.files {
        *in_files.entry(&file.device_name).or_default() += file.rows;
    }
    let broken = manifest.sources.iter().find(|source| {
        let removed: u64 = source.removed.iter().map(|rule| rule.rows).sum();
        source.read != source.kept + removed + source.rejected
            || source.kept != in_files.get(source.device.as_str()).copied().unwrap_or_default()
    });
    match broken {
        Some(source) => {
            let message =
                format!("the rows of dump {} do not add up: a defect; nothing was published", source.dump);
            Err(Failure::message(Exit::Defect, message))
        }
        None if !manifest.row_accounting.adds_up() => {
            Err(Failure::message(Exit::Defect, "the rows do not add up: a defect; nothing was published"))
        }
        None => Ok(()),
    }
}

/// What there is to say of a dump of which too much was rejected.
fn read_badly(fragment: &Fragment, limit: f64) -> Vec<String> {
    let Source { dump, read, rejected, .. } = &fragment.source;
    let share = *rejected as f64 / (*read).max(1) as f64;
    if share <= limit {
        return Vec::new();
    }
    let all = format!("dump {dump}: {rejected} of {read} flows rejected ({:.3} %)", share * 100.0);
    let first = fragment.first_rejections.iter().map(|first| format!("  {first}"));
    std::iter::once(all).chain(first).collect()
}

/// Refuses to publish what was read too badly.
fn too_many_rejected(catalogue: &Catalogue, read_badly: &[String]) -> Failure {
    let message = format!(
        "more lines are rejected than max_rejected_share allows ({:.3} %); nothing was published\n{}",
        catalogue.limits.max_rejected_share * 100.0,
        read_badly.join("\n")
    );
    Failure::message(Exit::Differences, message).hint(
        "look at the lines; if the rest is worth building, raise `max_rejected_share` under [limits] in the catalogue: \
         rejected lines are then kept in the lake's rejected/",
    )
}

/// Kinds of warnings that `--strict` makes errors: those about the input.
pub(crate) fn strict_violation(warnings: &[Warning]) -> Option<Failure> {
    const STRICT: [&str; 4] = ["trailerMissing", "trailerMismatch", "dumpWithoutDevice", "deviceWithoutDump"];
    let violations: Vec<&str> = warnings
        .iter()
        .filter(|warning| STRICT.contains(&warning.kind.as_str()))
        .map(|warning| warning.message.as_str())
        .collect();
    if violations.is_empty() {
        return None;
    }
    let message = format!("--strict: nothing was published\n{}", violations.join("\n"));
    Some(Failure::message(Exit::Input, message).hint("without --strict these are warnings"))
}

fn source_warnings(fragment: &Fragment) -> Vec<Warning> {
    let source = &fragment.source;
    let mut warnings = Vec::new();
    let mut warn = |kind: &str, message: String| {
        warnings.push(Warning { kind: kind.to_owned(), subject: source.dump.clone(), message });
    };
    let dump = &source.dump;
    match &source.trailer {
        None => warn(
            "trailerMissing",
            format!("dump {dump} has no trailer with control totals: it may be cut off"),
        ),
        Some(trailer) if !trailer.matches => warn(
            "trailerMismatch",
            format!(
                "dump {dump}: its trailer says {} flows and {} packets, read were {} and {}",
                trailer.flows, trailer.packets, source.read, fragment.packets
            ),
        ),
        Some(_) => {}
    }
    if let Some(published) = source.published_records
        && published != source.read
    {
        let message = format!("dump {dump}: {} flows read, its publisher states {published}", source.read);
        warn("publishedCountDiffers", message);
    }
    if let Some(lines) = &source.rejected_lines {
        let message = format!("dump {dump}: {} lines rejected, kept in {}", source.rejected, lines.path);
        warn("linesRejected", message);
    }
    if !source.unknown_fields.is_empty() {
        let names: Vec<&str> =
            source.unknown_fields.iter().map(|field| field.name.as_str()).take(5).collect();
        let more = if source.unknown_fields.len() > names.len() { ", …" } else { "" };
        warn(
            "unknownFields",
            format!("dump {dump}: flows hold unknown fields, left out: {}{more}", names.join(", ")),
        );
    }
    warnings
}

fn dropped_columns(
    recipe: &Recipe,
    evidence: &[ColumnEvidence],
    warnings: &mut Vec<Warning>,
) -> Vec<DroppedColumn> {
    let dropped = recipe.dropped.iter().zip(evidence).map(|(field, evidence)| {
        let summary = evidence.summary();
        let contradicted = summary.contradicts(field.claim);
        if contradicted {
            warnings.push(Warning {
                kind: "reasonContradicted".to_owned(),
                subject: field.name.clone(),
                message: format!(
                    "column {} is dropped as `{}`, but {}",
                    field.name,
                    field.claim.name(),
                    summary.finding(field.claim)
                ),
            });
        }
        DroppedColumn {
            name: field.name.clone(),
            reason: field.claim.name().to_owned(),
            detail: field.detail.clone(),
            evidence: Evidence {
                rows: summary.rows,
                nulls: summary.nulls,
                distinct: summary.distinct,
                distinct_is_estimate: summary.distinct_is_estimate,
                most_frequent: summary.most_frequent.map(|top| MostFrequent {
                    value: top.value,
                    rows: top.rows,
                    share: (top.share * 1e6).round() / 1e6,
                }),
                contradicted,
            },
        }
    });
    dropped.collect()
}

fn sum_removed(recipe: &Recipe, sources: &[Source]) -> Vec<RemovedRows> {
    let sums = recipe.filters.iter().enumerate().map(|(i, filter)| RemovedRows {
        rule: filter.rule.clone(),
        rows: sources.iter().map(|source| source.removed.get(i).map_or(0, |removed| removed.rows)).sum(),
    });
    sums.collect()
}

fn named_repairs(recipe: &Recipe, values: &[u64]) -> Vec<Repair> {
    let repairs = recipe.repairs.iter().zip(values);
    repairs.map(|(repair, &values)| Repair { name: repair.name().to_owned(), values }).collect()
}

fn named_not_encoded(recipe: &Recipe, values: &[u64]) -> Vec<NotEncoded> {
    let columns = recipe.ipv4_columns().into_iter().zip(values).map(|((column, _), &values)| NotEncoded {
        column: column.to_owned(),
        reason: "ipv6".to_owned(),
        values,
    });
    columns.collect()
}

/// The columns as the manifest has them.
pub(crate) fn schema(columns: &[OutputColumn]) -> Schema {
    let partition = |name: &str, role, description: &str, source: &[&str], derivation: &str| Column {
        name: name.to_owned(),
        data_type: ColumnType::String,
        unit: None,
        nullable: false,
        role,
        description: description.to_owned(),
        source: source.iter().map(|&field| field.to_owned()).collect(),
        derivation: derivation.to_owned(),
        profile: None,
    };
    Schema {
        columns: columns
            .iter()
            .map(|column| Column {
                name: column.name.clone(),
                data_type: column_type(column.data_type),
                unit: column.unit.clone(),
                nullable: column.nullable,
                role: role(column.role),
                description: column.description.clone(),
                source: column.source.clone(),
                derivation: column.derivation.clone(),
                profile: None,
            })
            .collect(),
        partition_by: vec![
            partition(
                "month",
                Role::Time,
                "Month of the flow start, YYYY-MM, UTC",
                &["flowStartMilliseconds"],
                "UTC month of flowStartMilliseconds",
            ),
            partition(
                "deviceClass",
                Role::Target,
                "Class of the device",
                &[],
                "the class the catalogue gives to the device",
            ),
        ],
    }
}

/// The columns with what their values are.
fn profiled(mut schema: Schema, profile: &TableProfile, files: &[DataFile]) -> Schema {
    for (column, profile) in schema.columns.iter_mut().zip(profile.summaries()) {
        column.profile = Some(profile);
    }
    for (column, profile) in schema.partition_by.iter_mut().zip(partition_profiles(files)) {
        column.profile = Some(profile);
    }
    schema
}

fn column_type(data_type: OutputType) -> ColumnType {
    match data_type {
        OutputType::Text => ColumnType::String,
        OutputType::Int32 => ColumnType::Int32,
        OutputType::Int64 => ColumnType::Int64,
        OutputType::Float64 => ColumnType::Float64,
        OutputType::Date => ColumnType::Date,
        OutputType::TimestampMillis => ColumnType::TimestampMillis,
    }
}

fn role(role: RecipeRole) -> Role {
    match role {
        RecipeRole::Target => Role::Target,
        RecipeRole::Identifier => Role::Identifier,
        RecipeRole::Feature => Role::Feature,
        RecipeRole::Time => Role::Time,
    }
}
