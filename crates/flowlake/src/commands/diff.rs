//! `flowlake diff`: what changed between two lakes, for people. What it is was found out by [`flowlake_partition::diff`].

mod configuration;
mod release;

use std::io::{self, Write};

use flowlake_partition::diff::{
    ColumnChange, ColumnSide, ConfigurationChange, CountChange, Counts, Diff, RecipeDiff, TextChange,
    Verdict, diff,
};
use flowlake_partition::manifest::{DataFile, Selection};
use flowlake_partition::read::read_manifest;
use flowlake_partition::table::type_name;

use crate::cli::DiffArgs;
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::ForPeople;
use crate::table::{count, difference, table};

/// Lines of a table that are shown.
const SHOWN_LINES: usize = 20;

/// Digits of a digest that are shown: as many as names of files have.
const SHOWN_DIGITS: usize = 16;

/// What stands for a value that is not there.
const NOTHING: &str = "-";

pub(crate) fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let a = read_manifest(&open(&args.a, Exit::Input)?)?;
    let b = read_manifest(&open(&args.b, Exit::Input)?)?;
    let diff = diff(&a, &b);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer_pretty(&mut out, &diff).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&mut ForPeople(&mut out), &diff)?;
    }
    out.flush()?;
    Ok(if diff.verdict == Verdict::Same { Exit::Success } else { Exit::Differences })
}

/// The comparison for people.
pub(crate) fn print(out: &mut impl Write, diff: &Diff) -> io::Result<()> {
    writeln!(out, "{}", headline(diff))?;
    // Taken apart by name: a group that is new cannot be forgotten here.
    let Diff {
        verdict: _,
        origin,
        release,
        configuration,
        recipe,
        sources: _,
        schema: _,
        rows,
        files: _,
        row_accounting,
        warnings,
        order,
    } = diff;

    section(out, "Origin", &["what", "A", "B"], 3, origin.iter().map(text_line))?;
    release::print(out, release)?;
    configuration::print_catalogue(out, configuration.catalogue.as_ref())?;
    print_recipe(out, recipe, configuration.recipe.as_ref())?;
    print_sources(out, diff)?;
    print_schema(out, diff)?;

    let lines = rows.partitions.iter().map(|change| {
        let names = [&change.month, &change.device_class, &change.device_name].map(String::clone);
        [names, counts(&change.counts)].concat()
    });
    section(out, "Rows", &["month", "deviceClass", "device", "A", "B", "difference"], 3, lines)?;
    let digest = rows.content_digest.iter().map(|change| {
        let mut line = digest_line("contentDigest", change.a.as_deref(), change.b.as_deref());
        line.push(NOTHING.to_owned());
        line
    });
    let lines = rows.totals.iter().map(count_line).chain(digest);
    section(out, "Totals", &["what", "A", "B", "difference"], 1, lines)?;

    print_files(out, diff)?;

    let lines = row_accounting.iter().map(count_line);
    section(out, "Row accounting", &["what", "A", "B", "difference"], 1, lines)?;
    let lines = warnings.iter().flat_map(|change| {
        let sides = [("A", &change.a), ("B", &change.b)];
        let said = sides.into_iter().filter_map(|(side, message)| Some((side, message.as_ref()?)));
        said.map(|(side, message)| vec![side.to_owned(), change.kind.clone(), message.clone()])
    });
    section(out, "Warnings", &["in", "kind", "message"], 3, lines)?;
    let lines = order.iter().map(|list| vec![(*list).to_owned()]);
    section(out, "In another order", &["what"], 1, lines)
}

/// What it comes to, in one line.
fn headline(diff: &Diff) -> String {
    match diff.verdict {
        Verdict::Same => "no difference".to_owned(),
        Verdict::SameRows => format!("same rows, {}", otherwise(diff).join(", ")),
        Verdict::Different => format!("they differ: {}", summary(diff).join(", ")),
    }
}

/// How the same rows are told otherwise.
fn otherwise(diff: &Diff) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if !diff.files.other_encoding.is_empty() {
        parts.push("other encoding");
    } else if !diff.files.same_bytes.is_empty() || !diff.sources.is_empty() {
        parts.push("other names of files");
    }
    if other_catalogue(diff) {
        parts.push("other catalogue");
    }
    if other_recipe(diff) {
        parts.push("other recipe");
    }
    match diff.release.only_one() {
        Some([true, _]) => parts.push("only A is a release"),
        Some(_) => parts.push("only B is a release"),
        None if other_release(diff) => parts.push("other release"),
        None => {}
    }
    if parts.is_empty() {
        parts.push("other manifest");
    }
    parts
}

