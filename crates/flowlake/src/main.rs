//! The `flowlake` command: glue between the crates, and the only place that prints and exits.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod configuration;
#[cfg(test)]
mod dictionary;
mod exit;
mod instant;
mod open_files;
mod pipeline;
mod places;
mod printable;
mod progress;
mod resources;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::printable::message;

/// The system's allocator keeps a third more memory than is in use: rows that wait among short-lived columns leave gaps.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(cli::with_sql_told_apart(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure; clap knows which is which.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return match error.print() {
                Err(io) if io.kind() != io::ErrorKind::BrokenPipe => Exit::Output.into(),
                _ => exit.into(),
            };
        }
    };
    let result = open_files::prepare().and_then(|()| run(cli.command));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Success {
                // Nobody is left to tell when standard error is gone.
                let _ = print_failure(&failure);
            }
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Build(args) => commands::build::run(&args),
        Command::Plan(args) => commands::distributed::plan(&args),
        Command::Task(args) => commands::distributed::task(&args),
        Command::Commit(args) => commands::distributed::commit(&args),
        Command::Sample(args) => commands::sample::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Release(args) => commands::release::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Export(args) => commands::export::run(&args),
        Command::Query(args) => commands::query::query(&args),
        Command::Head(args) => commands::query::head(&args),
        Command::Files(args) => commands::files::files(&args),
        Command::Sql(args) => commands::files::sql(&args),
        Command::Recipe(command) => commands::recipe::run(&command),
        Command::Completions { shell } => commands::docs::completions(shell),
        Command::Man { output } => commands::docs::man(&output),
    }
}

fn print_failure(failure: &Failure) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    let mut last = failure.error.to_string();
    writeln!(stderr, "error: {}", message(&last))?;
    for cause in failure.error.chain().skip(1) {
        let text = cause.to_string();
        // Some libraries repeat their cause in their own text.
        if text != last {
            writeln!(stderr, "caused by: {}", message(&text))?;
        }
        last = text;
    }
    if let Some(hint) = &failure.hint {
        writeln!(stderr, "hint: {}", message(hint))?;
    }
    Ok(())
}
