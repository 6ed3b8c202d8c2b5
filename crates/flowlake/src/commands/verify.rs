//! `flowlake verify`: every file of a lake against its manifest.

use std::io::{self, Write};

use flowlake_partition::diff::{Diff, Verdict};
use flowlake_partition::verify::{DifferenceKind, VerifyOptions, VerifyReport, verify};
use flowlake_store::Location;
use serde::Serialize;

use super::rebuild::{Rebuilt, Request, rebuild};
use super::release::read_key;
use crate::cli::{ProgressMode, VerifyArgs, threads};
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::ForPeople;
use crate::table;

/// The report as JSON.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    report: &'a VerifyReport,
    /// How what was rebuilt differs, A being the lake that was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<&'a Diff>,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    // Before Ctrl-C is listened for: a key may come out of a pipe that nobody writes to.
    let mut key = args.key_file.as_deref().map(read_key).transpose()?;
    let lake = open(&args.lake, Exit::Input)?;
    let jobs = threads(args.jobs);
    let report = verify(&lake, VerifyOptions { quick: args.quick, jobs })?;
    let rebuilt = match &args.rebuild_from {
        // What is not even what its own manifest says cannot be what is rebuilt, and needs no hours to be told so.
        Some(dumps) if report.is_clean() => {
            let progress = if args.json { ProgressMode::None } else { ProgressMode::Auto };
            let (key, catalogue, recipe) = (key.take(), args.config.as_deref(), args.recipe.as_deref());
            Some(rebuild(&Request { lake: &lake, dumps, catalogue, recipe, key, jobs, progress })?)
        }
        _ => None,
    };
    let mut out = io::stdout().lock();
    if args.json {
        let rebuild = rebuilt.as_ref().map(|rebuilt| &rebuilt.diff);
        serde_json::to_writer_pretty(&mut out, &Output { report: &report, rebuild })
            .map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let mut out = ForPeople(out);
        print(&mut out, &report, args.quick)?;
        match (&rebuilt, &args.rebuild_from) {
            (Some(rebuilt), Some(dumps)) => print_rebuilt(&mut out, rebuilt, dumps)?,
            (None, Some(_)) => writeln!(out, "not rebuilt: it is not what its own manifest says")?,
            _ => {}
        }
    }
    let is_the_same = rebuilt.is_none_or(|rebuilt| rebuilt.is_the_same);
    Ok(if report.is_clean() && is_the_same { Exit::Success } else { Exit::Differences })
}

fn print_rebuilt(out: &mut impl Write, rebuilt: &Rebuilt, dumps: &Location) -> io::Result<()> {
    match (rebuilt.diff.verdict, rebuilt.is_the_same) {
        (Verdict::Same, _) => writeln!(out, "rebuilt from {dumps}: every file has the same bytes"),
        (_, true) => {
            writeln!(
                out,
                "rebuilt from {dumps}: the same rows; another version of flowlake made them, so files may have other bytes"
            )?;
            for document in &rebuilt.diff.release.documents {
                writeln!(out, "{}: not as this version of flowlake writes it", document.path)?;
            }
            Ok(())
        }
        (_, false) => {
            writeln!(
                out,
                "rebuilt from {dumps}: it is not the same. A is what was there, B what was rebuilt:\n"
            )?;
            super::diff::print(out, &rebuilt.diff)
        }
    }
}

/// The report for people.
pub(crate) fn print(out: &mut impl Write, report: &VerifyReport, quick: bool) -> io::Result<()> {
    for difference in &report.differences {
        let what = match difference.kind {
            DifferenceKind::Missing => "missing: ",
            DifferenceKind::Stray => "stray: ",
            DifferenceKind::NotAFile => "no regular file: ",
            _ => "",
        };
        // Names in a place that somebody else filled could hold what a terminal obeys.
        let path = difference.path.chars().map(|c| match c.is_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        });
        writeln!(out, "{}: {what}{}", path.collect::<String>(), difference.detail)?;
    }
    let (files, bytes) = (table::count(report.files_checked), table::bytes(report.bytes_checked));
    let checked = if quick {
        match report.digests_compared {
            0 => format!("names and sizes of {files} files, {bytes}; nothing was read"),
            n => format!(
                "names and sizes of {files} files, {bytes}, and {} digests that the store keeps; nothing was read",
                table::count(n)
            ),
        }
    } else {
        format!("{files} files, {} rows, {bytes} checked", table::count(report.rows_checked))
    };
    if report.is_clean() {
        writeln!(out, "verified: {checked}")
    } else {
        let number = report.differences.len();
        writeln!(out, "{number} {}: {checked}", if number == 1 { "difference" } else { "differences" })
    }
}