fn other_catalogue(diff: &Diff) -> bool {
    diff.configuration.catalogue.as_ref().is_some_and(ConfigurationChange::is_another_file)
}

fn other_recipe(diff: &Diff) -> bool {
    !diff.recipe.reference.is_empty()
        || diff.configuration.recipe.as_ref().is_some_and(ConfigurationChange::is_another_file)
}

fn other_release(diff: &Diff) -> bool {
    !diff.release.reference.is_empty() || !diff.release.documents.is_empty()
}

fn summary(diff: &Diff) -> Vec<String> {
    // Taken apart by name: a group that is new cannot be forgotten here.
    let Diff {
        verdict: _,
        origin,
        release,
        configuration: _,
        recipe,
        sources,
        schema,
        rows,
        files,
        row_accounting,
        warnings,
        order,
    } = diff;
    let mut parts = Vec::new();
    let mut say = |said: bool, what: &str| {
        if said {
            parts.push(what.to_owned());
        }
    };
    say(origin.iter().any(|change| change.what.starts_with("dataset.")), "data set");
    say(other_release(diff), "release");
    say(release.has_other_privacy(), "privacy");
    say(other_catalogue(diff), "catalogue");
    say(other_recipe(diff), "recipe");
    say(recipe.selection.is_some(), "selection");
    let (same_bytes, other_bytes): (Vec<_>, Vec<_>) = sources
        .iter()
        .filter(|change| !change.is_immaterial())
        .partition(|change| change.has_the_same_bytes());
    for (number, of, one, many) in [
        (other_bytes.len(), "", "dump", "dumps"),
        (same_bytes.len(), "what became of ", "dump", "dumps"),
        (schema.columns.len(), "", "column", "columns"),
        (schema.dropped_columns.len(), "", "dropped column", "dropped columns"),
    ] {
        say(number > 0, &format!("{of}{}", amount(number, one, many)));
    }
    let sum: i128 = rows.partitions.iter().map(|change| change.counts.difference).sum();
    match sum {
        0 => say(!rows.partitions.is_empty(), "as many rows in other months or devices"),
        1.. => say(true, &format!("{} more in B", rows_of(sum))),
        _ => say(true, &format!("{} fewer in B", rows_of(sum))),
    }
    let pairs = files.same_bytes.len() + files.other_encoding.len() + files.other_content.len();
    let rolled: usize = files.rolled.iter().map(|rolled| rolled.a.len().max(rolled.b.len())).sum();
    let number = pairs + rolled + files.only_in_a.len() + files.only_in_b.len();
    say(number > 0, &amount(number, "file", "files"));
    let RecipeDiff { reference: _, selection: _, rules, repairs, not_encoded } = recipe;
    let counted = [rules.len(), repairs.len(), not_encoded.len(), row_accounting.len()];
    say(counted.iter().any(|&changes| changes > 0), "row accounting");
    say(!warnings.is_empty(), "warnings");
    say(!order.is_empty(), "order");
    if parts.is_empty() {
        // Only a manifest that adds up wrongly has nothing else.
        parts.push("totals".to_owned());
    }
    parts
}

fn rows_of(number: i128) -> String {
    let number = u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX);
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

fn amount(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number as u64), if number == 1 { one } else { many })
}

fn print_recipe(
    out: &mut impl Write,
    recipe: &RecipeDiff,
    text: Option<&ConfigurationChange>,
) -> io::Result<()> {
    let RecipeDiff { reference, selection, rules, repairs, not_encoded } = recipe;
    // The digest of the recipe is that of its text, unless a manifest contradicts itself.
    let told = reference.iter().any(|change| change.what == "digest");
    let contradicts = |text: &&ConfigurationChange| !told && text.is_another_file();
    let kept = text.filter(contradicts).and_then(configuration::digests).into_iter();
    let kept = kept.chain(text.and_then(configuration::kept));
    let reference = reference.iter().map(|change| match change.what {
        "digest" => digest_line(change.what, change.a.as_deref(), change.b.as_deref()),
        _ => text_line(change),
    });
    let selection = selection.iter().flat_map(|change| {
        let [a, b] = [&change.a, &change.b].map(|selection| asked(selection.as_ref()));
        let lines = a.into_iter().zip(b).filter(|((_, a), (_, b))| a != b);
        lines.map(|((what, a), (_, b))| vec![format!("only {what}"), a, b])
    });
    section(out, "Recipe", &["what", "A", "B"], 3, reference.chain(kept).chain(selection))?;
    if let Some(text) = text {
        configuration::print_lines(out, "Recipe", text)?;
    }
    let header = |first| [first, "A", "B", "difference"];
    section(out, "Rows removed by rules", &header("rule"), 1, rules.iter().map(count_line))?;
    section(out, "Repairs", &header("repair"), 1, repairs.iter().map(count_line))?;
    let lines = not_encoded.iter().map(|change| {
        let names = [change.column.clone(), change.reason.clone()];
        [names.as_slice(), &counts(&change.counts)].concat()
    });
    section(out, "Not encoded", &["column", "what", "A", "B", "difference"], 2, lines)
}

