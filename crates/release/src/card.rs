//! `README.md`: the dataset card, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use flowlake_partition::manifest::{Column, ColumnType, Configuration, Manifest, Role, Totals};
use flowlake_partition::table::type_name;

use crate::facts::Facts;
use crate::licence::NOT_TO_BE_HANDED_ON;
use crate::terms::{self, line};

/// The card.
#[must_use]
pub fn card(facts: &Facts<'_>) -> String {
    let mut card = String::new();
    head(&mut card, facts);
    made(&mut card, facts);
    load(&mut card, facts.manifest);
    columns(&mut card, facts);
    dropped(&mut card, facts.manifest);
    accounting(&mut card, facts.manifest);
    partitions(&mut card, facts);
    devices(&mut card, facts);
    warnings(&mut card, facts.manifest);
    check(&mut card, facts);
    licence(&mut card, facts);
    card
}

// Writing to a string cannot fail, so what `write!` answers is not looked at below.

fn head(card: &mut String, facts: &Facts<'_>) {
    let Facts { manifest, release, .. } = facts;
    let _ = write!(card, "# {}, version {}\n\n", line(&manifest.dataset.title), release.version);
    if !release.redistribution {
        let _ = write!(card, "> **{NOT_TO_BE_HANDED_ON}**\n\n");
    }
    if let Some(description) = facts.description {
        // As a quotation it cannot become headings or swallow what follows.
        for text in description.trim().replace("\r\n", "\n").split(['\n', '\r']) {
            let _ = writeln!(card, "> {}", text.replace(char::is_control, " ").trim_end());
        }
        card.push('\n');
    }
    let months: BTreeSet<&str> = manifest.files.iter().map(|file| file.month.as_str()).collect();
    let devices: BTreeSet<&str> = manifest.files.iter().map(|file| file.device_name.as_str()).collect();
    let classes: BTreeSet<&str> = manifest.files.iter().map(|file| file.device_class.as_str()).collect();
    let first = manifest.files.iter().map(|file| file.min_flow_start.as_str()).min();
    let last = manifest.files.iter().map(|file| file.max_flow_start.as_str()).max();
    let _ = writeln!(
        card,
        "A row is a network flow (IPFIX). {} rows of {} in {}{}; {} columns; {} Parquet files of {} bytes in \
         {}, partitioned by `month` (of the flow start, UTC) and `deviceClass`.",
        count(manifest.totals.rows),
        counted(devices.len(), "device", "devices"),
        counted(classes.len(), "class", "classes"),
        match (first, last) {
            (Some(first), Some(last)) => format!(", which began between {first} and {last}"),
            _ => String::new(),
        },
        manifest.schema.columns.len() + manifest.schema.partition_by.len(),
        count(manifest.totals.files),
        count(manifest.totals.bytes),
        counted(months.len(), "month", "months"),
    );
}

fn made(card: &mut String, facts: &Facts<'_>) {
    let Facts { manifest, release, .. } = facts;
    let Totals { dumps, input_bytes, .. } = manifest.totals;
    let _ = write!(
        card,
        "\n## How it was made\n\n\
         flowlake {} read {} dumps ({} bytes) and applied the recipe `{}`; flowlake {} made this release. {}[rebuild.md](rebuild.md) says how to make the same bytes again, \
         and `manifest.json` accounts for every flow that was read.\n",
        manifest.tool.version,
        count(dumps),
        count(input_bytes),
        manifest.recipe.name,
        release.tool.version,
        in_config(manifest).map(|what| format!("`config/` has {what} as it was. ")).unwrap_or_default(),
    );
    if let Some(selection) = &manifest.selection {
        card.push_str("\nIt is part of what the dumps hold:");
        for (what, names) in [("devices", &selection.devices), ("classes", &selection.classes)] {
            if !names.is_empty() {
                let _ = write!(card, " only the {what} {};", names.join(", "));
            }
        }
        if let Some(from) = &selection.from {
            let _ = write!(card, " only flows that started at {from} or later;");
        }
        if let Some(to) = &selection.to {
            let _ = write!(card, " only flows that started before {to};");
        }
        card.pop();
        card.push_str(".\n");
    }
    let Some(privacy) = &release.privacy else { return };
    card.push_str("\n### Identifiers\n\n");
    if privacy.columns.is_empty() {
        card.push_str(
            "No column holds such addresses. Where configuration and counts told them, they are withheld or replaced.\n",
        );
    } else {
        card.push_str("| column | what was done |\n| --- | --- |\n");
    }
    for column in &privacy.columns {
        let done = terms::what_was_done(column.treatment);
        let _ = writeln!(card, "| `{}` | {done} |", cell(&column.name));
    }
    if privacy.rejected_lines_withheld {
        card.push_str("\nLines that were rejected are counted, but not part of this release.\n");
    }
}

