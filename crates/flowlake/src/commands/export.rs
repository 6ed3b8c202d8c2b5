//! `flowlake export`: rows of a lake as CSV, NDJSON or Arrow.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use flowlake_export::{Compression, Encoding, ExportError, ExportOptions, Format, Written, export, select};
use flowlake_partition::manifest::Dataset;
use flowlake_partition::publish::{PublishError, PublishMode, Staging};
use flowlake_partition::read::read_manifest;
use flowlake_store::LakeStore;

use super::build::{interruption, there, warn, with_causes};
use crate::cli::{ExportArgs, ExportCompression, ExportFormat, threads};
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::ForPeople;
use crate::table;

pub(crate) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let interrupted = interruption()?;
    let encoding = Encoding::new(format(args.format), compression(args.compression))?;
    let lake = open(&args.lake, Exit::Input)?;
    let manifest = read_manifest(&lake)?;
    let files = select(&manifest, &args.selection.selection())?;
    if let LakeStore::Directory(lake) = &lake {
        refuse_inside_lake(lake, &args.output)?;
    }

    let staging = Staging::create(&args.output, PublishMode::Fresh).map_err(refused)?;
    let options = ExportOptions { encoding, jobs: threads(args.jobs) };
    let written = export(&lake, &manifest, &files, options, staging.root(), interrupted)?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(ExportError::Interrupted.into());
    }
    for left in staging.publish_files().map_err(refused)? {
        warn(&format!("the export is there, but {}", with_causes(&left)));
    }
    print(&args.output, &written, &manifest.dataset, begun.elapsed().as_secs_f64())
        .map_err(|failure| failure.hint(there("export", &args.output.display().to_string())))?;
    Ok(Exit::Success)
}

fn format(format: ExportFormat) -> Format {
    match format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Ndjson => Format::Ndjson,
        ExportFormat::Arrow => Format::Arrow,
    }
}

fn compression(compression: ExportCompression) -> Compression {
    match compression {
        ExportCompression::None => Compression::None,
        ExportCompression::Gzip => Compression::Gzip,
        ExportCompression::Zstd => Compression::Zstd,
    }
}

/// A lake holds nothing that its manifest does not list: an export inside it would be a stray in every later check, and
/// would keep the lake from being replaced.
pub(crate) fn refuse_inside_lake(lake: &Path, output: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Output, error);
    let lake = fs_err::canonicalize(lake).map_err(|error| Failure::new(Exit::Input, error))?;
    let output_path = std::path::absolute(output).map_err(failed)?;
    // What is not there yet cannot be a link; above it, links have to be followed.
    let existing = output_path.ancestors().find_map(|path| fs_err::canonicalize(path).ok());
    if existing.is_some_and(|path| path.starts_with(&lake)) {
        let message = format!("{} lies inside the lake", output.display());
        return Err(Failure::message(Exit::Usage, message).hint("give an --output outside of it"));
    }
    Ok(())
}

/// To an export a lake at its place is like any other directory that is not empty: it never replaces anything.
fn refused(error: PublishError) -> Failure {
    match error {
        PublishError::TargetHoldsLake { target } | PublishError::TargetNotEmpty { target } => {
            Failure::message(Exit::Output, format!("{target} is not empty"))
                .hint("give an --output that is empty or does not exist")
        }
        PublishError::CommitConflict { .. } => {
            Failure::new(Exit::Conflict, error).hint("it was left alone; give another --output")
        }
        _ => error.into(),
    }
}

/// The table at the end, and the licence: the files leave the lake that says under which one they are.
fn print(output: &Path, written: &[Written], dataset: &Dataset, seconds: f64) -> Result<(), Failure> {
    let rows = vec![
        vec!["files".to_owned(), table::count(written.len() as u64)],
        vec!["rows".to_owned(), table::count(written.iter().map(|file| file.rows).sum())],
        vec!["bytes".to_owned(), table::bytes(written.iter().map(|file| file.bytes).sum())],
        vec!["seconds".to_owned(), format!("{seconds:.2}")],
    ];
    let mut out = ForPeople(io::stdout().lock());
    writeln!(out, "{}", table::table(&["export", &output.display().to_string()], 1, rows))?;
    if !dataset.licence.trim().is_empty() {
        writeln!(out, "\nlicence of {}: {}", dataset.name, dataset.licence)?;
    }
    Ok(())
}