/// What was asked for, by what it is about.
fn asked(selection: Option<&Selection>) -> [(&'static str, String); 4] {
    let all = Selection::default();
    let Selection { devices, classes, from, to } = selection.unwrap_or(&all);
    let list = |names: &[String]| if names.is_empty() { NOTHING.to_owned() } else { names.join(", ") };
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| NOTHING.to_owned());
    [("devices", list(devices)), ("classes", list(classes)), ("from", time(from)), ("to", time(to))]
}

fn print_sources(out: &mut impl Write, diff: &Diff) -> io::Result<()> {
    let lines = diff.sources.iter().map(|change| {
        let (a, b) = (change.a.as_ref(), change.b.as_ref());
        let became = match (a, b) {
            (None, _) => "added",
            (_, None) => "removed",
            _ if change.has_the_same_bytes() => "same bytes",
            _ => "other bytes",
        };
        let device = match (a, b) {
            (Some(a), Some(b)) if a.device != b.device => format!("{} -> {}", a.device, b.device),
            _ => a.or(b).map(|source| source.device.clone()).unwrap_or_default(),
        };
        let number = |number: Option<u64>| number.map_or_else(|| NOTHING.to_owned(), count);
        vec![
            change.dump.clone(),
            became.to_owned(),
            device,
            change.differs.join(", "),
            number(a.map(|source| source.read)),
            number(b.map(|source| source.read)),
            number(a.map(|source| source.kept)),
            number(b.map(|source| source.kept)),
        ]
    });
    let header = ["dump", "", "device", "what differs", "read A", "read B", "kept A", "kept B"];
    section(out, "Sources", &header, 4, lines)
}

fn print_schema(out: &mut impl Write, diff: &Diff) -> io::Result<()> {
    let schema = &diff.schema;
    let lines = schema.columns.iter().map(|change| {
        let (became, what) = column(change);
        vec![change.name.clone(), became.to_owned(), what]
    });
    section(out, "Columns", &["name", "", "what"], 3, lines)?;
    let lines = schema.dropped_columns.iter().map(|change| {
        // The words are long; they are shown where the kinds do not tell the difference.
        let kinds = [&change.a, &change.b].map(|side| side.as_ref().map(|side| &side.reason));
        let sides = [&change.a, &change.b].map(|side| match side {
            None => NOTHING.to_owned(),
            Some(side) if kinds[0] == kinds[1] => format!("{}: {}", side.reason, side.detail),
            Some(side) => side.reason.clone(),
        });
        [[change.name.clone()].as_slice(), &sides].concat()
    });
    section(out, "Dropped columns", &["name", "A", "B"], 3, lines)?;
    let statistics = [("profiles", &schema.profiles), ("evidence of dropped columns", &schema.evidence)];
    let differing = statistics.into_iter().filter(|(_, names)| !names.is_empty());
    let lines = differing.map(|(what, names)| vec![what.to_owned(), count(names.len() as u64)]);
    section(out, "Statistics", &["what", "differ"], 1, lines)
}

/// What became of a column, and the values that tell.
fn column(change: &ColumnChange) -> (&'static str, String) {
    match (&change.a, &change.b) {
        (None, Some(side)) => ("added", type_name(side.column.data_type).to_owned()),
        (Some(side), None) => ("removed", type_name(side.column.data_type).to_owned()),
        (Some(a), Some(b)) => {
            let became = if change.differs == ["position"] { "moved" } else { "changed" };
            let what = change.differs.iter().map(|&key| {
                let sides = [a, b].map(|side| column_value(side, key));
                match sides {
                    [Some(a), Some(b)] => format!("{key} {a} -> {b}"),
                    _ => key.to_owned(),
                }
            });
            (became, what.collect::<Vec<_>>().join(", "))
        }
        (None, None) => ("", String::new()),
    }
}

/// What a column has under a key, where that is short.
fn column_value(side: &ColumnSide, key: &str) -> Option<String> {
    let ColumnSide { place, position, column } = side;
    match key {
        "place" => Some(format!("{place:?}").to_lowercase()),
        "position" => Some(position.to_string()),
        "type" => Some(type_name(column.data_type).to_owned()),
        "unit" => Some(column.unit.clone().unwrap_or_else(|| NOTHING.to_owned())),
        "nullable" => Some(column.nullable.to_string()),
        "role" => Some(format!("{:?}", column.role).to_lowercase()),
        _ => None,
    }
}

