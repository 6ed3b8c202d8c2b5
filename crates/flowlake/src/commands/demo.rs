//! `flowlake demo`: the whole way once, without any input.

use std::io::{self, Write};

use flowlake_ingest::Catalogue;
use flowlake_partition::manifest::Selection;
use flowlake_partition::publish::PublishMode;
use flowlake_partition::read::read_manifest;
use flowlake_partition::verify::{VerifyOptions, verify};
use flowlake_query::Flows;
use flowlake_sample::SampleOptions;
use flowlake_store::LakeStore;

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
    say(&format!("flowlake query {} \"\n{FIRST_QUERY}\"\n", lake.display()))?;
    let question =
        Flows::of(&store, &read_manifest(&store)?, super::query::limits(None, jobs))?.ask(FIRST_QUERY)?;
    say(&super::query::table_of(question)?)?;

    let lake = lake.display();
    say("\nNow try:")?;
    say(&format!("  flowlake inspect {lake}"))?;
    say(&format!("  flowlake head {lake}"))?;
    say(&format!(
        "  flowlake query {lake} \"SELECT month, COUNT(*) AS flows FROM flows GROUP BY month ORDER BY month\""
    ))?;
    say(&format!("  duckdb -c \"FROM read_parquet('{lake}/data/**/*.parquet') LIMIT 5\""))?;
    Ok(Exit::Success)
}

/// Flows, bytes and the shares of unanswered flows and of DNS by device class.
const FIRST_QUERY: &str = "\
SELECT deviceClass, COUNT(DISTINCT deviceName) AS devices, COUNT(*) AS flows,
       SUM(octetTotalCount + reverseOctetTotalCount) AS bytes,
       ROUND(AVG(CASE WHEN reversePacketTotalCount = 0 THEN 100.0 ELSE 0.0 END), 1) AS unansweredPercent,
       ROUND(AVG(CASE WHEN serviceType = 'DNS' THEN 100.0 ELSE 0.0 END), 1) AS dnsPercent
FROM flows GROUP BY deviceClass ORDER BY flows DESC, deviceClass";

fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}
