//! Puts the fragments of a build together: the manifest, and the judgement of the input.

use flowlake_ingest::{Catalogue, ControlTotals};
use flowlake_partition::manifest::{
    Column, ColumnType, Configuration, ConfigurationFile, DataFile, Dataset, Directions, DroppedColumn,
    Evidence, FORMAT_VERSION, Manifest, MostFrequent, NotEncoded, Part, RecipeReference, Records,
    RemovedRows, Repair, Role, RowAccounting, Schema, Selection, Source, Tool, Totals, Trailer, UnknownField,
    Warning,
};
use flowlake_partition::profile::{TableProfile, partition_profiles};
use flowlake_partition::table::{Encoding, TableColumn};
use flowlake_transform::{ColumnEvidence, OutputColumn, OutputType, Recipe, Role as RecipeRole};

use super::task::Fragment;
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

/// Merges fragments, which are in the order of dump names, into the manifest.
pub(crate) fn merge(
    catalogue: &Catalogue,
    recipe: &Recipe,
    selection: &Selection,
    columns: &[OutputColumn],
    fragments: &[Fragment],
    plan_warnings: &[Warning],
) -> Manifest {
    let mut warnings = plan_warnings.to_vec();
    let sources: Vec<Source> = fragments.iter().map(|fragment| source(fragment, recipe)).collect();
    for (source, fragment) in sources.iter().zip(fragments) {
        warnings.extend(source_warnings(source, fragment));
    }
    let dropped_columns = dropped_columns(recipe, fragments, &mut warnings);
    warnings.sort();

    let mut files: Vec<DataFile> = fragments.iter().flat_map(|fragment| fragment.files.clone()).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let schema = profiled(schema(columns), fragments, &files);
    let row_accounting = RowAccounting {
        read: sources.iter().map(|source| source.read).sum(),
        kept: sources.iter().map(|source| source.kept).sum(),
        removed: sum_removed(recipe, fragments),
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
    let configuration = Configuration {
        catalogue: ConfigurationFile::of(&catalogue.text),
        recipe: ConfigurationFile::of(&recipe.text),
    };
    let dataset = &catalogue.dataset;
    Manifest {
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
        schema,
        dropped_columns,
        row_accounting,
        repairs: sum_repairs(recipe, fragments),
        not_encoded: sum_not_encoded(recipe, fragments),
        sources,
        files,
        totals,
        warnings,
        configuration: Some(configuration),
    }
}

/// The promise of a manifest: every row that was read is kept, removed or rejected, in each dump and in all, and the files
/// hold those that are kept. A manifest that breaks it is not published.
pub(crate) fn check_accounting(manifest: &Manifest) -> Result<(), Failure> {
    let in_files = |device: &str| -> u64 {
        manifest.files.iter().filter(|file| file.device_name == device).map(|file| file.rows).sum()
    };
    let broken = manifest.sources.iter().find(|source| {
        let removed: u64 = source.removed.iter().map(|rule| rule.rows).sum();
        source.read != source.kept + removed + source.rejected || source.kept != in_files(&source.device)
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

/// Refuses to publish what was read too badly.
pub(crate) fn check_rejected(catalogue: &Catalogue, fragments: &[Fragment]) -> Result<(), Failure> {
    let limit = catalogue.limits.max_rejected_share;
    let mut lines = Vec::new();
    for Fragment { task, totals, .. } in fragments {
        let read = totals.records.flows + totals.rejected;
        let share = totals.rejected as f64 / read.max(1) as f64;
        if share > limit {
            lines.push(format!(
                "dump {}: {} of {read} flows rejected ({:.3} %)",
                task.dump.name,
                totals.rejected,
                share * 100.0
            ));
            lines.extend(totals.first_rejections.iter().map(|first| format!("  {first}")));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!(
        "more lines are rejected than max_rejected_share allows ({:.3} %); nothing was published\n{}",
        limit * 100.0,
        lines.join("\n")
    );
    Err(Failure::message(Exit::Differences, message).hint(
        "look at the lines; if the rest is worth building, raise `max_rejected_share` under [limits] in the catalogue: \
         rejected lines are then kept in the lake's rejected/",
    ))
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

fn source(fragment: &Fragment, recipe: &Recipe) -> Source {
    let Fragment { task, totals, parts, files, .. } = fragment;
    let flows = totals.records.flows + totals.rejected;
    Source {
        dump: task.dump.name.clone(),
        device: task.device.name.clone(),
        device_class: task.device.class.clone(),
        parts: parts
            .iter()
            .map(|part| Part { name: part.name.clone(), bytes: part.bytes, sha256: part.sha256.clone() })
            .collect(),
        records: Records {
            flows,
            stats: totals.records.stats,
            tombstone: totals.records.tombstone,
            other: totals.records.other,
        },
        trailer: totals.control_totals.map(|ControlTotals { flows: exported, packets }| Trailer {
            flows: exported,
            packets,
            matches: exported == flows && packets == totals.packets,
        }),
        published_records: task.device.published_records,
        read: flows,
        kept: totals.kept,
        removed: removed(recipe, |i| totals.removed[i]),
        rejected: totals.rejected,
        rejected_lines: fragment.rejected_lines.clone(),
        directions: Directions {
            from_device: totals.directions.from_device,
            to_device: totals.directions.to_device,
            both: totals.directions.both,
            neither: totals.directions.neither,
        },
        unknown_fields: totals
            .unknown_fields
            .iter()
            .map(|(name, rows)| UnknownField { name: name.to_owned(), rows })
            .collect(),
        // Times of one form sort as text.
        first_flow_start: files.iter().map(|file| file.min_flow_start.clone()).min(),
        last_flow_start: files.iter().map(|file| file.max_flow_start.clone()).max(),
    }
}

fn source_warnings(source: &Source, fragment: &Fragment) -> Vec<Warning> {
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
                trailer.flows, trailer.packets, source.read, fragment.totals.packets
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
    fragments: &[Fragment],
    warnings: &mut Vec<Warning>,
) -> Vec<DroppedColumn> {
    let dropped = recipe.dropped.iter().enumerate().map(|(i, field)| {
        let mut evidence = ColumnEvidence::new(&field.name);
        for fragment in fragments {
            evidence.merge(&fragment.totals.evidence[i]);
        }
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

fn sum_removed(recipe: &Recipe, fragments: &[Fragment]) -> Vec<RemovedRows> {
    removed(recipe, |i| fragments.iter().map(|fragment| fragment.totals.removed[i]).sum())
}

fn removed(recipe: &Recipe, rows: impl Fn(usize) -> u64) -> Vec<RemovedRows> {
    recipe
        .filters
        .iter()
        .enumerate()
        .map(|(i, filter)| RemovedRows { rule: filter.rule.clone(), rows: rows(i) })
        .collect()
}

fn sum_repairs(recipe: &Recipe, fragments: &[Fragment]) -> Vec<Repair> {
    let repairs = recipe.repairs.iter().enumerate().map(|(i, repair)| Repair {
        name: repair.name().to_owned(),
        values: fragments.iter().map(|fragment| fragment.totals.repairs[i]).sum(),
    });
    repairs.collect()
}

fn sum_not_encoded(recipe: &Recipe, fragments: &[Fragment]) -> Vec<NotEncoded> {
    let columns = recipe.ipv4_columns().into_iter().enumerate().map(|(i, (column, _))| NotEncoded {
        column: column.to_owned(),
        reason: "ipv6".to_owned(),
        values: fragments.iter().map(|fragment| fragment.totals.not_encoded[i]).sum(),
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
fn profiled(mut schema: Schema, fragments: &[Fragment], files: &[DataFile]) -> Schema {
    let mut profile = TableProfile::new(schema.columns.iter().map(|column| column.data_type));
    for fragment in fragments {
        profile.merge(&fragment.profile);
    }
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