/// What there is of the configuration.
fn in_config(manifest: &Manifest) -> Option<&'static str> {
    let Configuration { catalogue, recipe } = manifest.configuration.as_ref()?;
    match (&catalogue.text, &recipe.text) {
        (Some(_), Some(_)) => Some("the catalogue of devices and the recipe, each"),
        (Some(_), None) => Some("the catalogue of devices"),
        (None, Some(_)) => Some("the recipe"),
        (None, None) => None,
    }
}

fn load(card: &mut String, manifest: &Manifest) {
    let _ = write!(
        card,
        "\n## Read it\n\n\
         Only data files are below `data/`, so every engine reads that directory as one table, and reads no more of it than \
         `month` and `deviceClass` of a query ask for.\n\n\
         DuckDB:\n\n\
         ```sql\nSELECT deviceClass, month, count(*) AS flows\nFROM read_parquet('data/**/*.parquet', hive_partitioning = true)\n\
         GROUP BY ALL ORDER BY ALL;\n```\n\n\
         Polars:\n\n\
         ```python\nimport polars as pl\n\nflows = pl.scan_parquet(\"data\", hive_partitioning=True)\n\
         print(flows.group_by(\"deviceClass\", \"month\").len().sort(\"deviceClass\", \"month\").collect())\n```\n\n\
         pandas:\n\n\
         ```python\nimport pandas as pd\n\n\
         flows = pd.read_parquet(\"data\")\nprint(flows.groupby([\"deviceClass\", \"month\"], observed=True).size())\n```\n\n\
         Spark:\n\n\
         ```python\nflows = spark.read.parquet(\"data\")\nflows.groupBy(\"deviceClass\", \"month\").count().show()\n```\n"
    );
    let named = |role| -> Vec<String> {
        let columns = manifest.schema.columns.iter().chain(&manifest.schema.partition_by);
        columns.filter(|column| column.role == role).map(|column| format!("`{}`", column.name)).collect()
    };
    let (targets, identifiers) = (named(Role::Target), named(Role::Identifier));
    if !targets.is_empty() || !identifiers.is_empty() {
        let _ = write!(
            card,
            "\n**Before you train on it**: targets ({}) are what a model is to predict, and identifiers ({}) tell one device of \
             this very data set from another. Neither belongs among the inputs; the roles of all columns are below and in \
             `manifest.json`.\n",
            or_none(&targets),
            or_none(&identifiers),
        );
    }
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn columns(card: &mut String, facts: &Facts<'_>) {
    card.push_str(
        "\n## Columns\n\n| column | type | unit | role | nulls | what it is |\n| --- | --- | --- | --- | ---: | --- |\n",
    );
    let schema = &facts.manifest.schema;
    for column in schema.partition_by.iter().chain(&schema.columns) {
        let Column { name, data_type, unit, role, description, profile, .. } = column;
        let nulls = match (column.nullable, profile) {
            (false, _) => "never".to_owned(),
            (true, Some(profile)) => count(profile.nulls),
            (true, None) => "some".to_owned(),
        };
        let _ = writeln!(
            card,
            "| `{}` | {} | {} | {} | {nulls} | {} |",
            cell(name),
            type_of(*data_type),
            unit.as_deref().map(cell).unwrap_or_default(),
            role_of(*role),
            cell(description),
        );
    }
    card.push_str(
        "\n`month` and `deviceClass` are directory names, not columns inside the files. Timestamps are UTC. An absent value is \
         null, never 0.\n",
    );
}

fn dropped(card: &mut String, manifest: &Manifest) {
    if manifest.dropped_columns.is_empty() {
        return;
    }
    card.push_str(
        "\n## Fields that are left out\n\nWhat the rows that were kept held in these fields of the dumps:\n\n\
         | field | reason | distinct values | most frequent | share | in words |\n| --- | --- | ---: | --- | ---: | --- |\n",
    );
    for column in &manifest.dropped_columns {
        let evidence = &column.evidence;
        let about = if evidence.distinct_is_estimate { "about " } else { "" };
        let (value, share) = match &evidence.most_frequent {
            Some(top) if !top.value.is_empty() => {
                (format!("`{}`", cell(&top.value).replace('`', "'")), format!("{:.2} %", top.share * 100.0))
            }
            Some(top) => ("(empty)".to_owned(), format!("{:.2} %", top.share * 100.0)),
            None => Default::default(),
        };
        let contradicted = if evidence.contradicted { " **The values contradict the reason.**" } else { "" };
        let _ = writeln!(
            card,
            "| `{}` | {} | {about}{} | {value} | {share} | {}{contradicted} |",
            cell(&column.name),
            cell(&column.reason),
            count(evidence.distinct),
            cell(&column.detail),
        );
    }
}

fn accounting(card: &mut String, manifest: &Manifest) {
    let accounting = &manifest.row_accounting;
    let _ = write!(
        card,
        "\n## What became of every flow\n\n| | flows |\n| --- | ---: |\n| read | {} |\n",
        count(accounting.read)
    );
    for removed in &accounting.removed {
        let _ = writeln!(card, "| removed by {} | {} |", cell(&removed.rule), count(removed.rows));
    }
    let _ = writeln!(card, "| rejected, as they could not be read | {} |", count(accounting.rejected));
    let _ = writeln!(card, "| kept: the rows of this release | {} |", count(accounting.kept));
    let repairs: Vec<_> = manifest.repairs.iter().filter(|repair| repair.values > 0).collect();
    if !repairs.is_empty() {
        card.push_str("\nRepaired in the rows that were kept:\n\n| repair | values |\n| --- | ---: |\n");
        for repair in repairs {
            let _ = writeln!(card, "| {} | {} |", cell(&repair.name), count(repair.values));
        }
    }
}

fn partitions(card: &mut String, facts: &Facts<'_>) {
    let mut rows: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for file in &facts.manifest.files {
        *rows.entry(&file.device_class).or_default().entry(&file.month).or_default() += file.rows;
    }
    let months: BTreeSet<&str> = rows.values().flat_map(|months| months.keys().copied()).collect();
    let titles: BTreeMap<&str, &str> =
        facts.devices.iter().map(|device| (device.class, device.class_title)).collect();
    card.push_str("\n## Rows by class and month\n\n| class | |");
    for month in &months {
        let _ = write!(card, " {month} |");
    }
    card.push_str(" all |\n| --- | --- |");
    card.push_str(&" ---: |".repeat(months.len() + 1));
    card.push('\n');
    for (class, by_month) in &rows {
        let _ = write!(card, "| `{class}` | {} |", cell(titles.get(class).copied().unwrap_or_default()));
        for month in &months {
            let _ = write!(card, " {} |", count(by_month.get(month).copied().unwrap_or(0)));
        }
        let _ = writeln!(card, " {} |", count(by_month.values().sum()));
    }
}

fn devices(card: &mut String, facts: &Facts<'_>) {
    card.push_str(
        "\n## Devices\n\n| device | | class | dump | read | removed | rejected | kept |\n\
         | --- | --- | --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for source in &facts.manifest.sources {
        let title = facts.devices.iter().find(|device| device.name == source.device);
        let removed: u64 = source.removed.iter().map(|removed| removed.rows).sum();
        let _ = writeln!(
            card,
            "| `{}` | {} | `{}` | {} | {} | {} | {} | {} |",
            source.device,
            cell(title.map_or("", |device| device.title)),
            source.device_class,
            code(&source.dump),
            count(source.read),
            count(removed),
            count(source.rejected),
            count(source.kept),
        );
    }
}

fn warnings(card: &mut String, manifest: &Manifest) {
    if manifest.warnings.is_empty() {
        return;
    }
    card.push_str("\n## What to know before trusting it\n\n");
    for warning in &manifest.warnings {
        let _ = writeln!(card, "- {}", line(&warning.message));
    }
}

fn check(card: &mut String, facts: &Facts<'_>) {
    let Facts { manifest, release, .. } = facts;
    let _ = write!(
        card,
        "\n## Check it\n\n\
         ```sh\nsha256sum -c --quiet SHA256SUMS\n```\n\n\
         `flowlake verify .` also reads every row and looks for what should not be here. The digest of all rows, whatever their \
         encoding: `{}`.\n\n\
         | file | for |\n| --- | --- |\n\
         | `manifest.json` | schema, profiles, row accounting, sources and every data file |\n\
         | `SHA256SUMS` | `sha256sum -c` |\n\
         | `croissant.json` | programs that read [Croissant](https://mlcommons.org/croissant/) |\n\
         | `datapackage.json`, `tableschema.json` | programs that read [Data Packages](https://datapackage.org) |\n\
         | `CITATION.cff` | reference managers |\n\
         | `rebuild.md` | making the same bytes from the dumps |\n",
        manifest.totals.content_digest.as_deref().unwrap_or_default(),
    );
    if let Some(what) = in_config(manifest) {
        let _ = writeln!(card, "| `config/` | {what} as it was |");
    }
    if manifest.sources.iter().any(|source| manifest.rejected_path(source).is_some()) {
        card.push_str("| `rejected/` | lines of the dumps that could not be read, with the reason |\n");
    }
    let _ = write!(
        card,
        "\nA release is never changed: what is corrected gets another version than {}.\n",
        release.version
    );
}

fn licence(card: &mut String, facts: &Facts<'_>) {
    let Facts { manifest, release, .. } = facts;
    let dataset = &manifest.dataset;
    let _ = write!(card, "\n## Licence\n\n{}\n", paragraph(&dataset.licence));
    if let Some(url) = facts.licence_url.and_then(terms::web_address) {
        let _ = write!(card, "\nIts text: <{url}>\n");
    }
    if !release.redistribution {
        let _ = write!(card, "\n{NOT_TO_BE_HANDED_ON}\n");
    }
    let _ = write!(card, "\n## Citation\n\n{}\n", paragraph(&dataset.citation));
    if let Some(url) = terms::web_address(&dataset.url) {
        let _ = write!(card, "\n<{url}>\n");
    }
    let date = release.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
    let _ = write!(card, "\nThis release: {}, version {}{date}.\n", line(&dataset.title), release.version);
}

fn type_of(data_type: ColumnType) -> &'static str {
    type_name(data_type)
}

fn role_of(role: Role) -> &'static str {
    match role {
        Role::Target => "target",
        Role::Identifier => "identifier",
        Role::Feature => "feature",
        Role::Time => "time",
    }
}

/// Text for a cell of a table: in one line, and without what would end the cell.
fn cell(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// A text of somebody else's: as it is, if Markdown could take it for more than a sentence.
fn paragraph(text: &str) -> String {
    let text = text.trim();
    let plain = |c: char| c.is_alphanumeric() || " .,:;/()&+@'\"-–".contains(c);
    let sentence = text.starts_with(char::is_alphanumeric) && text.chars().all(plain);
    if sentence { line(text) } else { terms::block(text) }
}

/// A name for a cell of a table, as code.
fn code(name: &str) -> String {
    format!("`{}`", cell(name).replace('`', "'"))
}

/// `2 devices`, `1 device`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `1234567` as `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
