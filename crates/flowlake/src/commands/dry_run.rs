//! `flowlake build --dry-run`: what would be read and written.

use std::io::{self, Write};

use flowlake_partition::publish::{Target, look};

use super::build::Request;
use crate::exit::Failure;
use crate::pipeline::plan::plan;
use crate::printable::ForPeople;
use crate::table::{bytes, count, table};

/// Looks at the input and the target, and writes nothing.
pub(crate) fn run(request: &Request<'_>) -> Result<(), Failure> {
    let plan = plan(request.catalogue, request.input, request.selection)?;
    super::build::show_warnings(&plan.warnings);
    let target = look(request.output, request.mode)?;

    let mut rows: Vec<Vec<String>> = plan
        .tasks
        .iter()
        .map(|task| {
            vec![
                task.dump.name.clone(),
                task.device.name.clone(),
                task.device.class.clone(),
                count(task.dump.parts.len() as u64),
                bytes(task.dump.bytes()),
            ]
        })
        .collect();
    let parts = plan.tasks.iter().map(|task| task.dump.parts.len() as u64).sum();
    let size = plan.tasks.iter().map(|task| task.dump.bytes()).sum();
    rows.push(vec!["all".to_owned(), String::new(), String::new(), count(parts), bytes(size)]);
    let mut out = ForPeople(io::stdout().lock());
    writeln!(out, "would read {}:\n", request.input.name(""))?;
    writeln!(out, "{}", table(&["dump", "device", "class", "files", "bytes"], 3, rows))?;
    let state = match target {
        Target::Empty => "which is empty".to_owned(),
        Target::Lake => "replacing the lake that is there".to_owned(),
        Target::Leftovers { objects } => {
            format!("and delete {} objects that a build left behind", count(objects as u64))
        }
    };
    writeln!(
        out,
        "\nwould write a lake of recipe {} to {}, {state}",
        request.recipe.name,
        request.output.name("")
    )?;
    Ok(())
}
