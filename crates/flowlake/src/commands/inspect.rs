//! `flowlake inspect`: what a lake holds and how it was made.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flowlake_partition::manifest::{ColumnType, Manifest, Profile, ProfileValue, Selection, Source};
use flowlake_partition::read::read_manifest;
use flowlake_partition::table::type_name;

use crate::cli::InspectArgs;
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::ForPeople;
use crate::table::{bytes, count, fraction, integer, table};

/// Most frequent values of a text that a line shows.
const SHOWN_VALUES: usize = 3;

pub(crate) fn run(args: &InspectArgs) -> Result<Exit, Failure> {
    let manifest = read_manifest(&open(&args.lake, Exit::Input)?)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, &manifest).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&mut ForPeople(&mut out), &manifest)?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

fn print(out: &mut impl Write, manifest: &Manifest) -> io::Result<()> {
    let Manifest { dataset, recipe, tool, totals, .. } = manifest;
    writeln!(out, "{}: {}", dataset.name, dataset.title)?;
    writeln!(out, "  licence   {}", dataset.licence)?;
    writeln!(out, "  citation  {}", dataset.citation)?;
    writeln!(out, "  source    {}", dataset.url)?;
    writeln!(out, "  recipe    {} ({})", recipe.name, recipe.digest)?;
    writeln!(out, "  made by   {} {}, manifest format {}", tool.name, tool.version, manifest.format_version)?;
    writeln!(
        out,
        "  holds     {} rows in {} files, {}, from {} dumps of {}",
        count(totals.rows),
        count(totals.files),
        bytes(totals.bytes),
        count(totals.dumps),
        bytes(totals.input_bytes)
    )?;

    if let Some(digest) = &totals.content_digest {
        writeln!(out, "  all rows  {digest}")?;
    }
    if let Some(release) = &manifest.release {
        let date = release.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        let tool = format!("{} {}", release.tool.name, release.tool.version);
        writeln!(out, "  release   {}{date}, made by {tool}", release.version)?;
        if !release.redistribution {
            writeln!(out, "  release   not for redistribution")?;
        }
        for column in release.privacy.iter().flat_map(|privacy| &privacy.columns) {
            writeln!(out, "  private   {}: {}", column.name, column.treatment.name())?;
        }
    }
    if let Some(selection) = &manifest.selection {
        let Selection { devices, classes, from, to } = selection;
        let lists = [("devices", devices), ("classes", classes)];
        for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            writeln!(out, "  only      {what} {}", names.join(", "))?;
        }
        if let Some(from) = from {
            writeln!(out, "  only      flows that started at {from} or later")?;
        }
        if let Some(to) = to {
            writeln!(out, "  only      flows that started before {to}")?;
        }
    }

    section(out, "Row accounting")?;
    let accounting = &manifest.row_accounting;
    let mut rows = vec![vec!["read".to_owned(), count(accounting.read)]];
    rows.extend(
        accounting.removed.iter().map(|rule| vec![format!("removed by {}", rule.rule), count(rule.rows)]),
    );
    rows.push(vec!["rejected".to_owned(), count(accounting.rejected)]);
    rows.push(vec!["kept".to_owned(), count(accounting.kept)]);
    writeln!(out, "{}", table(&["what", "rows"], 1, rows))?;

    section(out, "Repairs")?;
    let rows = manifest.repairs.iter().map(|repair| vec![repair.name.clone(), count(repair.values)]);
    writeln!(out, "{}", table(&["repair", "values"], 1, rows))?;

    if !manifest.not_encoded.is_empty() {
        section(out, "Not encoded")?;
        let rows = manifest.not_encoded.iter();
        let rows = rows.map(|entry| vec![entry.column.clone(), entry.reason.clone(), count(entry.values)]);
        writeln!(out, "{}", table(&["column", "what", "values"], 2, rows))?;
    }

    section(out, "Columns")?;
    let columns = manifest.schema.columns.iter().map(|column| (column, ""));
    let partitions = manifest.schema.partition_by.iter().map(|column| (column, "directory"));
    let rows = columns.chain(partitions).map(|(column, place)| {
        vec![
            column.name.clone(),
            type_name(column.data_type).to_owned(),
            column.unit.clone().unwrap_or_default(),
            format!("{:?}", column.role).to_lowercase(),
            if column.nullable { "nulls" } else { place }.to_owned(),
            column.description.clone(),
        ]
    });
    writeln!(out, "{}", table(&["name", "type", "unit", "role", "", "description"], 6, rows))?;

    profiles(out, manifest)?;

    section(out, "Dropped columns")?;
    let rows = manifest.dropped_columns.iter().map(|column| {
        let evidence = &column.evidence;
        let about = if evidence.distinct_is_estimate { "~" } else { "" };
        let top = evidence.most_frequent.as_ref();
        vec![
            column.name.clone(),
            column.reason.clone(),
            count(evidence.nulls),
            format!("{about}{}", count(evidence.distinct)),
            top.map(|top| top.value.clone()).unwrap_or_default(),
            top.map(|top| format!("{:.3} %", top.share * 100.0)).unwrap_or_default(),
            if evidence.contradicted { "CONTRADICTED" } else { "" }.to_owned(),
        ]
    });
    writeln!(
        out,
        "{}",
        table(&["name", "reason", "nulls", "distinct", "most frequent", "share", ""], 2, rows)
    )?;

    section(out, "Sources")?;
    let rows = manifest.sources.iter().map(source_row);
    let header = ["dump", "device", "class", "trailer", "read", "kept", "removed", "rejected"];
    writeln!(out, "{}", table(&header, 4, rows))?;

    section(out, "Partitions")?;
    let mut partitions: BTreeMap<(&str, &str), [u64; 3]> = BTreeMap::new();
    for file in &manifest.files {
        let sums = partitions.entry((&file.month, &file.device_class)).or_default();
        sums[0] += 1;
        sums[1] += file.rows;
        sums[2] += file.bytes;
    }
    let rows = partitions.into_iter().map(|((month, class), [files, rows, size])| {
        vec![month.to_owned(), class.to_owned(), count(files), count(rows), bytes(size)]
    });
    writeln!(out, "{}", table(&["month", "deviceClass", "files", "rows", "bytes"], 2, rows))?;

    if !manifest.warnings.is_empty() {
        section(out, "Warnings")?;
        for warning in &manifest.warnings {
            writeln!(out, "{}", warning.message)?;
        }
    }
    Ok(())
}