fn print_files(out: &mut impl Write, diff: &Diff) -> io::Result<()> {
    let files = &diff.files;
    let pairs = [
        ("same bytes, other name or entry", &files.same_bytes),
        ("same rows, other encoding", &files.other_encoding),
        ("as many rows, other content", &files.other_content),
    ];
    let alone = [("only in A", &files.only_in_a), ("only in B", &files.only_in_b)];
    let rolled = "as many rows in other files";

    let number = |number: usize| count(number as u64);
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut line = |what: &str, a: usize, b: usize| {
        if a + b > 0 {
            lines.push(vec![what.to_owned(), number(a), number(b)]);
        }
    };
    for (what, pairs) in pairs {
        line(what, pairs.len(), pairs.len());
    }
    let of_rolled =
        files.rolled.iter().fold((0, 0), |(a, b), rolled| (a + rolled.a.len(), b + rolled.b.len()));
    line(rolled, of_rolled.0, of_rolled.1);
    line("only in A", files.only_in_a.len(), 0);
    line("only in B", 0, files.only_in_b.len());
    if lines.is_empty() {
        return Ok(());
    }
    lines.insert(0, vec!["unchanged".to_owned(), count(files.unchanged), count(files.unchanged)]);
    section(out, "Files", &["what", "A", "B"], 1, lines)?;

    for (what, pairs) in pairs {
        let lines = pairs.iter().map(|pair| {
            let rows = [count(pair.a.rows), count(pair.b.rows)];
            [[pair.a.path.clone(), beside(&pair.b, &pair.a)], rows].concat()
        });
        section(out, &format!("Files: {what}"), &["A", "B", "rows A", "rows B"], 2, lines)?;
    }
    let lines = files.rolled.iter().map(|rolled| {
        let names = [&rolled.month, &rolled.device_class, &rolled.device_name].map(String::clone);
        [names.as_slice(), &[number(rolled.a.len()), number(rolled.b.len()), count(rolled.rows)]].concat()
    });
    let header = ["month", "deviceClass", "device", "files A", "files B", "rows"];
    section(out, &format!("Files: {rolled}"), &header, 3, lines)?;
    for (what, files) in alone {
        let lines = files.iter().map(|file| vec![file.path.clone(), count(file.rows)]);
        section(out, &format!("Files: {what}"), &["path", "rows"], 1, lines)?;
    }
    Ok(())
}

/// The path of a file as it is seen from another: its name alone where both are in one directory.
fn beside(file: &DataFile, other: &DataFile) -> String {
    match (file.path.rsplit_once('/'), other.path.rsplit_once('/')) {
        (Some((directory, name)), Some((of_other, _))) if directory == of_other => name.to_owned(),
        _ => file.path.clone(),
    }
}

fn text_line(change: &TextChange) -> Vec<String> {
    line(change.what, change.a.as_deref(), change.b.as_deref())
}

fn digest_line(what: &str, a: Option<&str>, b: Option<&str>) -> Vec<String> {
    line(what, a.map(short), b.map(short))
}

fn line(what: &str, a: Option<&str>, b: Option<&str>) -> Vec<String> {
    [what, a.unwrap_or(NOTHING), b.unwrap_or(NOTHING)].map(str::to_owned).to_vec()
}

/// The beginning of a digest.
fn short(digest: &str) -> &str {
    digest.char_indices().nth(SHOWN_DIGITS).map_or(digest, |(end, _)| &digest[..end])
}

fn count_line(change: &CountChange) -> Vec<String> {
    [[change.name.clone()].as_slice(), &counts(&change.counts)].concat()
}

fn counts(counts: &Counts) -> [String; 3] {
    let Counts { a, b, difference: more } = *counts;
    let [a, b] = [a, b].map(|number| number.map_or_else(|| NOTHING.to_owned(), count));
    [a, b, difference(more)]
}

/// A table with a title: nothing when it has no lines, and not all of them when they are many.
fn section(
    out: &mut impl Write,
    title: &str,
    header: &[&str],
    left: usize,
    lines: impl IntoIterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut lines = lines.into_iter();
    let shown: Vec<Vec<String>> = lines.by_ref().take(SHOWN_LINES).collect();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}\n{}", table(header, left, shown))?;
    more(out, lines.count())
}

/// Says how many lines are not shown.
fn more(out: &mut impl Write, lines: usize) -> io::Result<()> {
    match lines {
        0 => Ok(()),
        lines => writeln!(out, " … and {} more; --json has all", count(lines as u64)),
    }
}
