//! `flowlake verify`: every file of a lake against its manifest.

use std::io::{self, Write};

use flowlake_partition::verify::{VerifyOptions, VerifyReport, verify};

use crate::cli::{VerifyArgs, threads};
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::table;

pub(crate) fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let lake = open(&args.lake, Exit::Input)?;
    let report = verify(&lake, VerifyOptions { quick: args.quick, jobs: threads(args.jobs) })?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        print(&mut out, &report, args.quick)?;
    }
    Ok(if report.is_clean() { Exit::Success } else { Exit::Differences })
}

/// The report for people.
pub(crate) fn print(out: &mut impl Write, report: &VerifyReport, quick: bool) -> io::Result<()> {
    for difference in &report.differences {
        writeln!(out, "{}: {}", difference.path, difference.detail)?;
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
        writeln!(out, "{} differences: {checked}", report.differences.len())
    }
}
