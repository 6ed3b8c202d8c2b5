//! `flowlake demo`: the whole way once, without any input.

use std::io::{self, Write};

use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::Selection;
use flowlake_partition::publish::PublishMode;
use flowlake_partition::read::read_manifest;
use flowlake_partition::rows::read_rows;
use flowlake_partition::verify::{VerifyOptions, verify};
use flowlake_sample::SampleOptions;
use flowlake_store::LakeStore;
use polars::prelude::{
    DataFrame, IntoLazy, PolarsResult, SortMultipleOptions, UnionArgs, col, concat, len, lit,
};

use super::build::{Request, build};
use crate::cli::{DemoArgs, ProgressMode, threads};
use crate::exit::{Exit, Failure};
use crate::{resources, table};

/// About 46,000 flows: seconds, not minutes.
const SCALE: f64 = 0.002;
const SEED: u64 = 1;

pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let jobs = threads(None);
    let dumps = args.output.join("dumps");
    let lake = args.output.join("lake");
    if lake.join("manifest.json").exists() {
        let message = format!("{} already holds a demo", args.output.display());
        return Err(Failure::message(Exit::Output, message).hint("remove it, or give another --output"));
    }

    say(&format!("1. Synthetic dumps of 25 devices in {}", dumps.display()))?;
    let written = super::sample::write(&dumps, &SampleOptions { scale: SCALE, seed: SEED, jobs })?;
    let flows: u64 = written.iter().map(|dump| dump.records).sum();
    let json: u64 = written.iter().map(|dump| dump.json_bytes).sum();
    say(&format!("   {} flows, {} of JSON", table::count(flows), table::bytes(json)))?;

    say("\n2. A lake of them\n")?;
    let config = dumps.join("catalogue.toml");
    let catalogue = Catalogue::read(&config)?;
    let recipe = resources::recipe("flows")?;
    let store = LakeStore::Directory(lake.clone());
    let summary = build(&Request {
        catalogue: &catalogue,
        recipe: &recipe,
        input: &LakeStore::Directory(dumps),
        output: &store,
        selection: &Selection::default(),
        jobs,
        memory_limit: None,
        mode: PublishMode::Fresh,
        strict: true,
        progress: ProgressMode::None,
    })?;
    summary.print(&lake.display().to_string())?;

    say("\n3. Every byte checked against the manifest\n")?;
    let report = verify(&store, VerifyOptions { quick: false, jobs })?;
    super::verify::print(&mut io::stdout().lock(), &report, false)?;
    if !report.is_clean() {
        return Ok(Exit::Differences);
    }

    say("\n4. A first query: what each class of device does\n")?;
    let answer = first_query(&store)?;
    say(&print_frame(&answer).map_err(|error| Failure::new(Exit::Input, error))?)?;

    let lake = lake.display();
    say("\nNow try:")?;
    say(&format!("  flowlake inspect {lake}"))?;
    say(&format!("  duckdb -c \"FROM read_parquet('{lake}/data/**/*.parquet') LIMIT 5\""))?;
    Ok(Exit::Success)
}

/// Columns the first query reads.
const QUERIED: [&str; 5] =
    ["deviceName", "serviceType", "octetTotalCount", "reverseOctetTotalCount", "reversePacketTotalCount"];

/// Flows, bytes and the share of unanswered flows by device class.
fn first_query(lake: &LakeStore) -> Result<DataFrame, Failure> {
    let manifest = read_manifest(lake)?;
    let mut flows = Vec::with_capacity(manifest.files.len());
    for file in &manifest.files {
        let rows = read_rows(lake, file, &QUERIED).map_err(|error| Failure::new(Exit::Input, error))?;
        flows.push(rows.lazy());
    }
    let answer = concat(flows, UnionArgs::default()).and_then(|flows| {
        flows
            .group_by([col("deviceClass")])
            .agg([
                col("deviceName").n_unique().alias("devices"),
                len().alias("flows"),
                (col("octetTotalCount") + col("reverseOctetTotalCount")).sum().alias("bytes"),
                (col("reversePacketTotalCount").eq(lit(0)).mean() * lit(100.0)).alias("unanswered %"),
                (col("serviceType").eq(lit("DNS")).mean() * lit(100.0)).alias("DNS %"),
            ])
            .sort(
                ["flows", "deviceClass"],
                SortMultipleOptions::default().with_order_descending_multi([true, false]),
            )
            .collect()
    });
    answer.map_err(|error| Failure::new(Exit::Input, error))
}

fn print_frame(frame: &DataFrame) -> PolarsResult<String> {
    let header: Vec<&str> = frame.columns().iter().map(|column| column.name().as_str()).collect();
    let mut rows = Vec::new();
    for i in 0..frame.height() {
        let mut row = vec![frame.column(header[0])?.str()?.get(i).unwrap_or_default().to_owned()];
        for name in &header[1..] {
            let column = frame.column(name)?;
            row.push(match column.dtype().is_float() {
                true => format!("{:.1}", column.f64()?.get(i).unwrap_or_default()),
                false => {
                    let number = column.cast(&polars::prelude::DataType::UInt64)?;
                    table::count(number.u64()?.get(i).unwrap_or_default())
                }
            });
        }
        rows.push(row);
    }
    Ok(table::table(&header, 1, rows))
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}
