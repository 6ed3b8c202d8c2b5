//! `docs/data-dictionary.md`, made of the tables the program itself works by: the raw fields, the built-in recipes, and
//! the schema that a build writes into its manifest.
//!
//! It is a test and no command: nobody needs the page from an installed program, and whoever changes a recipe or a field
//! runs the tests anyway. It fails while page and tables differ; with `FLOWLAKE_WRITE_DOCS=1` it writes the page.

use std::path::Path;

use flowlake_ingest::schema::{FIELDS, Field, Kind};
use flowlake_partition::manifest::Column;
use flowlake_transform::{Claim, Recipe, Transformer};
use fs_err as fs;

use crate::pipeline::commit;
use crate::resources;

const HEAD: &str = "\
# Data dictionary

Every field a dump can have, and every column of the lakes of the built-in recipes. **This page is made by a test** from the
tables the program works by; after a change of a field or a recipe, write it anew with

```
FLOWLAKE_WRITE_DOCS=1 cargo test --workspace --release --bin flowlake dictionary
```

How raw fields are spelt, and where their values mislead, is in [input-format.md](input-format.md); what repairs and rules
do, in [recipes.md](recipes.md); the types on disk, in [FORMAT.md](FORMAT.md#data-files). A lake's own manifest has the
columns of that lake, also for recipes that are not built in.
";

const RAW: &str = "
## Raw fields

The 54 fields of a flow, in the order exporters write them. *Element* is the number in the IPFIX registry; `29305/` marks
the reverse of such a one (RFC 5103), `6871/` the elements of CERT, who make the meter and the exporter. Flows without a
required field are rejected. The type is the one in a lake, after repairs; the unit is that of the number as written.
";

fn page() -> String {
    let mut page = format!("{HEAD}{RAW}");
    let types = commit::schema(&Transformer::columns(&all_fields())).columns;
    let fields = FIELDS.iter().zip(&types).map(|(field, column)| {
        [
            code(field.name),
            written(field).to_owned(),
            code(&type_name(column)),
            field.unit.unwrap_or_default().to_owned(),
            field.element.to_string(),
            yes(field.required),
            field.description.to_owned(),
        ]
    });
    table(&mut page, ["field", "written as", "type", "unit", "element", "required", "meaning"], fields);
    let Ok(recipes) = resources::recipes() else { panic!("built-in recipes are right") };
    for recipe in recipes {
        add_recipe(&mut page, &recipe);
    }
    page
}

/// A recipe that has every field as it is after all repairs: what type a field has is for the recipe language to say.
fn all_fields() -> Recipe {
    let mut text = "name = \"all\"\ntitle = \"All\"\nrepairs = [\"durationMilliseconds\"]\n".to_owned();
    for field in FIELDS {
        text += &format!("[[column]]\nname = \"{}\"\nrole = \"feature\"\ndescription = \"\"\n", field.name);
    }
    Recipe::parse(&text, "all fields").expect("a recipe of all fields")
}

fn add_recipe(page: &mut String, recipe: &Recipe) {
    let columns = Transformer::columns(recipe);
    let schema = commit::schema(&columns);
    *page += &format!("\n## Recipe `{}`\n\n{}.\n", recipe.name, recipe.title.trim_end_matches('.'));

    *page += "\n**Rows removed**, each by the first rule that holds for it:";
    if recipe.filters.is_empty() {
        *page += " none.\n";
    } else {
        page.push('\n');
        let rules = recipe.filters.iter().map(|filter| [code(&filter.rule), filter.description.clone()]);
        table(page, ["rule", "why"], rules);
    }

    let repairs: Vec<String> = recipe.repairs.iter().map(|repair| code(repair.name())).collect();
    let repairs = if repairs.is_empty() { "none".to_owned() } else { repairs.join(", ") };
    *page += &format!("\n**[Repairs](recipes.md#repairs)**: {repairs}.\n");

    let [inside, partitions] = [schema.columns.len(), schema.partition_by.len()];
    *page +=
        &format!("\n**Columns**: {inside} inside the files, and {partitions} that are directory names.\n");
    let head = ["column", "type", "unit", "null", "role", "made from", "how", "meaning"];
    table(page, head, schema.columns.iter().chain(&schema.partition_by).map(column));

    *page += "\n**Left out**:";
    if recipe.dropped.is_empty() {
        *page += " no raw field.\n";
        return;
    }
    *page +=
        " raw fields without a column, and the reason that each build [checks](recipes.md#dropped-fields).\n";
    let dropped = recipe.dropped.iter().map(|field| {
        let reason = match field.claim {
            Claim::NearConstant { min_share } => format!("`{}`, {min_share}", field.claim.name()),
            _ => code(field.claim.name()),
        };
        [code(&field.name), reason, field.detail.clone()]
    });
    table(page, ["field", "reason", "in words"], dropped);
}

fn column(column: &Column) -> [String; 8] {
    let source: Vec<String> = column.source.iter().map(|name| code(name)).collect();
    [
        code(&column.name),
        code(&type_name(column)),
        column.unit.clone().unwrap_or_default(),
        yes(column.nullable),
        in_manifest(column, "role"),
        source.join(", "),
        column.derivation.clone(),
        column.description.clone(),
    ]
}

fn type_name(column: &Column) -> String {
    in_manifest(column, "type")
}

/// A key of a column in words of the manifest, whose names of types and roles are its own.
fn in_manifest(column: &Column, key: &str) -> String {
    let column = serde_json::to_value(column).expect("a column of a manifest");
    column[key].as_str().expect("a text").to_owned()
}

fn written(field: &Field) -> &'static str {
    match field.kind {
        Kind::Timestamp => "text, a time",
        Kind::Thousandths => "number, 3 decimals",
        Kind::Integer(_) => "number",
        Kind::Hex(_) => "text, hexadecimal",
        Kind::TcpFlags => "text, a set of `ECUAPRSF`, or `0`",
        Kind::Mac => "text, a MAC address",
        Kind::Ip => "text, an IP address",
        Kind::Text => "text",
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn yes(holds: bool) -> String {
    if holds { "yes".to_owned() } else { String::new() }
}

/// Adds a table; a cell without anything stays empty.
fn table<const N: usize>(page: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    page.push('\n');
    let mut line = |cells: [String; N]| {
        let cells = cells.map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") });
        *page += &format!("|{}|\n", cells.join("|"));
    };
    line(head.map(str::to_owned));
    line(head.map(|_| "---".to_owned()));
    // A bar would end the cell, in code too.
    rows.for_each(|row| line(row.map(|cell| cell.replace('|', "\\|"))));
}

#[test]
fn the_data_dictionary_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data-dictionary.md");
    let page = page();
    if std::env::var_os("FLOWLAKE_WRITE_DOCS").is_some() {
        fs::write(&path, &page).expect("the page is written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == page,
        "docs/data-dictionary.md is not what the tables say, from line {} on; \
         write it anew: FLOWLAKE_WRITE_DOCS=1 cargo test --workspace --release --bin flowlake dictionary",
        differs.unwrap_or_else(|| found.lines().count().min(page.lines().count())) + 1
    );
}

#[test]
fn every_field_has_a_meaning_and_an_element_of_its_own() {
    for (i, field) in FIELDS.iter().enumerate() {
        assert!(!field.description.is_empty(), "{}", field.name);
        let own = field.element == flowlake_ingest::schema::Element::Exporter;
        let before = FIELDS[..i].iter().find(|other| other.element == field.element);
        assert!(
            own || before.is_none(),
            "{} has the element of {:?}",
            field.name,
            before.map(|other| other.name)
        );
    }
}