/// What is in the columns: those with a range in one table, text in another.
fn profiles(out: &mut impl Write, manifest: &Manifest) -> io::Result<()> {
    let columns = manifest.schema.columns.iter().chain(&manifest.schema.partition_by);
    let profiled = columns.filter_map(|column| Some((column, column.profile.as_ref()?)));
    let (texts, numbers): (Vec<_>, Vec<_>) =
        profiled.partition(|(column, _)| column.data_type == ColumnType::String);
    if !numbers.is_empty() {
        section(out, "Values")?;
        let value = |value: &Option<ProfileValue>| value.as_ref().map(profile_value).unwrap_or_default();
        let rows = numbers.iter().map(|(column, profile)| {
            let mean = profile.mean.map(fraction).unwrap_or_default();
            vec![column.name.clone(), count(profile.nulls), value(&profile.min), mean, value(&profile.max)]
        });
        writeln!(out, "{}", table(&["name", "nulls", "min", "mean", "max"], 1, rows))?;
    }
    if !texts.is_empty() {
        section(out, "Values of text")?;
        let rows = texts.iter().map(|(column, profile)| {
            let about = if profile.distinct_is_estimate == Some(true) { "~" } else { "" };
            vec![
                column.name.clone(),
                top_values(profile),
                count(profile.nulls),
                profile.distinct.map(|distinct| format!("{about}{}", count(distinct))).unwrap_or_default(),
            ]
        });
        writeln!(out, "{}", table(&["name", "most frequent", "nulls", "distinct"], 2, rows))?;
    }
    Ok(())
}

fn profile_value(value: &ProfileValue) -> String {
    match value {
        ProfileValue::Integer(number) => integer(*number),
        ProfileValue::Float(number) => fraction(*number),
        ProfileValue::Text(text) => text.clone(),
    }
}

/// The most frequent values with their shares; of values too many to be counted, from where to where they go.
fn top_values(profile: &Profile) -> String {
    match (&profile.top_values, &profile.min, &profile.max) {
        (Some(values), ..) => {
            let shown = values.iter().take(SHOWN_VALUES);
            let shown = shown.map(|top| format!("{} {:.1} %", top.value, top.share * 100.0));
            shown.collect::<Vec<_>>().join(", ")
        }
        (None, Some(min), Some(max)) => format!("{} to {}", profile_value(min), profile_value(max)),
        _ => String::new(),
    }
}

fn section(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n{title}")
}

fn source_row(source: &Source) -> Vec<String> {
    let trailer = match &source.trailer {
        None => "missing",
        Some(trailer) if trailer.matches => "matches",
        Some(_) => "DIFFERS",
    };
    vec![
        source.dump.clone(),
        source.device.clone(),
        source.device_class.clone(),
        trailer.to_owned(),
        count(source.read),
        count(source.kept),
        count(source.removed.iter().map(|rule| rule.rows).sum()),
        count(source.rejected),
    ]
}
