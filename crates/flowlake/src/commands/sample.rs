//! `flowlake sample`: synthetic dumps in the real format.

use std::io::{self, Write};
use std::path::Path;

use flowlake_sample::{DumpWritten, SampleDevice, SampleOptions, generate};

use crate::cli::{SampleArgs, threads};
use crate::exit::{Exit, Failure};
use crate::{resources, table};

pub(crate) fn run(args: &SampleArgs) -> Result<Exit, Failure> {
    let options = SampleOptions { scale: args.scale, seed: args.seed, jobs: threads(args.jobs) };
    let dumps = write(&args.output, &options)?;
    let mut rows: Vec<Vec<String>> = dumps
        .iter()
        .map(|dump| {
            vec![
                dump.archive.clone(),
                dump.device.clone(),
                table::count(dump.records),
                table::bytes(dump.json_bytes),
                table::bytes(dump.archive_bytes),
            ]
        })
        .collect();
    let sum = |number: fn(&DumpWritten) -> u64| dumps.iter().map(number).sum::<u64>();
    rows.push(vec![
        "total".to_owned(),
        String::new(),
        table::count(sum(|dump| dump.records)),
        table::bytes(sum(|dump| dump.json_bytes)),
        table::bytes(sum(|dump| dump.archive_bytes)),
    ]);
    let mut out = io::stdout().lock();
    writeln!(out, "{}", table::table(&["dump", "device", "flows", "JSON", "archive"], 2, rows))?;
    writeln!(out, "\nBuild a lake of them:")?;
    let output = args.output.display();
    writeln!(out, "  flowlake build --config {output}/catalogue.toml --input {output} --output lake")?;
    Ok(Exit::Success)
}

/// Writes dumps of all built-in devices.
pub(crate) fn write(output: &Path, options: &SampleOptions) -> Result<Vec<DumpWritten>, Failure> {
    let catalogue = resources::catalogue("kddi-iot-2019")?;
    let profiles = resources::sample_profiles()?;
    let devices: Vec<SampleDevice> = catalogue
        .devices
        .into_iter()
        .map(|device| SampleDevice {
            mac: device.mac.to_string(),
            name: device.name,
            title: device.title,
            device_class: device.class,
            class_title: device.class_title,
            archive: device.archive,
            records: device.published_records.unwrap_or_default(),
            parts: device.parts.unwrap_or(1),
        })
        .collect();
    Ok(generate(&devices, &profiles, options, output, &|_| {})?)
}
