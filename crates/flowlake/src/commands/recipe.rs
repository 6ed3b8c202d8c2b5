//! `flowlake recipe`: what recipes there are, and what one does.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flowlake_ingest::schema::{FIELDS, Kind};
use flowlake_transform::{OutputColumn, Recipe, Transformer};
use serde_json::{Value, json};

use crate::cli::RecipeCommand;
use crate::exit::{Exit, Failure};
use crate::resources;
use crate::table::{count, table};

pub(crate) fn run(command: &RecipeCommand) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match command {
        RecipeCommand::List => {
            let rows = resources::recipes()?.into_iter().map(|recipe| {
                let columns = count(recipe.columns.len() as u64);
                vec![recipe.name, recipe.title, columns]
            });
            writeln!(out, "{}", table(&["recipe", "what", "columns"], 2, rows))?;
        }
        RecipeCommand::Show { recipe } => {
            // Only what can be used is worth showing.
            resources::recipe(recipe)?;
            out.write_all(resources::recipe_text(recipe)?.as_bytes())?;
        }
        RecipeCommand::Check { recipe, json } => {
            let recipe = resources::recipe(recipe)?;
            let columns = Transformer::columns(&recipe);
            if *json {
                serde_json::to_writer_pretty(&mut out, &explained(&recipe, &columns))
                    .map_err(io::Error::from)?;
                writeln!(out)?;
            } else {
                print(&mut out, &recipe, &columns)?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// Raw fields in their order, each with its type as written and the columns it goes into.
fn used(columns: &[OutputColumn]) -> Vec<(&'static str, Kind, Vec<&str>)> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for column in columns {
        for source in &column.source {
            users.entry(source).or_default().push(&column.name);
        }
    }
    FIELDS
        .iter()
        .map(|field| (field.name, field.kind, users.remove(field.name).unwrap_or_default()))
        .collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Timestamp => "timestamp",
        Kind::Thousandths => "decimal number",
        Kind::Integer(_) => "integer",
        Kind::Hex(_) => "hexadecimal",
        Kind::TcpFlags => "TCP flags",
        Kind::Mac => "MAC address",
        Kind::Ip => "IP address",
        Kind::Text => "text",
    }
}

fn role(column: &OutputColumn) -> String {
    format!("{:?}", column.role).to_lowercase()
}

fn explained(recipe: &Recipe, columns: &[OutputColumn]) -> Value {
    json!({
        "name": recipe.name,
        "title": recipe.title,
        "digest": recipe.digest,
        "repairs": recipe.repairs.iter().map(|repair| repair.name()).collect::<Vec<_>>(),
        "rules": recipe.filters.iter().map(|filter| json!({
            "rule": filter.rule,
            "removes": filter.condition.explain(),
            "description": filter.description,
        })).collect::<Vec<_>>(),
        "fields": used(columns).into_iter().map(|(name, kind, columns)| json!({
            "name": name,
            "written": kind_name(kind),
            "columns": columns,
        })).collect::<Vec<_>>(),
        "columns": columns.iter().map(|column| json!({
            "name": column.name,
            "type": column.data_type.name(),
            "unit": column.unit,
            "nullable": column.nullable,
            "role": role(column),
            "description": column.description,
            "source": column.source,
            "derivation": column.derivation,
        })).collect::<Vec<_>>(),
        "dropped": recipe.dropped.iter().map(|field| json!({
            "name": field.name,
            "reason": field.claim.name(),
            "detail": field.detail,
        })).collect::<Vec<_>>(),
    })
}

fn print(out: &mut impl Write, recipe: &Recipe, columns: &[OutputColumn]) -> io::Result<()> {
    writeln!(out, "{}: {}", recipe.name, recipe.title)?;
    writeln!(out, "  digest    {}", recipe.digest)?;
    writeln!(
        out,
        "  makes     {} columns of {} raw fields, leaves out {}",
        columns.len(),
        FIELDS.len() - recipe.dropped.len(),
        recipe.dropped.len()
    )?;

    writeln!(out, "\nRepairs, counted over the rows kept")?;
    for repair in &recipe.repairs {
        writeln!(out, " {}", repair.name())?;
    }

    writeln!(out, "\nRules, each row removed by the first that holds")?;
    let rows = recipe.filters.iter().map(|filter| {
        vec![filter.rule.clone(), format!("rows {}", filter.condition.explain()), filter.description.clone()]
    });
    writeln!(out, "{}", table(&["rule", "removes", "why"], 3, rows))?;

    writeln!(out, "\nColumns in")?;
    let rows = used(columns).into_iter().map(|(name, kind, columns)| {
        let dropped = recipe.dropped.iter().find(|field| field.name == name);
        let becomes =
            dropped.map_or_else(|| columns.join(", "), |field| format!("dropped: {}", field.claim.name()));
        vec![name.to_owned(), kind_name(kind).to_owned(), becomes]
    });
    writeln!(out, "{}", table(&["field", "written as", "becomes"], 3, rows))?;

    writeln!(out, "\nColumns out")?;
    let rows = columns.iter().map(|column| {
        vec![
            column.name.clone(),
            column.data_type.name().to_owned(),
            column.unit.clone().unwrap_or_default(),
            role(column),
            if column.nullable { "nulls" } else { "" }.to_owned(),
            column.derivation.clone(),
            column.description.clone(),
        ]
    });
    writeln!(out, "{}", table(&["name", "type", "unit", "role", "", "made", "description"], 7, rows))?;

    writeln!(out, "\nDropped fields")?;
    let rows = recipe
        .dropped
        .iter()
        .map(|field| vec![field.name.clone(), field.claim.name().to_owned(), field.detail.clone()]);
    writeln!(out, "{}", table(&["field", "reason", "detail"], 3, rows))
}
