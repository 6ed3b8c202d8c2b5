//! The catalogue of a sample: the same format as the one of the real data set, so that a sample builds like it.

use serde::Serialize;

use crate::dump::DumpWritten;
use crate::error::SampleError;
use crate::generate::SampleDevice;

const HEADER: &str = "\
# The devices of this directory's synthetic dumps, written beside them by `flowlake sample`.
# Build a lake from them: flowlake build --config catalogue.toml --input . --output LAKE
";

#[derive(Serialize)]
struct Catalogue<'a> {
    dataset: DataSet,
    device: Vec<Device<'a>>,
}

#[derive(Serialize)]
struct DataSet {
    name: &'static str,
    title: &'static str,
    licence: &'static str,
    licence_url: &'static str,
    redistribution: bool,
    description: &'static str,
    creators: [&'static str; 1],
    citation: &'static str,
    url: &'static str,
}

#[derive(Serialize)]
struct Device<'a> {
    name: &'a str,
    title: &'a str,
    class: &'a str,
    class_title: &'a str,
    mac: &'a str,
    archive: &'a str,
    published_records: u64,
    parts: usize,
}

/// The text of `catalogue.toml` for what was written.
pub(crate) fn text(devices: &[SampleDevice], dumps: &[DumpWritten]) -> Result<String, SampleError> {
    let catalogue = Catalogue {
        dataset: DataSet {
            name: "flowlake-sample",
            title: "Synthetic flows in the form of KDDI-IoT-2019",
            licence: "CC0-1.0",
            licence_url: "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
            redistribution: true,
            description: "Made-up flow records (IPFIX) of 25 home IoT devices, to try programs on. No row was measured.",
            creators: ["flowlake"],
            citation: "Synthetic flows made by `flowlake sample`; no measurement of any device",
            url: "https://github.com/nokuik/KDDI-IoT-2019",
        },
        device: devices
            .iter()
            .zip(dumps)
            .map(|(device, dump)| Device {
                name: &device.name,
                title: &device.title,
                class: &device.device_class,
                class_title: &device.class_title,
                mac: &device.mac,
                archive: &device.archive,
                published_records: dump.records,
                parts: dump.parts.len(),
            })
            .collect(),
    };
    Ok(format!("{HEADER}\n{}", toml::to_string(&catalogue)?))
}
